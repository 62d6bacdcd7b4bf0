# shellcheck shell=bash
# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0

KIND_VERSION=v0.33.0

# kind ARGS...: kind from PATH, else the pinned one, built into the cache.
kind() {
	local program
	if ! program=$(type -P kind); then
		program="$PROJECTIONIST_CACHE/bin/kind-$KIND_VERSION/kind"
		if [ ! -x "$program" ]; then
			say "building kind $KIND_VERSION"
			GOBIN="$(dirname "$program")" CGO_ENABLED=0 GOFLAGS='' go install "sigs.k8s.io/kind@$KIND_VERSION" >&2 ||
				die "could not build kind $KIND_VERSION; put a kind on PATH"
		fi
	fi
	"$program" "$@"
}
