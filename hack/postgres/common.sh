# shellcheck shell=bash
# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts beside this file share: where the database lives, its port, and the steps of starting it.

POSTGRES_HACK=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$POSTGRES_HACK/../lib.sh"
. "$POSTGRES_HACK/../instance.sh"
. "$POSTGRES_HACK/../certs.sh"

POSTGRES_DIR="$PROJECTIONIST_STATE/postgres$INSTANCE_SUFFIX"
POSTGRES_PIDFILE="$POSTGRES_DIR/pid"
POSTGRES_LOG="$POSTGRES_DIR/postgres.log"
: "${POSTGRES_PORT:=$((15432 + INSTANCE_PORT_OFFSET))}"
POSTGRES_DATABASE=reads
POSTGRES_ROLES=(superuser projector projector_ddl projector_dml reader)

postgres_lock() {
	hold_lock "$PROJECTIONIST_CACHE/locks/postgres$INSTANCE_SUFFIX" 300
}

# postgres_find: POSTGRES_BIN is the directory of the newest installed server, 14 at least; false without one.
postgres_find() {
	local major
	major=$(find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path '*/bin/postgres' 2>/dev/null | cut -d / -f 5 | sort -n | tail -n 1)
	[ "${major:-0}" -ge 14 ] || return 1
	POSTGRES_BIN="/usr/lib/postgresql/$major/bin"
}

postgres_install() {
	! postgres_find || return 0
	# The package would otherwise start a server of its own, which nobody here asked for.
	local conf=/etc/postgresql-common/createcluster.d/projectionist.conf
	if [ "$(id -u)" = 0 ]; then
		mkdir -p "$(dirname "$conf")"
		echo 'create_main_cluster = false' >"$conf"
	fi
	need_debs postgresql
	[ ! -w "$conf" ] || rm -f "$conf"
	postgres_find || die "PostgreSQL 14 or newer is needed; the package postgresql brought none"
}

# as_postgres COMMAND...: the server refuses to run as root, so root hands it to the user of the Debian package.
as_postgres() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/ "$@"
	else
		"$@"
	fi
}

# postgres_data: POSTGRES_DATA, the directory above the database's files. A home that only root may enter hides the
# state directory from the server's user: then the files lie below that user's own home, and a link leads there.
postgres_data() {
	mkdir -p "$POSTGRES_DIR"
	chmod 755 "$POSTGRES_DIR"
	POSTGRES_DATA="$POSTGRES_DIR/server"
	if [ ! -L "$POSTGRES_DATA" ] && [ ! -d "$POSTGRES_DATA" ]; then
		if (cd / && as_postgres test -x "$POSTGRES_DIR"); then
			mkdir "$POSTGRES_DATA"
		else
			local home
			home=$(getent passwd postgres | cut -d : -f 6)/projectionist-$(cksum <<<"$POSTGRES_DIR" | cut -d ' ' -f 1)
			mkdir -p "$home"
			ln -s "$home" "$POSTGRES_DATA"
		fi
		[ "$(id -u)" != 0 ] || chown postgres: "$POSTGRES_DATA/"
		chmod 700 "$POSTGRES_DATA/"
	fi
	POSTGRES_DATA=$(readlink -f "$POSTGRES_DATA")
}

# postgres_password ROLE: random, made on the first call.
postgres_password() {
	local file="$POSTGRES_DIR/passwords/$1"
	if [ ! -s "$file" ]; then
		(umask 077 && mkdir -p "$(dirname "$file")" && openssl rand -hex 16 >"$file")
	fi
	cat "$file"
}

# postgres_url ROLE: for clients on this host.
postgres_url() {
	printf 'postgres://%s:%s@127.0.0.1:%s/%s' "$1" "$(postgres_password "$1")" "$POSTGRES_PORT" "$POSTGRES_DATABASE"
}

# postgres_psql DATABASE ARG...: as the superuser, without the caller's own settings.
postgres_psql() {
	local database=$1
	shift
	PGPASSWORD=$(postgres_password superuser) PGCONNECT_TIMEOUT=5 psql -X -q -v ON_ERROR_STOP=1 \
		-h 127.0.0.1 -p "$POSTGRES_PORT" -U superuser -d "$database" "$@"
}

# postgres_settings IP: what this server has beyond PostgreSQL's defaults.
postgres_settings() {
	cat <<-EOF
		listen_addresses = '127.0.0.1${1:+,$1}'
		port = $POSTGRES_PORT
		unix_socket_directories = ''
		max_connections = 100
		shared_buffers = 256MB
		max_wal_size = 2GB
		fsync = on
		synchronous_commit = on
		track_commit_timestamp = on
		password_encryption = scram-sha-256
		ssl = on
		ssl_cert_file = '$POSTGRES_DATA/server.crt'
		ssl_key_file = '$POSTGRES_DATA/server.key'
		log_line_prefix = '%m [%p] %q%u@%d '
		log_lock_waits = on
		log_checkpoints = off
	EOF
}

