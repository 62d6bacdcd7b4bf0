# shellcheck shell=bash
# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts beside this file share: where the broker lives, its ports, and the steps of starting it.

KAFKA_HACK=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$KAFKA_HACK/../lib.sh"
. "$KAFKA_HACK/../instance.sh"
. "$KAFKA_HACK/../certs.sh"

KAFKA_VERSION=$(sed -n 's/.*<kafka.version>\(.*\)<.*/\1/p' "$KAFKA_HACK/pom.xml")
KAFKA_LIBS="$PROJECTIONIST_CACHE/kafka/$KAFKA_VERSION/libs"
KAFKA_DIR="$PROJECTIONIST_STATE/kafka$INSTANCE_SUFFIX"
KAFKA_PIDFILE="$KAFKA_DIR/pid"

# A named instance moves every port by one offset, so that instances stand beside each other.
: "${KAFKA_PORT:=$((19092 + INSTANCE_PORT_OFFSET))}"
: "${KAFKA_CONTROLLER_PORT:=$((19093 + INSTANCE_PORT_OFFSET))}"
: "${KAFKA_PODS_PORT:=$((19094 + INSTANCE_PORT_OFFSET))}"
: "${KAFKA_SASL_PORT:=$((19095 + INSTANCE_PORT_OFFSET))}"
: "${KAFKA_SSL_PORT:=$((19096 + INSTANCE_PORT_OFFSET))}"
: "${KAFKA_SASL_SSL_PORT:=$((19097 + INSTANCE_PORT_OFFSET))}"
# The broker refuses two listeners of one port, even on two addresses.
: "${KAFKA_PODS_SASL_PORT:=$((19098 + INSTANCE_PORT_OFFSET))}"
: "${KAFKA_PODS_SSL_PORT:=$((19099 + INSTANCE_PORT_OFFSET))}"
: "${KAFKA_PODS_SASL_SSL_PORT:=$((19100 + INSTANCE_PORT_OFFSET))}"

kafka_lock() {
	hold_lock "$PROJECTIONIST_CACHE/locks/kafka$INSTANCE_SUFFIX" 300
}

kafka_java() {
	local found
	found=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p') || true
	[ "${found:-0}" -ge 17 ] || need_debs openjdk-17-jre-headless
}

# kafka_build: the jars are in $KAFKA_LIBS, or the script has ended with the reason.
kafka_build() {
	kafka_java
	local sum
	sum=$(sha256sum <"$KAFKA_HACK/pom.xml")
	[ "$(cat "$KAFKA_LIBS/.complete" 2>/dev/null)" != "$sum" ] || return 0
	(
		hold_lock "$PROJECTIONIST_CACHE/locks/kafka-build"
		[ "$(cat "$KAFKA_LIBS/.complete" 2>/dev/null)" != "$sum" ] || exit 0
		have mvn || need_debs maven
		say "kafka: fetching the jars of Kafka $KAFKA_VERSION"
		work=$(mktemp -d "$PROJECTIONIST_CACHE/kafka-build.XXXXXX")
		trap 'rm -rf "$work"' EXIT
		mvn -q -B --strict-checksums -f "$KAFKA_HACK/pom.xml" dependency:copy-dependencies \
			-DincludeScope=runtime -DoutputDirectory="$work/libs" >"$work/log" 2>&1 </dev/null ||
			{ tail -n 20 "$work/log" >&2; die "the jars of Kafka $KAFKA_VERSION cannot be had from Maven"; }
		[ -s "$work/libs/kafka_2.13-$KAFKA_VERSION.jar" ] || die "Maven brought no kafka_2.13-$KAFKA_VERSION.jar"
		printf '%s\n' "$sum" >"$work/libs/.complete"
		mkdir -p "$(dirname "$KAFKA_LIBS")"
		rm -rf "$KAFKA_LIBS"
		mv "$work/libs" "$KAFKA_LIBS"
	)
}

