# shellcheck shell=bash
# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0
#
# What setup, run and down share.

# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=../instance.sh
. "$(dirname "${BASH_SOURCE[0]}")/../instance.sh"

HACK=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034  # some are for the scripts that source this file
{
	ROOT=$(cd "$HACK/.." && pwd)
	# What setup started, one name a line, so that down stops that and nothing else.
	STARTED="$PROJECTIONIST_STATE/started$INSTANCE_SUFFIX"
	OPERATOR_NAMESPACE=projectionist-system
	OPERATOR=projectionist-controller-manager
	RELEASED_IMAGE=ghcr.io/projectionist-dev/projectionist
}

# started NAME: note that setup started it.
started() {
	mkdir -p "$(dirname "$STARTED")"
	grep -qx "$1" "$STARTED" 2>/dev/null || printf '%s\n' "$1" >>"$STARTED"
}

# kubectl_ ARGS...: kubectl on the cluster of hack/cluster.
kubectl_() {
	"$HACK/cluster/kubectl" "$@"
}
