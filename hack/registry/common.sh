# shellcheck shell=bash
# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts beside this file share: where the registry lives, its address, and the steps of starting it.

REGISTRY_HACK=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$REGISTRY_HACK/../lib.sh"
. "$REGISTRY_HACK/../instance.sh"

# The last that runs on Java 17.
REGISTRY_VERSION=3.0.9
REGISTRY_SHA256=2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43
REGISTRY_APP="$PROJECTIONIST_CACHE/registry/$REGISTRY_VERSION/app"
REGISTRY_DIR="$PROJECTIONIST_STATE/registry$INSTANCE_SUFFIX"
REGISTRY_PIDFILE="$REGISTRY_DIR/pid"
: "${REGISTRY_PORT:=$((19181 + INSTANCE_PORT_OFFSET))}"
REGISTRY_PATH=/apis/ccompat/v7

registry_lock() {
	hold_lock "$PROJECTIONIST_CACHE/locks/registry$INSTANCE_SUFFIX" 300
}

registry_java() {
	local found
	found=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p') || true
	[ "${found:-0}" -ge 17 ] || need_debs openjdk-17-jre-headless
}

# registry_build: the distribution is in $REGISTRY_APP, or the script has ended with the reason.
registry_build() {
	registry_java
	[ "$(cat "$REGISTRY_APP/.complete" 2>/dev/null)" != "$REGISTRY_SHA256" ] || return 0
	(
		hold_lock "$PROJECTIONIST_CACHE/locks/registry-build"
		[ "$(cat "$REGISTRY_APP/.complete" 2>/dev/null)" != "$REGISTRY_SHA256" ] || exit 0
		have mvn || need_debs maven
		say "registry: fetching Apicurio Registry $REGISTRY_VERSION"
		work=$(mktemp -d "$PROJECTIONIST_CACHE/registry-build.XXXXXX")
		trap 'rm -rf "$work"' EXIT
		cd "$work"
		# The distribution has its libraries in it, so that what its POM depends on is not asked for. Of the plugin's versions
		# only the old one does not read the POM all the same.
		mvn -q -B --strict-checksums org.apache.maven.plugins:maven-dependency-plugin:2.8:get -Dtransitive=false \
			"-Dartifact=io.apicurio:apicurio-registry-app:$REGISTRY_VERSION:tar.gz:all" "-Ddest=$work/app.tar.gz" >log 2>&1 </dev/null ||
			{ tail -n 20 log >&2; die "Apicurio Registry $REGISTRY_VERSION cannot be had from Maven"; }
		sha256sum --quiet -c <<<"$REGISTRY_SHA256  app.tar.gz" >&2 || die "the distribution of Apicurio Registry is not the one that is pinned"
		mkdir app
		tar -xzf app.tar.gz -C app
		printf '%s\n' "$REGISTRY_SHA256" >app/.complete
		mkdir -p "$(dirname "$REGISTRY_APP")"
		rm -rf "$REGISTRY_APP"
		mv app "$REGISTRY_APP"
	)
}

# registry_host: the one address that it listens on. Pods reach this host at an address that the host reaches, too.
registry_host() {
	cat "$REGISTRY_DIR/host" 2>/dev/null || echo 127.0.0.1
}

registry_url() {
	printf 'http://%s:%s%s' "$(registry_host)" "$REGISTRY_PORT" "$REGISTRY_PATH"
}

# registry_answers: does it answer as a registry?
registry_answers() {
	local fd status
	exec {fd}<>"/dev/tcp/$(registry_host)/$REGISTRY_PORT" || return 1
	printf 'GET %s/subjects HTTP/1.0\r\nHost: localhost\r\n\r\n' "$REGISTRY_PATH" >&"$fd"
	read -r -t 5 status <&"$fd" || return 1
	exec {fd}>&-
	[[ "$status" == *' 200 '* ]]
}

registry_wait() {
	wait_for 120 "registry" --log "$REGISTRY_DIR/registry.log" --pid "$REGISTRY_PIDFILE" -- registry_answers
}

registry_up() {
	mkdir -p "$REGISTRY_DIR"
	chmod 700 "$REGISTRY_DIR"
	local host
	host=$(pods_address "$REGISTRY_DIR/host-ip")
	printf '%s' "$host" >"$REGISTRY_DIR/host-ip"
	host=${host:-127.0.0.1}
	if bg_alive "$REGISTRY_PIDFILE"; then
		if [ "$host" = "$(registry_host)" ]; then
			registry_wait
			return 0
		fi
		say "registry: its address changed; restarting it there, without its schemas"
		bg_stop "$REGISTRY_PIDFILE" 0 KILL
	fi
	printf '%s' "$host" >"$REGISTRY_DIR/host"
	# Schemas are kept in memory. Short-lived and lightly loaded on two cores, so the optimising compiler would cost more
	# than it gives. Host and port also come from the environment of others who run Quarkus: they are set here.
	bg_start "$REGISTRY_PIDFILE" "$REGISTRY_DIR/registry.log" env -C "$REGISTRY_APP" \
		"QUARKUS_HTTP_HOST=$host" "QUARKUS_HTTP_PORT=$REGISTRY_PORT" QUARKUS_LOG_LEVEL=WARN QUARKUS_HTTP_ACCESS_LOG_ENABLED=false \
		java -Xms96m -Xmx256m -XX:TieredStopAtLevel=1 -Xshare:auto -XX:-UsePerfData -XX:+ExitOnOutOfMemoryError \
		-jar "apicurio-registry-app-$REGISTRY_VERSION-runner.jar"
	registry_wait
	say "registry: Apicurio Registry $REGISTRY_VERSION listens on $host:$REGISTRY_PORT"
}
