# shellcheck shell=bash
# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Helpers that every script under hack/ sources:
#
#   . "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
#
# What is built or downloaded lives in $PROJECTIONIST_CACHE and survives; what runs (pid files, data, logs) lives in
# $PROJECTIONIST_STATE and goes when it is stopped. Progress goes to stderr, so that a script's stdout is its result.

set -euo pipefail

export PROJECTIONIST_CACHE="${PROJECTIONIST_CACHE:-${HOME:-/root}/.cache/projectionist}"
export PROJECTIONIST_STATE="${PROJECTIONIST_STATE:-${HOME:-/root}/.local/state/projectionist}"
# Nested scripts count from the first one's start.
export PROJECTIONIST_T0="${PROJECTIONIST_T0:-$(date +%s)}"

# A plain user's PATH lacks the directories of ip, iptables and runc.
export PATH="$PATH:/usr/sbin:/sbin"

mkdir -p "$PROJECTIONIST_CACHE" "$PROJECTIONIST_STATE"

# say TEXT...: one line of progress with the seconds since the outermost script began.
say() {
	printf '[%4ds] %s\n' "$(($(date +%s) - PROJECTIONIST_T0))" "$*" >&2
}

# die TEXT...: say it and end the script.
die() {
	printf '[%4ds] error: %s\n' "$(($(date +%s) - PROJECTIONIST_T0))" "$*" >&2
	exit 1
}

# have COMMAND: is it on PATH?
have() {
	command -v "$1" >/dev/null 2>&1
}

# uses_kind: is the test cluster kind's? It is where Docker answers; PROJECTIONIST_CLUSTER=kind or =node decides otherwise.
uses_kind() {
	case "${PROJECTIONIST_CLUSTER:-}" in
	kind) return 0 ;;
	node) return 1 ;;
	'') have docker && timeout 10 docker info >/dev/null 2>&1 ;;
	*) die "PROJECTIONIST_CLUSTER=$PROJECTIONIST_CLUSTER: want kind or node" ;;
	esac
}

# need_root: cluster and network namespaces cannot be had without it.
need_root() {
	[ "$(id -u)" = 0 ] || die "$0 needs root; run it with sudo, or on a machine with Docker"
}

# need_debs PACKAGE...: install the Debian packages that are missing; asks nothing, updates the lists only when it must.
need_debs() {
	local missing=() pkg
	for pkg in "$@"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$pkg" 2>/dev/null)" = installed ] || missing+=("$pkg")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	have apt-get || die "please install by hand (no apt-get here): ${missing[*]}"
	local log="$PROJECTIONIST_CACHE/apt.log" apt=(apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=600)
	[ "$(id -u)" = 0 ] || apt=(sudo env DEBIAN_FRONTEND=noninteractive "${apt[@]}")
	say "installing Debian packages: ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	# One of ours at a time: two first runs would otherwise fetch the lists under each other's feet.
	(
		flock 9
		"${apt[@]}" install "${missing[@]}" || { "${apt[@]}" update && "${apt[@]}" install "${missing[@]}"; }
	) >"$log" 2>&1 </dev/null 9>"$PROJECTIONIST_CACHE/apt.lock" ||
		{ tail -n 20 "$log" >&2; die "apt-get could not install: ${missing[*]} (log: $log)"; }
}

# proc_start PID: when the process began, in clock ticks since boot; empty when it is gone or a zombie.
# A pid alone may have been recycled; a pid with its start time has not.
proc_start() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
	# The command's name may hold blanks and brackets: fields are counted from behind its last bracket.
	# shellcheck disable=SC2086
	set -- ${stat##*) }
	case "$1" in Z | X) return 0 ;; esac
	printf '%s' "${20}"
}

# bg_pid PIDFILE: the pid of the running process that bg_start noted there; fails when it is not running.
bg_pid() {
	local pid start
	[ -s "$1" ] && read -r pid start <"$1" || return 1
	[ -n "$start" ] && [ "$(proc_start "$pid")" = "$start" ] || return 1
	printf '%s\n' "$pid"
}

