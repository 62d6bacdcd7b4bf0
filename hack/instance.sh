# shellcheck shell=bash
# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Several brokers and databases beside each other, and the address at which pods reach them. Source hack/lib.sh first.
#
# PROJECTIONIST_INSTANCE names an instance: it has a state directory and ports of its own. Without a name: the usual one.

INSTANCE_SUFFIX=''
INSTANCE_PORT_OFFSET=${PROJECTIONIST_PORT_OFFSET:-0}
if [ -n "${PROJECTIONIST_INSTANCE:-}" ]; then
	[[ "$PROJECTIONIST_INSTANCE" =~ ^[a-z0-9][a-z0-9-]{0,30}$ ]] ||
		die "PROJECTIONIST_INSTANCE must be lower-case letters, digits and dashes"
	# The sourcing scripts read both.
	# shellcheck disable=SC2034
	INSTANCE_SUFFIX="-$PROJECTIONIST_INSTANCE"
	# The same name must give the same ports in every script without a register of names.
	# shellcheck disable=SC2034
	INSTANCE_PORT_OFFSET=${PROJECTIONIST_PORT_OFFSET:-$((100 * (1 + $(cksum <<<"$PROJECTIONIST_INSTANCE" | cut -d ' ' -f 1) % 80)))}
fi

# pods_address FILE: this host's address that pods reach, or nothing when there is none yet. From the environment, else
# from the cluster's network, else the one noted in FILE: a server that pods use must not lose its listener because
# somebody without that environment starts it once more. An address that no interface has cannot be listened on.
pods_address() {
	local ip
	for ip in "${PROJECTIONIST_HOST_IP:-}" "$(net_address)" "$(cat "$1" 2>/dev/null)"; do
		# The kernel's own table: no tool has to be installed for it.
		if [ -n "$ip" ] && grep -A 1 -- "|-- ${ip//./\\.}\$" /proc/net/fib_trie | grep 'host LOCAL' >/dev/null; then
			printf '%s' "$ip"
			return 0
		fi
	done
}

# net_address: what the cluster's network calls this host. In a subshell, since net/env sets much more.
net_address() (
	[ -r "$(dirname "${BASH_SOURCE[0]}")/net/env" ] || exit 0
	# shellcheck source=net/env
	. "$(dirname "${BASH_SOURCE[0]}")/net/env"
	printf '%s' "$PROJECTIONIST_HOST_IP"
)
