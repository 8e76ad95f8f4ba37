# shellcheck shell=bash
# What has to be true before the cluster can start. Each failure is one sentence with a cure.

preflight() {
  [ "$(id -u)" = 0 ] || die "the cluster makes a bridge, mounts and cgroups: run this as root"
  [ "$(uname -s)" = Linux ] || die "the cluster needs Linux (elsewhere use your own: see dev/README.md)"
  check_commands
  check_one_cluster
  check_ports
}

check_commands() {
  local pair
  for pair in containerd:containerd ctr:containerd containerd-shim-runc-v2:containerd runc:runc \
    iptables-restore:iptables ip:iproute2 ss:iproute2 conntrack:conntrack socat:socat \
    openssl:openssl curl:curl python3:python3 flock:util-linux; do
    require "${pair%%:*}" "run dev/tools (it is in the Debian package ${pair##*:})"
  done
  [ -x /usr/lib/cni/bridge ] || die "/usr/lib/cni/bridge is missing: run dev/tools (package containernetworking-plugins)"
  local name
  for name in kubernetes versitygw coredns pause; do
    [ -d "$(tool_dir "$name")" ] || die "$name $(tool_version "$name") is not built yet: run dev/tools"
  done
}

# Addresses, bridge and chains are fixed, so a machine has room for one.
check_one_cluster() {
  local owner
  owner=$(cat "$RUN/state" 2>/dev/null || echo "$STATE")
  [ "$owner" = "$STATE" ] ||
    die "a cluster of dev/ with its state in $owner is up already: stop it with PODTASK_DEV_STATE=$owner dev/cluster down"
  if [ ! -f "$RUN/state" ] && iptables-save 2>/dev/null | grep -q '^:KUBE-'; then
    die "iptables has KUBE- chains: another Kubernetes runs on this machine. Use that one (see dev/README.md), or stop it"
  fi
}

# address:port of every component
LISTENERS=(
  "etcd 127.0.0.1 2379" "etcd 127.0.0.1 2380" "apiserver $NODE_IP 6443" "apiserver 127.0.0.1 6443"
  "controller-manager 127.0.0.1 10257" "scheduler 127.0.0.1 10259"
  "kubelet $NODE_IP 10250" "kubelet 127.0.0.1 10248" "proxy 127.0.0.1 10249" "proxy 127.0.0.1 10256"
  "dns $NODE_IP 53" "dns 127.0.0.1 18181" "s3 $NODE_IP 9000"
)
check_ports() {
  local line name address port taken
  for line in "${LISTENERS[@]}"; do
    read -r name address port <<<"$line"
    is_running "$name" && continue
    taken=$(ss -Hltnp "sport = :$port" | awk -v a="$address:$port" -v p=":$port" \
      '$4 == a || $4 == "*" p || $4 == "0.0.0.0" p || $4 == "[::]" p {print $4, $6}')
    [ -z "$taken" ] || die "port $port of $name is in use already by another process: $taken"
  done
}
