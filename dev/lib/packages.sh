# shellcheck shell=bash
# The Debian packages that the cluster and the image build need. Installs only what is missing.

DEBIAN_PACKAGES=(
  containerd runc containernetworking-plugins          # runs the pods
  iptables conntrack ipset ethtool iproute2 socat      # kube-proxy, the bridge, port-forward
  buildah mmdebstrap uidmap                            # images without a Docker engine
  openssl ca-certificates curl python3 util-linux psmisc
)

# missing_packages NAME...: those that are not installed.
missing_packages() {
  local package
  for package; do
    [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null)" = 'ii ' ] || echo "$package"
  done
}

# install_packages [NAME...]: without a name those above.
install_packages() {
  [ $# -gt 0 ] || set -- "${DEBIAN_PACKAGES[@]}"
  command -v dpkg-query >/dev/null || die "this is no Debian: install by hand what these packages hold: $*"
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "Debian packages are missing; as root: apt-get install ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  local log=$CACHE/logs/apt.log
  mkdir -p "$CACHE/logs"
  # The package lists may be absent or old: asked for anew only when the first try fails.
  apt_install "${missing[@]}" >"$log" 2>&1 ||
    { apt-get update && apt_install "${missing[@]}"; } >>"$log" 2>&1 ||
    die "apt-get could not install ${missing[*]}. Read $log"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 \
    install -y --no-install-recommends "$@" </dev/null
}
