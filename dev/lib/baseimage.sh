# shellcheck shell=bash
# The base image of a machine that reaches Debian's packages and no image registry: the stand-in for
# python:3.11-slim. Made once, kept in the cache as an OCI layout.

build_base() {
  # usr-is-merged in place of usrmerge saves all of Perl.
  local packages=python3,python3-venv,ca-certificates,usr-is-merged path options=()
  for path in /usr/share/{man,info,locale,doc,lintian,bash-completion} '/usr/lib/*/gconv'; do
    options+=(--dpkgopt="path-exclude=$path/*")
  done
  # The lists of packages name the mirror that this machine happens to use: they are taken out.
  # shellcheck disable=SC2016  # $1 is mmdebstrap's
  mmdebstrap --variant=essential --include="$packages" "${options[@]}" \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --customize-hook='cd "$1" && rm -f etc/apt/sources.list etc/resolv.conf etc/hostname var/cache/debconf/*' \
    "$DEBIAN_SUITE" base.tar
  local container
  container=$(buildah_ from scratch)
  buildah_ add --quiet "$container" base.tar / >/dev/null
  buildah_ config --env PATH=/usr/local/bin:/usr/bin:/bin --cmd python3 "$container"
  buildah_ commit --quiet --rm "$container" "oci:podtask-base:$DEBIAN_SUITE" >/dev/null
  rm base.tar
}

# Storage of our own: the machine's is left alone.
buildah_() { buildah --root "$CACHE/buildah/storage" --runroot "$CACHE/buildah/run" "$@"; }