# kafka_credentials: KAFKA_SASL_USER and KAFKA_SASL_PASSWORD, made at random on the first call.
kafka_credentials() {
	KAFKA_SASL_USER=projector
	if [ ! -s "$KAFKA_DIR/sasl-password" ]; then
		(umask 077 && openssl rand -hex 16 >"$KAFKA_DIR/sasl-password")
	fi
	KAFKA_SASL_PASSWORD=$(cat "$KAFKA_DIR/sasl-password")
}

# kafka_properties IP: the broker's settings on stdout; IP empty means that no pod has to reach it.
kafka_properties() {
	local ip=$1 listeners map name
	listeners="HOST://127.0.0.1:$KAFKA_PORT,CONTROLLER://127.0.0.1:$KAFKA_CONTROLLER_PORT"
	listeners+=",SASL://127.0.0.1:$KAFKA_SASL_PORT,SSL://127.0.0.1:$KAFKA_SSL_PORT,SASLSSL://127.0.0.1:$KAFKA_SASL_SSL_PORT"
	if [ -n "$ip" ]; then
		listeners+=",PODS://$ip:$KAFKA_PODS_PORT,PODSSASL://$ip:$KAFKA_PODS_SASL_PORT"
		listeners+=",PODSSSL://$ip:$KAFKA_PODS_SSL_PORT,PODSSASLSSL://$ip:$KAFKA_PODS_SASL_SSL_PORT"
	fi
	map="HOST:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,SSL:SSL,SASLSSL:SASL_SSL"
	map+=",PODS:PLAINTEXT,PODSSASL:SASL_PLAINTEXT,PODSSSL:SSL,PODSSASLSSL:SASL_SSL"
	cat <<-EOF
		process.roles=broker,controller
		node.id=1
		log.dirs=$KAFKA_DIR/data
		listeners=$listeners
		listener.security.protocol.map=$map
		inter.broker.listener.name=HOST
		controller.listener.names=CONTROLLER
		controller.quorum.bootstrap.servers=127.0.0.1:$KAFKA_CONTROLLER_PORT

		auto.create.topics.enable=false
		offsets.topic.replication.factor=1
		offsets.topic.num.partitions=4
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		transaction.state.log.num.partitions=4
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		share.coordinator.state.topic.num.partitions=4

		# Tests wait for what a production broker does at its leisure.
		group.initial.rebalance.delay.ms=0
		# After a SIGKILL the new broker waits until the session of the dead one is over.
		broker.session.timeout.ms=3000
		broker.heartbeat.interval.ms=500
		group.min.session.timeout.ms=1000
		log.initial.task.delay.ms=500
		log.retention.check.interval.ms=1000
		log.segment.delete.delay.ms=1000
		log.cleaner.backoff.ms=500
		log.cleaner.dedupe.buffer.size=16777216
		transaction.abort.timed.out.transaction.cleanup.interval.ms=1000

		# Everyone may do everything until a test writes a rule; the plain listeners are never held to it.
		authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
		allow.everyone.if.no.acl.found=true
		super.users=User:ANONYMOUS

		ssl.keystore.type=PEM
		ssl.keystore.location=$KAFKA_DIR/tls/server.pem
		ssl.truststore.type=PEM
		ssl.truststore.location=$KAFKA_DIR/tls/ca.crt
		listener.name.ssl.ssl.client.auth=required
		listener.name.podsssl.ssl.client.auth=required
		sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
	EOF
	for name in sasl saslssl podssasl podssaslssl; do
		cat <<-EOF
			listener.name.$name.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$KAFKA_SASL_USER="$KAFKA_SASL_PASSWORD";
			listener.name.$name.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
			listener.name.$name.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
		EOF
	done
}

