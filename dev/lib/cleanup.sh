# shellcheck shell=bash
# Takes away what processes leave behind, and tells what is left.

# Volumes of pods, root file systems, network namespaces; the deepest first.
our_mounts() {
  awk -v state="$STATE/" -v run="$RUN/" \
    'index($5, state) == 1 || index($5, run) == 1 {print length($5), $5}' /proc/self/mountinfo | sort -rn | cut -d' ' -f2-
}
unmount_all() {
  local mount
  while read -r mount; do umount -l "$(printf '%b' "$mount")" 2>/dev/null || true; done < <(our_mounts)
}

our_cgroups() { cgroup_roots | while read -r root; do [ ! -d "$root/$CGROUP" ] || echo "$root/$CGROUP"; done; }

# Whatever still runs in our cgroups was started by one of our pods.
kill_cgroups() {
  local root pid
  for root in $(our_cgroups); do
    while read -r pid; do kill -s KILL "$pid" 2>/dev/null || true; done \
      < <(find "$root" -name cgroup.procs -exec cat {} +)
  done
  for root in $(our_cgroups); do
    wait_until 10 "the processes in $root to end" "See $root/**/cgroup.procs" cgroup_is_empty "$root"
    find "$root" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}
cgroup_is_empty() { [ -z "$(find "$1" -name cgroup.procs -exec cat {} +)" ]; }

kill_shims() {
  local pid
  for pid in $(shim_pids); do kill -s KILL "$pid" 2>/dev/null || true; done
}

# Files that components put at fixed places outside the state folder.
our_strays() {
  grep -rlF "$RUN/" /var/lib/cni/results 2>/dev/null || true # they name the network namespace
  find /var/log/containers -type l -lname "$STATE/*" 2>/dev/null || true
  find /var/lib/kubelet/device-plugins -name kubelet.sock 2>/dev/null || true
}
# Folders that are ours only if they did not exist before; removed when they are empty.
SHARED_FOLDERS=(
  /var/lib/cni/results /var/lib/cni /var/log/containers /var/lib/kubelet/device-plugins /var/lib/kubelet
  /run/containerd/runc/k8s.io /run/containerd/runc /run/containerd/s /run/containerd /run/mount
)
remember_folders() {
  local folder
  [ -f "$STATE/made-folders" ] ||
    for folder in "${SHARED_FOLDERS[@]}"; do [ -d "$folder" ] || echo "$folder"; done >"$STATE/made-folders"
}
remove_strays() {
  our_strays | xargs -r -d '\n' rm -f
  [ ! -f "$STATE/made-folders" ] || xargs -r -d '\n' rmdir --ignore-fail-on-non-empty <"$STATE/made-folders" 2>/dev/null || true
}

# leftovers: one line for each thing of the cluster that exists.
leftovers() {
  local name
  for name in "${COMPONENTS[@]}"; do
    ! is_running "$name" || echo "process $(pid_of "$name"): $name"
  done
  shim_pids | sed 's/^/process (containerd-shim): /'
  our_mounts | sed 's/^/mount: /'
  ! ip link show "$BRIDGE" >/dev/null 2>&1 || echo "network link: $BRIDGE"
  local command
  for command in iptables ip6tables; do
    "$command-save" 2>/dev/null | grep -E "^:$OUR_CHAINS |$BRIDGE" | sed "s/^/$command: /" || true
  done
  our_cgroups | sed 's/^/cgroup: /'
  our_strays | sed 's/^/file: /'
  [ ! -e "$RUN" ] || echo "folder: $RUN"
  [ ! -e "$STATE" ] || echo "folder: $STATE"
}