# bg_alive PIDFILE: does it run?
bg_alive() {
	bg_pid "$1" >/dev/null
}

# bg_start PIDFILE LOGFILE COMMAND...: run it in a session of its own, so that it outlives the caller, holds none of
# its descriptors (a lock held through one would never be let go) and gets none of its signals. Returns at once when it
# already runs. COMMAND may be a chain of exec-ing wrappers (nsenter --net=..., setpriv ...): they keep the pid.
bg_start() {
	local pidfile=$1 log=$2
	shift 2
	bg_alive "$pidfile" && return 0
	mkdir -p "$(dirname "$pidfile")" "$(dirname "$log")"
	rm -f "$pidfile"
	# shellcheck disable=SC2016
	setsid bash -c '
		for fd in /proc/$$/fd/*; do
			fd=${fd##*/}
			[ "$fd" -le 2 ] || eval "exec $fd>&-"
		done
		stat=$(cat "/proc/$$/stat")
		set -- "$1" ${stat##*) } -- "${@:2}"
		printf "%s %s\n" "$$" "${21}" >"$1.new"
		mv "$1.new" "$1"
		while [ "$1" != -- ]; do shift; done
		shift
		exec "$@"
	' bg "$pidfile" "$@" >>"$log" 2>&1 </dev/null &
	disown
	local tries=0
	until [ -s "$pidfile" ]; do
		tries=$((tries + 1))
		[ $tries -le 200 ] || die "could not start $1 (log: $log)"
		sleep 0.05
	done
}

# bg_stop PIDFILE [SECONDS] [SIGNAL]: ask it to end, then after SECONDS (10) kill it; done when it is gone.
bg_stop() {
	local pidfile=$1 seconds=${2:-10} signal=${3:-TERM} pid tries=0
	if pid=$(bg_pid "$pidfile"); then
		kill -s "$signal" "$pid" 2>/dev/null || true
		while bg_alive "$pidfile"; do
			tries=$((tries + 1))
			[ $tries -le $((seconds * 10)) ] || kill -s KILL "$pid" 2>/dev/null || true
			[ $tries -le $((seconds * 10 + 100)) ] || die "pid $pid ($pidfile) cannot be killed"
			sleep 0.1
		done
	fi
	rm -f "$pidfile"
}

# wait_for SECONDS WHAT [--log FILE] [--pid PIDFILE] -- COMMAND...: repeat COMMAND, quietly, until it succeeds. When the
# time is up, or the process of PIDFILE has died, say so with the end of FILE and of COMMAND's last words, and fail.
wait_for() {
	local seconds=$1 what=$2 log='' pidfile='' last='' end
	shift 2
	while [ "$1" != -- ]; do
		case "$1" in
		--log) log=$2 ;;
		--pid) pidfile=$2 ;;
		*) die "wait_for: unknown option $1" ;;
		esac
		shift 2
	done
	shift
	end=$(($(date +%s) + seconds))
	while true; do
		last=$("$@" 2>&1 </dev/null) && return 0
		if [ -n "$pidfile" ] && ! bg_alive "$pidfile"; then
			say "error: $what: the process ended"
			break
		fi
		if [ "$(date +%s)" -ge "$end" ]; then
			say "error: $what: not within ${seconds}s"
			break
		fi
		sleep 0.2
	done
	[ -z "$last" ] || printf '  last answer: %s\n' "$(printf '%s' "$last" | tail -n 5)" >&2
	[ -z "$log" ] || { printf '  end of %s:\n' "$log"; tail -n 25 "$log" | sed 's/^/    /'; } >&2 || true
	return 1
}

# hold_lock FILE [SECONDS]: one script at a time; let go when the script ends.
hold_lock() {
	local fd
	mkdir -p "$(dirname "$1")"
	exec {fd}>"$1"
	flock -w "${2:-900}" "$fd" || die "another run holds $1"
}