postgres_initdb() {
	[ ! -e "$POSTGRES_DIR/ready" ] || return 0
	say "postgres: making a database cluster"
	rm -rf "${POSTGRES_DATA:?}"/*
	local pw="$POSTGRES_DATA/pw"
	postgres_password superuser >"$pw"
	[ "$(id -u)" != 0 ] || chown postgres: "$pw"
	# Without a sync: what a crash could lose now would be made again.
	(cd / && as_postgres "$POSTGRES_BIN/initdb" -D "$POSTGRES_DATA/db" -U superuser --pwfile="$pw" --no-sync \
		-A scram-sha-256 -E UTF8 --locale=C.UTF-8 >"$POSTGRES_DIR/initdb.log" 2>&1 </dev/null) ||
		{ tail -n 20 "$POSTGRES_DIR/initdb.log" >&2; die "initdb failed"; }
	rm -f "$pw"
	echo "include '$POSTGRES_DATA/projectionist.conf'" >>"$POSTGRES_DATA/db/postgresql.conf"
	echo 'host all all 0.0.0.0/0 scram-sha-256' >>"$POSTGRES_DATA/db/pg_hba.conf"
}

# postgres_roles: the database and its roles, as a careful administrator would hand them out.
postgres_roles() {
	[ ! -e "$POSTGRES_DIR/ready" ] || return 0
	local role
	for role in "${POSTGRES_ROLES[@]:1}"; do
		printf "CREATE ROLE %s LOGIN PASSWORD '%s';\n" "$role" "$(postgres_password "$role")"
	done | postgres_psql postgres
	postgres_psql postgres -c "CREATE DATABASE $POSTGRES_DATABASE OWNER projector" -c "REVOKE ALL ON DATABASE $POSTGRES_DATABASE FROM PUBLIC"
	postgres_psql "$POSTGRES_DATABASE" -f "$POSTGRES_HACK/roles.sql"
	: >"$POSTGRES_DIR/ready"
}

postgres_in_use() {
	find /proc -maxdepth 2 -name cwd -lname "$POSTGRES_DATA/db" 2>/dev/null | grep . >/dev/null
}

# postgres_clear: after a SIGKILL the server's children live a moment longer, and a machine whose first process reaps
# nobody keeps the dead server's pid taken, so that the next one would refuse to start over postmaster.pid.
postgres_clear() {
	local end=$((SECONDS + 20))
	while postgres_in_use; do
		[ $SECONDS -lt $end ] || die "processes of an earlier server still use $POSTGRES_DATA/db"
		sleep 0.1
	done
	rm -f "$POSTGRES_DATA/db/postmaster.pid"
}

postgres_answers() {
	"$POSTGRES_BIN/pg_isready" -q -h 127.0.0.1 -p "$POSTGRES_PORT" -t 2
}

postgres_wait() {
	wait_for 60 "postgres" --log "$POSTGRES_LOG" --pid "$POSTGRES_PIDFILE" -- postgres_answers
}

# postgres_stop MODE: fast (roll back and write everything out) or immediate (as a crash would).
postgres_stop() {
	case "$1" in
	fast) bg_stop "$POSTGRES_PIDFILE" 60 INT ;;
	immediate) bg_stop "$POSTGRES_PIDFILE" 10 QUIT ;;
	esac
}

# postgres_up: the server answers on all addresses that are needed now, with its database and roles made.
postgres_up() {
	postgres_install
	need_debs openssl
	postgres_data
	local ip new="$POSTGRES_DATA/projectionist.conf.new"
	ip=$(pods_address "$POSTGRES_DIR/host-ip")
	postgres_settings "$ip" >"$new"
	chmod 644 "$new"
	if bg_alive "$POSTGRES_PIDFILE"; then
		if [ -e "$POSTGRES_DIR/ready" ] && cmp -s "$new" "$POSTGRES_DATA/projectionist.conf"; then
			rm -f "$new"
			postgres_wait
			return 0
		fi
		say "postgres: settings changed; restarting it with them"
		postgres_stop fast
	fi
	postgres_initdb
	postgres_settings "$ip" >"$POSTGRES_DATA/projectionist.conf"
	rm -f "$new"
	printf '%s' "$ip" >"$POSTGRES_DIR/host-ip"

	make_ca "$POSTGRES_DIR/tls" ca
	make_cert "$POSTGRES_DIR/tls" ca server postgres "IP:127.0.0.1,DNS:localhost${ip:+,IP:$ip}"
	install -m 600 "$POSTGRES_DIR/tls/server.crt" "$POSTGRES_DIR/tls/server.key" "$POSTGRES_DATA/"
	[ "$(id -u)" != 0 ] || chown postgres: "$POSTGRES_DATA"/server.*

	postgres_clear
	local cmd=("$POSTGRES_BIN/postgres" -D "$POSTGRES_DATA/db")
	[ "$(id -u)" != 0 ] || cmd=(setpriv --reuid=postgres --regid=postgres --init-groups env -i LANG=C.UTF-8 HOME=/ "${cmd[@]}")
	(cd / && bg_start "$POSTGRES_PIDFILE" "$POSTGRES_LOG" "${cmd[@]}")
	postgres_wait
	postgres_roles
	say "postgres: PostgreSQL $("$POSTGRES_BIN/postgres" -V | cut -d ' ' -f 3) listens on 127.0.0.1:$POSTGRES_PORT${ip:+, for pods on $ip:$POSTGRES_PORT}"
}