# kafka_jvm HEAP CLASS ARG...: short-lived and lightly loaded on two cores, so the optimising compiler would cost more
# than it gives.
kafka_jvm() {
	local heap=$1
	shift
	printf '%s\0' java "-Xms$heap" "-Xmx$heap" -XX:TieredStopAtLevel=1 -Xshare:auto -XX:-UsePerfData -XX:+ExitOnOutOfMemoryError \
		-Djava.awt.headless=true "-Dlog4j2.configurationFile=$KAFKA_HACK/log4j2.properties" \
		-cp "$KAFKA_LIBS/*" "$@"
}

kafka_format() {
	[ ! -e "$KAFKA_DIR/data/meta.properties" ] || return 0
	local cmd
	rm -rf "$KAFKA_DIR/data"
	mapfile -d '' -t cmd < <(kafka_jvm 128m kafka.tools.StorageTool format --standalone \
		-t "$(openssl rand 16 | basenc --base64url | tr -d '=' | tr '-' 'p')" -c "$KAFKA_DIR/server.properties" \
		-S "SCRAM-SHA-256=[name=$KAFKA_SASL_USER,password=$KAFKA_SASL_PASSWORD]" \
		-S "SCRAM-SHA-512=[name=$KAFKA_SASL_USER,password=$KAFKA_SASL_PASSWORD]")
	"${cmd[@]}" >"$KAFKA_DIR/format.log" 2>&1 </dev/null ||
		{ tail -n 20 "$KAFKA_DIR/format.log" >&2; die "Kafka's storage could not be formatted"; }
}

kafka_stop() {
	bg_stop "$KAFKA_PIDFILE" 30 TERM
}

# kafka_up: the broker answers on all listeners that are needed now.
kafka_up() {
	need_debs openssl
	mkdir -p "$KAFKA_DIR"
	chmod 700 "$KAFKA_DIR"
	local ip new="$KAFKA_DIR/server.properties.new" cmd
	ip=$(pods_address "$KAFKA_DIR/host-ip")
	kafka_credentials
	(umask 077 && kafka_properties "$ip" >"$new")
	if bg_alive "$KAFKA_PIDFILE"; then
		if cmp -s "$new" "$KAFKA_DIR/server.properties"; then
			rm -f "$new"
			kafka_wait
			return 0
		fi
		say "kafka: settings changed; restarting it with them"
		kafka_stop
	fi
	mv "$new" "$KAFKA_DIR/server.properties"
	printf '%s' "$ip" >"$KAFKA_DIR/host-ip"

	make_ca "$KAFKA_DIR/tls" ca
	make_cert "$KAFKA_DIR/tls" ca server kafka "IP:127.0.0.1,DNS:localhost${ip:+,IP:$ip}"
	make_cert "$KAFKA_DIR/tls" ca client "$KAFKA_SASL_USER" "DNS:$KAFKA_SASL_USER"
	(umask 077 && cat "$KAFKA_DIR/tls/server.key" "$KAFKA_DIR/tls/server.crt" >"$KAFKA_DIR/tls/server.pem")
	kafka_format

	# Whether it is ready is read from its log: that must not be the one of an earlier start.
	[ ! -e "$KAFKA_DIR/kafka.log" ] || mv "$KAFKA_DIR/kafka.log" "$KAFKA_DIR/kafka.log.1"
	mapfile -d '' -t cmd < <(kafka_jvm 512m kafka.Kafka "$KAFKA_DIR/server.properties")
	bg_start "$KAFKA_PIDFILE" "$KAFKA_DIR/kafka.log" "${cmd[@]}"
	kafka_wait
	say "kafka: Kafka $KAFKA_VERSION listens on 127.0.0.1:$KAFKA_PORT${ip:+, for pods on $ip:$KAFKA_PODS_PORT}"
}

kafka_wait() {
	wait_for 90 "kafka" --log "$KAFKA_DIR/kafka.log" --pid "$KAFKA_PIDFILE" -- \
		grep -q 'Kafka Server started' "$KAFKA_DIR/kafka.log"
}
