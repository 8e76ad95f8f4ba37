# shellcheck shell=bash
# Builds the tools that no package has, from Go modules, into the per-user cache.
# A tool's folder is named by version and by a hash of all that goes in, appears by one rename when
# it is complete, and is never changed afterwards: clones share it and rebuild nothing.

# Built by default; kwok (simulated nodes, for benchmarks of scale) and promtool (tests of the alerts) when asked for.
TOOLS=(kubernetes versitygw coredns helm pause)
[ -z "$CONTAINERD_VERSION" ] || TOOLS+=(containerd)
KUBERNETES_COMMANDS=(kubectl etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)

tool_version() {
  case $1 in
    kubernetes) echo "$KUBERNETES_VERSION" ;;
    versitygw) echo "$VERSITYGW_VERSION" ;;
    coredns) echo "$COREDNS_VERSION" ;;
    helm) echo "$HELM_VERSION" ;;
    kwok) echo "$KWOK_VERSION" ;;
    containerd) echo "$CONTAINERD_VERSION" ;;
    kueue) echo "$KUEUE_VERSION" ;;
    seaweedfs) echo "$SEAWEEDFS_VERSION" ;;
    pause) echo 1 ;;
    base | promtool) echo "$DEBIAN_SUITE" ;;
    *) die "no such tool: $1 (known: ${TOOLS[*]} kwok promtool)" ;;
  esac
}

build_kubernetes() {
  local version=v$KUBERNETES_VERSION
  "$DEV/kubernetes/mkmod.sh" "$KUBERNETES_VERSION" >mod
  mkdir module && cd module
  mv ../mod go.mod
  cp "$DEV/kubernetes/main.go" .
  go mod tidy
  go build -trimpath -o ../bin/devcluster \
    -ldflags="-s -w -X k8s.io/component-base/version.gitVersion=$version -X k8s.io/client-go/pkg/version.gitVersion=$version" .
  cd .. && rm -r module
  local name
  for name in "${KUBERNETES_COMMANDS[@]}"; do ln -s devcluster "bin/$name"; done
}
build_versitygw() { go_install "github.com/versity/versitygw/cmd/versitygw@v$VERSITYGW_VERSION"; }
build_coredns() { go_install "github.com/coredns/coredns@v$COREDNS_VERSION"; }
build_helm() {
  local module=helm.sh/helm/v${HELM_VERSION%%.*}
  go_install "$module/cmd/helm@v$HELM_VERSION" "-X $module/internal/version.version=v$HELM_VERSION"
}
build_containerd() {
  local command
  for command in containerd ctr containerd-shim-runc-v2; do
    go_install "github.com/containerd/containerd/v2/cmd/$command@v$CONTAINERD_VERSION"
  done
}
build_kwok() { go_install "sigs.k8s.io/kwok/cmd/kwok@v$KWOK_VERSION"; }
# With the chart of the same version beside it.
build_kueue() {
  go_install "sigs.k8s.io/kueue/cmd/kueue@v$KUEUE_VERSION"
  mv bin/kueue bin/manager
  cp -r "$(go mod download -json "sigs.k8s.io/kueue@v$KUEUE_VERSION" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/charts/kueue" chart
  chmod -R u+w chart
}
# In a module of its own: `go install` takes no module with replacements.
build_seaweedfs() {
  go mod init podtask.local/seaweedfs
  go get "github.com/seaweedfs/seaweedfs/weed@v$SEAWEEDFS_VERSION"
  go build -trimpath -ldflags='-s -w' -o bin/weed github.com/seaweedfs/seaweedfs/weed
}
build_pause() { go build -trimpath -ldflags='-s -w' -o bin/pause "$DEV/pause/main.go"; }

# The programs alone, out of Debian's package: installing that would start a Prometheus.
build_promtool() {
  require dpkg-deb "this is no Debian; put a promtool of Prometheus 2.42 or later on PATH"
  apt-get -o APT::Sandbox::User=root download prometheus || { apt-get update && apt-get -o APT::Sandbox::User=root download prometheus; }
  mkdir bin
  dpkg-deb --fsys-tarfile prometheus_*.deb | tar --extract --strip-components=3 --directory=bin ./usr/bin/promtool ./usr/bin/prometheus
  chmod 755 bin/promtool bin/prometheus
  rm prometheus_*.deb
}

go_install() { GOBIN=$PWD/bin go install -trimpath -ldflags="-s -w ${2:-}" "$1"; }

# What a tool's folder is named by: its build function and the files that this one reads.
tool_dir() {
  local version key
  version=$(tool_version "$1")
  key=$({ declare -f "build_$1" go_install; uname -m; cat "$DEV/$1"/* 2>/dev/null || true; } | hash_of)
  echo "$CACHE/$1-$version-$key"
}

# build_tool NAME: returns at once when the cache has it.
build_tool() {
  local name=$1 dir log
  dir=$(tool_dir "$name")
  [ ! -d "$dir" ] || return 0
  [ "$name" = base ] || [ "$name" = promtool ] || require go "install Go 1.25 or later (https://go.dev/doc/install); $name is built with it"
  mkdir -p "$CACHE/logs"
  log=$CACHE/logs/$(basename "$dir").log
  exec {lock}>"$CACHE/$name.lock"
  flock -n "$lock" || { say "waiting for another build of $name"; flock "$lock"; }
  if [ ! -d "$dir" ]; then
    say "building $name $(tool_version "$name") (log: $log)"
    ( set -euo pipefail; build_into "$dir" "build_$name" ) >"$log" 2>&1 &
    watch_build $! "$name" || { tail -n 20 "$log" >&2; die "building $name failed. Read $log"; }
    say "built $name"
  fi
  exec {lock}>&-
}

# build_into DIRECTORY FUNCTION: runs FUNCTION in a new folder that becomes DIRECTORY.
build_into() {
  local work
  work=$(mktemp -d "$CACHE/.building-$(basename "$1").XXXXXX")
  # shellcheck disable=SC2064  # the folder is known now
  trap "rm -rf '$work'" EXIT
  cd "$work"
  export CGO_ENABLED=0
  "$2"
  chmod 755 "$work"
  mv -T "$work" "$1"
}

# watch_build PID NAME: a line every half minute, and the build's exit status.
watch_build() {
  while kill -0 "$1" 2>/dev/null; do
    timeout 30 tail --pid="$1" -s 0.2 -f /dev/null || say "still building $2"
  done
  wait "$1"
}

# One folder with links to every command: what a user puts on PATH.
path_dir() {
  local name dirs=() key dir command
  for name in "${TOOLS[@]}" kwok promtool; do dirs+=("$(tool_dir "$name")"); done
  key=$(printf '%s\n' "${dirs[@]}" | hash_of)
  dir=$CACHE/path-$key/bin
  mkdir -p "$dir"
  for name in "${dirs[@]}"; do
    for command in "$name"/bin/*; do
      [ -x "$command" ] && ln -sfn "$command" "$dir/$(basename "$command")"
    done
  done
  echo "$dir"
}
