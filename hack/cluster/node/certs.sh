# shellcheck shell=bash
# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Keys, certificates and kubeconfigs of the one-node cluster, under $PKI.

PKI="$CLUSTER_STATE/pki"

# cert NAME ORGANISATION COMMON_NAME [SUBJECT_ALT_NAMES]: signed by our CA, good for client and server.
cert() {
	openssl req -x509 -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -days 3650 -nodes \
		-newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout "$PKI/$1.key" -out "$PKI/$1.crt" -subj "/O=$2/CN=$3" \
		-addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=clientAuth,serverAuth \
		${4:+-addext subjectAltName=$4} 2>>"$LOGS/openssl.log" || die "openssl could not make $1.crt (log: $LOGS/openssl.log)"
}

# client_config FILE NAME: a kubeconfig of its own, nothing beside it needed, for the client certificate NAME.
client_config() {
	cat >"$1" <<-END
		apiVersion: v1
		kind: Config
		clusters:
		- name: projectionist
		  cluster:
		    server: https://$PROJECTIONIST_NODE_IP:6443
		    certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")
		users:
		- name: $2
		  user:
		    client-certificate-data: $(base64 -w0 "$PKI/$2.crt")
		    client-key-data: $(base64 -w0 "$PKI/$2.key")
		contexts:
		- name: projectionist
		  context: {cluster: projectionist, user: $2}
		current-context: projectionist
	END
	chmod 600 "$1"
}

make_certs() {
	[ ! -e "$PKI/done" ] || return 0
	mkdir -p "$PKI"
	chmod 700 "$PKI"
	openssl req -x509 -days 3650 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=projectionist-cluster \
		-addext keyUsage=critical,keyCertSign,cRLSign -keyout "$PKI/ca.key" -out "$PKI/ca.crt" 2>>"$LOGS/openssl.log"
	openssl genrsa -out "$PKI/service-account.key" 2048 2>>"$LOGS/openssl.log"
	local service="${PROJECTIONIST_SERVICE_CIDR%.*}.1"
	cert apiserver projectionist kube-apiserver \
		"IP:$PROJECTIONIST_NODE_IP,IP:127.0.0.1,IP:$service,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
	cert apiserver-kubelet-client system:masters kube-apiserver-kubelet-client
	cert kubelet system:nodes "system:node:$NODE_NAME" "IP:$PROJECTIONIST_NODE_IP,DNS:$NODE_NAME"
	cert controller-manager system:kube-controller-manager system:kube-controller-manager
	cert scheduler system:kube-scheduler system:kube-scheduler
	cert proxy system:node-proxier system:kube-proxy
	cert admin system:masters projectionist-admin
	local name
	for name in kubelet controller-manager scheduler proxy; do
		client_config "$PKI/$name.kubeconfig" "$name"
	done
	touch "$PKI/done"
}
