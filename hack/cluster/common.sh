# shellcheck shell=bash
# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts of the cluster share: where the programs are, where the running state is, how to talk to the cluster.

# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

HACK=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034  # some are for the scripts that source this file
{
	CLUSTER_STATE="$PROJECTIONIST_STATE/cluster"
	CLUSTER_KUBECONFIG="${PROJECTIONIST_USE_KUBECONFIG:-$CLUSTER_STATE/kubeconfig}"
	KIND_NAME=projectionist
	NODE_NAME=projectionist
	K8S_VERSION=v1.36.3
	CONTAINERD_VERSION=v2.4.2
	PAUSE_IMAGE=projectionist.dev/pause:1
	COREDNS_IMAGE=projectionist.dev/coredns:1.14.7
}

# How everything is compiled; part of the cache's key.
# shellcheck disable=SC2054  # the commas are the go command's
BUILD_FLAGS=(-mod=readonly -trimpath -buildvcs=false -tags=no_btrfs,no_devmapper,no_zfs)

# ours NAME: the module, the package and the linker flags of a program, as three lines.
ours() {
	local version=k8s.io/component-base/version
	case "$1" in
	etcd) printf '%s\n' cluster/k8s go.etcd.io/etcd/server/v3 '' ;;
	kube-* | kubelet | kubectl)
		printf '%s\n' cluster/k8s "k8s.io/kubernetes/cmd/$1" \
			"-X $version.gitVersion=$K8S_VERSION -X $version.gitMajor=1 -X $version.gitMinor=${K8S_VERSION:3:2} -X $version.gitTreeState=clean"
		;;
	containerd | containerd-shim-runc-v2 | ctr)
		printf '%s\n' cluster/containerd "github.com/containerd/containerd/v2/cmd/$1" \
			"-X github.com/containerd/containerd/v2/version.Version=$CONTAINERD_VERSION"
		;;
	coredns) printf '%s\n' cluster/coredns . '' ;;
	pause) printf '%s\n' image ./pause '' ;;
	image) printf '%s\n' image . '' ;;
	probe) printf '%s\n' image ./probe '' ;;
	*) die "no program of ours: $1" ;;
	esac
}

# bin NAME: the path of a built program. Its directory is keyed by all that decides what it is, so that another version
# is another file, and two work trees share a cache without harm.
bin() {
	local module key
	module=$(ours "$1" | head -n 1)
	key=$(cd "$HACK/$module" && {
		printf '%s\n' "${BUILD_FLAGS[@]}" "$K8S_VERSION" "$CONTAINERD_VERSION" "$(go env GOVERSION GOARCH)"
		find . -name '*.go' ! -name '*_test.go' -o -name go.mod -o -name go.sum | LC_ALL=C sort | xargs cat
	} | sha256sum | cut -c 1-12)
	printf '%s\n' "$PROJECTIONIST_CACHE/bin/$(basename "$module")-$key/$1"
}

# kube ARGS...: kubectl on our cluster, which never hangs.
kube() {
	find_kubectl
	timeout "${KUBE_TIMEOUT:-30}" "$KUBECTL" --kubeconfig="$CLUSTER_KUBECONFIG" --request-timeout="${KUBE_TIMEOUT:-30}s" "$@"
}

# find_kubectl: set KUBECTL to the one that we built, else to the one on PATH (on kind nothing is built).
find_kubectl() {
	[ -z "${KUBECTL:-}" ] || return 0
	KUBECTL=$(bin kubectl)
	[ -x "$KUBECTL" ] || KUBECTL=$(command -v kubectl) || die "no kubectl: hack/cluster/build kubectl makes one"
}
