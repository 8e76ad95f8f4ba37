# shellcheck shell=bash
# The components kubelet, proxy (kube-proxy) and dns (CoreDNS).
# No configuration may begin with "{": it would be read as JSON, and the component would end at once.

CGROUP=podtask-dev

launch_kubelet() {
  make_cgroups
  mkdir -p "$STATE/kubelet"
  kubelet_config >"$STATE/kubelet.yaml"
  start_process kubelet "$(kubernetes_bin kubelet)" --config "$STATE/kubelet.yaml" \
    --kubeconfig "$STATE/kubelet.kubeconfig" --root-dir "$STATE/kubelet" \
    --hostname-override "$NODE_NAME" --node-ip "$NODE_IP"
}
# kube-proxy sleeps for half a minute if its node is not registered yet, hence the second half.
ready_kubelet() { healthy http://127.0.0.1:10248/healthz && kubectl_ get node "$NODE_NAME"; }

# Image collection is off (100 %): an image that was loaded cannot be pulled again.
kubelet_config() {
  cat <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
authentication: {x509: {clientCAFile: $STATE/pki/ca.crt}, webhook: {enabled: true}, anonymous: {enabled: false}}
authorization: {mode: Webhook}
tlsCertFile: $STATE/pki/kubelet.crt
tlsPrivateKeyFile: $STATE/pki/kubelet.key
containerRuntimeEndpoint: unix://$SOCKET
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
makeIPTablesUtilChains: false
clusterDNS: [$DNS_SERVICE_IP]
clusterDomain: cluster.local
resolvConf: ""
maxPods: 200
serializeImagePulls: false
imageGCHighThresholdPercent: 100
podLogsDir: $STATE/podlogs
volumePluginDir: $STATE/volumeplugins
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
Y
}

# cgroup v1 has one tree per controller, v2 has one for all.
cgroup_roots() {
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    echo /sys/fs/cgroup
  else
    local tree
    for tree in /sys/fs/cgroup/*/; do
      [ ! -f "$tree/cgroup.procs" ] || [ -f "$tree/cgroup.controllers" ] || echo "${tree%/}"
    done
  fi
}

make_cgroups() {
  local root
  for root in $(cgroup_roots); do
    mkdir -p "$root/$CGROUP" || die "cannot make a cgroup in $root: pods need one (is this a container without that right?)"
  done
}

launch_proxy() {
  cat >"$STATE/proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $STATE/proxy.kubeconfig}
mode: iptables
clusterCIDR: $POD_RANGE
hostnameOverride: $NODE_NAME
bindAddress: $NODE_IP
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
nodePortAddresses: ["$NODE_IP/32"]
oomScoreAdj: 0
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {localhostNodePorts: false}
Y
  start_process proxy "$(kubernetes_bin kube-proxy)" --config "$STATE/proxy.yaml"
}
ready_proxy() { healthy http://127.0.0.1:10256/healthz; }

# Names outside the cluster do not exist here, and are said not to: a refusal would make clients retry.
launch_dns() {
  cat >"$STATE/Corefile" <<Y
cluster.local:53 in-addr.arpa:53 {
  bind $NODE_IP
  errors
  ready 127.0.0.1:18181
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $STATE/dns.kubeconfig
  }
  cache 5
}
.:53 {
  bind $NODE_IP
  template ANY ANY {
    rcode NXDOMAIN
  }
}
Y
  start_process dns "$(tool_dir coredns)/bin/coredns" -conf "$STATE/Corefile"
}
publish_dns() { kubectl_ apply -f "$DEV/lib/dns.yaml"; }
ready_dns() { healthy http://127.0.0.1:18181/ready; }
