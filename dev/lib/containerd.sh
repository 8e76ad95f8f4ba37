# shellcheck shell=bash
# The component containerd: an instance of its own, beside any that the machine runs already.

SOCKET=$RUN/containerd.sock
PAUSE_IMAGE=podtask.local/pause:1
if [ -n "$CONTAINERD_VERSION" ]; then
  PATH=$(tool_dir containerd)/bin:$PATH
  COMPONENT_PATH=$(tool_dir containerd)/bin:$COMPONENT_PATH
fi

# containerd 2 warns at every call of a machine with cgroup v1.
ctr_() { CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1 ctr -a "$SOCKET" -n k8s.io "$@"; }

launch_containerd() {
  mkdir -p "$STATE/cni" "$STATE/containerd"
  containerd_config >"$STATE/containerd.toml"
  cni_config >"$STATE/cni/10-podtask.conflist"
  start_process containerd containerd --config "$STATE/containerd.toml"
}
ready_containerd() { ctr_ version; }

containerd_config() {
  cat <<Y
version = 2
root = "$STATE/containerd/root"
state = "$RUN/containerd"
[grpc]
  address = "$SOCKET"
[plugins."io.containerd.internal.v1.opt"]
  path = "$STATE/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  # Without CAP_SYS_RESOURCE runc cannot lower oom_score_adj, and every sandbox fails with
  # "can't get final child's PID from pipe: EOF".
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$STATE/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
Y
}

# No masquerade: nothing from a pod leaves the machine.
cni_config() {
  cat <<Y
{"cniVersion": "0.4.0", "name": "podtask-dev", "plugins": [
  {"type": "bridge", "bridge": "$BRIDGE", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$STATE/cni/addresses",
            "ranges": [[{"subnet": "$POD_RANGE"}]], "routes": [{"dst": "0.0.0.0/0"}]}}
]}
Y
}

load_pause_image() {
  [ -z "$(ctr_ images ls -q "name==$PAUSE_IMAGE")" ] || return 0
  say "loading $PAUSE_IMAGE"
  python3 "$DEV/lib/static_image.py" "$(tool_dir pause)/bin/pause" "$PAUSE_IMAGE" >"$STATE/pause.tar"
  ctr_ images import "$STATE/pause.tar" >/dev/null
  rm "$STATE/pause.tar"
}

# Ends every container of our containerd, by its id; each shim ends with its last container.
kill_containers() {
  is_running containerd || return 0
  local id
  for id in $(ctr_ tasks ls -q); do
    ctr_ tasks rm --force "$id" >/dev/null 2>&1 || true
  done
}

# The shims of our containerd: they are its children no more, but name its socket on their command line.
shim_pids() {
  local file
  for file in /proc/[0-9]*/cmdline; do
    grep -qzxF -- "$SOCKET" "$file" 2>/dev/null &&
      grep -qz 'containerd-shim' "$file" 2>/dev/null && basename "$(dirname "$file")"
  done
  return 0
}
