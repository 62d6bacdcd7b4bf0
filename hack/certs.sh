# shellcheck shell=bash
# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0
#
# A certificate authority of its own for a server that a script under hack/ starts. Source hack/lib.sh first.
# Everything is made anew per state directory and lives there alone; no key is ever committed.

# make_ca DIR NAME: DIR/NAME.crt and DIR/NAME.key, unless they are there.
make_ca() {
	local dir=$1 name=$2
	[ ! -s "$dir/$name.crt" ] || return 0
	(
		umask 077
		mkdir -p "$dir"
		openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$dir/$name.key" 2>/dev/null ||
			openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$dir/$name.key"
		openssl req -x509 -new -key "$dir/$name.key" -days 825 -subj "/CN=Projectionist $name" \
			-addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
			-out "$dir/$name.crt.new"
		mv "$dir/$name.crt.new" "$dir/$name.crt"
	) || die "openssl could not make the CA $dir/$name.crt"
}

# make_cert DIR CA NAME CN SAN: DIR/NAME.crt and DIR/NAME.key (PKCS#8), signed by DIR/CA; made anew when SAN changed.
# SAN is in openssl's form: IP:127.0.0.1,DNS:localhost.
make_cert() {
	local dir=$1 ca=$2 name=$3 cn=$4 san=$5
	[ ! -s "$dir/$name.crt" ] || [ "$(cat "$dir/$name.san" 2>/dev/null)" != "$san" ] || return 0
	(
		umask 077
		openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$dir/$name.key" 2>/dev/null ||
			openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$dir/$name.key"
		printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n' "$san" >"$dir/$name.ext"
		openssl req -new -key "$dir/$name.key" -subj "/CN=$cn" -out "$dir/$name.csr"
		openssl x509 -req -in "$dir/$name.csr" -CA "$dir/$ca.crt" -CAkey "$dir/$ca.key" -days 825 \
			-extfile "$dir/$name.ext" -out "$dir/$name.crt.new" 2>/dev/null
		rm -f "$dir/$name.csr" "$dir/$name.ext"
		mv "$dir/$name.crt.new" "$dir/$name.crt"
		printf '%s' "$san" >"$dir/$name.san"
	) || die "openssl could not make the certificate $dir/$name.crt"
}
