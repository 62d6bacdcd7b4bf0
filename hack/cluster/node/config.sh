# shellcheck shell=bash
# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Configuration files of containerd, its network plugin, the kubelet and kube-proxy, under $CONF.

CONF="$CLUSTER_STATE/conf"

make_config() {
	mkdir -p "$CONF/cni"
	containerd_config >"$CONF/containerd.toml"
	network_config >"$CONF/cni/10-projectionist.conflist"
	kubelet_config >"$CONF/kubelet.yaml"
	proxy_config >"$CONF/proxy.yaml"
	# Pods that ask for the node's DNS get none, rather than the host's, which they could not reach.
	printf 'nameserver %s\n' "$PROJECTIONIST_DNS_IP" >"$CONF/resolv.conf"
}

# restrict_oom_score_adj: in a sandbox without CAP_SYS_RESOURCE runc could not lower the score, and would fail.
containerd_config() {
	cat <<-END
		version = 4
		root = '$CLUSTER_STATE/containerd'
		state = '$CLUSTER_STATE/containerd-run'
		imports = []
		[plugins]
		  [plugins.'io.containerd.server.v1.grpc']
		    address = '$CONTAINERD_SOCKET'
		  [plugins.'io.containerd.server.v1.ttrpc']
		    address = '$CONTAINERD_SOCKET.ttrpc'
		  [plugins.'io.containerd.shim.v1.manager']
		    socket_dir = '$SHIM_SOCKETS'
		  [plugins.'io.containerd.internal.v1.opt']
		    path = '$CLUSTER_STATE/containerd-opt'
		  [plugins.'io.containerd.nri.v1.nri']
		    disable = true
		  [plugins.'io.containerd.cri.v1.images'.pinned_images]
		    sandbox = '$PAUSE_IMAGE'
		  [plugins.'io.containerd.cri.v1.runtime']
		    restrict_oom_score_adj = true
		    disable_apparmor = true
		    netns_mounts_under_state_dir = true
		  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
		    runtime_type = 'io.containerd.runc.v2'
		  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
		    Root = '$CLUSTER_STATE/runc'
		  [plugins.'io.containerd.cri.v1.runtime'.cni]
		    bin_dirs = ['/usr/lib/cni']
		    conf_dir = '$CONF/cni'
	END
}

# ptp, not bridge: every packet between pods is routed, so that Services work without br_netfilter in the kernel.
network_config() {
	cat <<-END
		{"cniVersion": "1.0.0", "name": "projectionist", "plugins": [
		  {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "dataDir": "$CLUSTER_STATE/cni",
		    "ranges": [[{"subnet": "$PROJECTIONIST_POD_CIDR"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
		  {"type": "portmap", "capabilities": {"portMappings": true}}
		]}
	END
}

# Eviction and image collection are all but off: a nearly full disk of a developer's machine is no reason to kill pods.
# A crashed container comes back within 2 s, however often it crashed: tests kill pods on purpose.
kubelet_config() {
	cat <<-END
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		address: $PROJECTIONIST_NODE_IP
		authentication:
		  anonymous: {enabled: false}
		  webhook: {enabled: true}
		  x509: {clientCAFile: $PKI/ca.crt}
		authorization: {mode: Webhook}
		tlsCertFile: $PKI/kubelet.crt
		tlsPrivateKeyFile: $PKI/kubelet.key
		containerRuntimeEndpoint: unix://$CONTAINERD_SOCKET
		cgroupDriver: cgroupfs
		failCgroupV1: false
		failSwapOn: false
		enforceNodeAllocatable: []
		oomScoreAdj: 0
		clusterDomain: cluster.local
		clusterDNS: [$PROJECTIONIST_DNS_IP]
		resolvConf: $CONF/resolv.conf
		configMapAndSecretChangeDetectionStrategy: Watch
		syncFrequency: 5s
		nodeStatusUpdateFrequency: 5s
		crashLoopBackOff: {maxContainerRestartPeriod: 2s}
		evictionHard: {memory.available: 50Mi, nodefs.available: 100Mi, imagefs.available: 100Mi, nodefs.inodesFree: "1%"}
		imageGCHighThresholdPercent: 100
		imageGCLowThresholdPercent: 99
		serializeImagePulls: false
		podLogsDir: $CLUSTER_STATE/pod-logs
		volumePluginDir: $CLUSTER_STATE/volume-plugins
	END
}

# conntrack 0: leave the host's limits alone, which a namespace may not set anyway.
proxy_config() {
	cat <<-END
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		mode: iptables
		hostnameOverride: $NODE_NAME
		clusterCIDR: $PROJECTIONIST_POD_CIDR
		clientConnection: {kubeconfig: $PKI/proxy.kubeconfig}
		bindAddress: $PROJECTIONIST_NODE_IP
		healthzBindAddress: 127.0.0.1:10256
		metricsBindAddress: 127.0.0.1:10249
		oomScoreAdj: 0
		conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
		iptables: {minSyncPeriod: 0s, syncPeriod: 30s}
	END
}
