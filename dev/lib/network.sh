# shellcheck shell=bash
# One bridge for all pods, and the rules that keep pods on this machine.

NODE_NAME=dev
BRIDGE=podtask0
NODE_IP=10.244.0.1
POD_RANGE=10.244.0.0/24
SERVICE_RANGE=10.96.0.0/16
API_SERVICE_IP=10.96.0.1
DNS_SERVICE_IP=10.96.0.10
API_URL=https://127.0.0.1:6443

# Kernel settings that the kubelet, kube-proxy or this file change; `down` puts them back.
SYSCTLS=(
  net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables net.ipv4.conf.all.route_localnet
  vm.overcommit_memory kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes
)

network_up() {
  bridge_up
  remember_sysctls
  sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
  firewall_up
}

bridge_up() {
  ip link show "$BRIDGE" >/dev/null 2>&1 && return
  say "making the bridge $BRIDGE"
  # The MAC address is fixed: a bridge without one takes the lowest of its ports', changes it as pods
  # come and go, and pods then talk to a dead gateway for up to a minute.
  ip link add "$BRIDGE" address 0a:58:0a:f4:00:01 type bridge ||
    die "the kernel gave no bridge (module 'bridge'): the pods' network needs one"
  ip link set "$BRIDGE" up
  ip addr add "$NODE_IP/24" dev "$BRIDGE"
  # Services are routed on the bridge, so that none of their addresses falls to the default route.
  ip route add "$SERVICE_RANGE" dev "$BRIDGE"
}

remember_sysctls() {
  [ -f /proc/sys/net/bridge/bridge-nf-call-iptables ] || modprobe br_netfilter 2>/dev/null ||
    die "the kernel module br_netfilter is missing: service addresses need it between pods"
  [ -f "$STATE/sysctls" ] || sysctl -e "${SYSCTLS[@]}" >"$STATE/sysctls"
}

restore_sysctls() {
  [ -f "$STATE/sysctls" ] || return 0
  sysctl -e -qp "$STATE/sysctls" 2>/dev/null || true
  rm "$STATE/sysctls"
}

# Traffic between pods passes; whatever else would be forwarded from or to a pod is rejected.
# The API server listens on the bridge only; connections to 127.0.0.1:6443 are handed to it.
firewall_up() {
  iptables -w -N PODTASK-DEV 2>/dev/null || iptables -w -F PODTASK-DEV
  iptables -w -A PODTASK-DEV -i "$BRIDGE" -o "$BRIDGE" -j ACCEPT
  iptables -w -A PODTASK-DEV -j REJECT
  add_rule filter FORWARD -i "$BRIDGE" -j PODTASK-DEV
  add_rule filter FORWARD -o "$BRIDGE" -j PODTASK-DEV
  iptables -w -t nat -N PODTASK-API 2>/dev/null || iptables -w -t nat -F PODTASK-API
  iptables -w -t nat -A PODTASK-API -p tcp -j DNAT --to-destination "$NODE_IP:6443"
  add_rule nat OUTPUT -d 127.0.0.1/32 -p tcp --dport 6443 -j PODTASK-API
}

add_rule() { # TABLE CHAIN RULE...: in front, once
  local table=$1 chain=$2
  shift 2
  iptables -w -t "$table" -C "$chain" "$@" 2>/dev/null || iptables -w -t "$table" -I "$chain" "$@"
}

network_down() {
  firewall_down
  ip link del "$BRIDGE" 2>/dev/null || true
  restore_sysctls
}

# Removes our chains and kube-proxy's, with the rules that jump to them, and nothing else: `up`
# refuses to start where KUBE- chains exist already, so they are this cluster's.
OUR_CHAINS='(KUBE|PODTASK)-[A-Z0-9-]+'
firewall_down() {
  local command table rules
  for command in iptables ip6tables; do
    for table in filter nat mangle; do
      rules=$("$command-save" -t "$table" 2>/dev/null) || continue
      grep -qE "$OUR_CHAINS" <<<"$rules" || continue
      {
        echo "*$table"
        grep -vE "^-A $OUR_CHAINS " <<<"$rules" | sed -nE "s/^-A (.* -j $OUR_CHAINS( .*)?)\$/-D \1/p"
        sed -nE "s/^:($OUR_CHAINS) .*/-F \1/p" <<<"$rules"
        sed -nE "s/^:($OUR_CHAINS) .*/-X \1/p" <<<"$rules"
        echo COMMIT
      } | "$command-restore" --noflush -w
    done
  done
}
