# shellcheck shell=bash
# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0
#
# What up and down of the one-node cluster must agree on.

# shellcheck disable=SC2034  # for the scripts that source this file
{
	RUN="$CLUSTER_STATE/run"
	LOGS="$CLUSTER_STATE/logs"
	CONTAINERD_SOCKET="$CLUSTER_STATE/containerd.sock"
	# A shim's socket has a 64 character name, and a socket's path at most 108: the state's directory would be too long.
	SHIM_SOCKETS=/run/projectionist
	COMPONENTS=(etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy)
}

all_run() {
	local name
	for name in "${COMPONENTS[@]}"; do bg_alive "$RUN/$name.pid" || return 1; done
}

# The kubelet and the network plugins have some paths in them that no option moves. Those that were not there before us
# are noted, and only those does down remove.
note_leftovers() {
	[ ! -e "$CLUSTER_STATE/leftovers" ] || return 0
	local path
	for path in /var/lib/kubelet /var/log/containers /var/log/pods /var/lib/cni /run/containerd /run/runc /run/xtables.lock \
		/usr/libexec/kubernetes; do
		[ -e "$path" ] || printf '%s\n' "$path"
	done >"$CLUSTER_STATE/leftovers.new"
	for path in /sys/fs/cgroup /sys/fs/cgroup/*/; do
		if [ -e "$path/cgroup.procs" ] && [ ! -e "$path/kubepods" ]; then
			printf '%s\n' "${path%/}/kubepods"
		fi
	done >>"$CLUSTER_STATE/leftovers.new"
	mv "$CLUSTER_STATE/leftovers.new" "$CLUSTER_STATE/leftovers"
}
