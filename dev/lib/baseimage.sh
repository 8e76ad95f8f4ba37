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

# The interpreter that images of another minor take along.
python_of() {
  local python
  python=$(first_python "python$1") ||
    die "the runner image for Python $1 needs python$1, and there is none: install it, for example by pyenv install $1"
  "$python" -c 'import sys; print(sys.executable)'
}

# python_base_reference MINOR: changes with the interpreter and with the base below it.
python_base_reference() {
  local python
  python=$(python_of "$1")
  echo "localhost/podtask-base-py$1:$({ tool_dir base; declare -f build_python_base; "$python" -VV; } | hash_of)"
}

# build_python_base MINOR: the stand-in for python:MINOR-slim where MINOR is not Debian's: the base image with this
# machine's interpreter under /usr/local. Called in the folder of the base.
build_python_base() {
  local reference python prefix container work
  reference=$(python_base_reference "$1")
  [ -z "$(buildah_ images -q "$reference" 2>/dev/null)" ] || return 0
  python=$(python_of "$1")
  prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
  work=$(mktemp -d)
  # Without what no task needs, and without what somebody installed there; bytecode names the places of this machine.
  tar -C "$prefix" -cf "$work/python.tar" --exclude=__pycache__ --exclude='*.a' --exclude='config-*' --exclude=site-packages \
    --exclude=test --exclude=tests --exclude=idlelib --exclude=tkinter --exclude=turtledemo --exclude=lib2to3 \
    --exclude='_tkinter*.so' --exclude='_test*.so' \
    "bin/python$1" bin/python3 "lib/python$1" $(cd "$prefix" && ls lib/libpython*.so* 2>/dev/null)
  container=$(buildah_ from "oci:podtask-base:$DEBIAN_SUITE")
  buildah_ add --quiet "$container" "$work/python.tar" /usr/local/ >/dev/null
  rm -r "$work"
  buildah_ run --isolation chroot "$container" -- sh -c "
    mkdir -p /usr/local/lib/python$1/site-packages && /sbin/ldconfig &&
    python3 -m compileall -q --invalidation-mode unchecked-hash /usr/local/lib/python$1"
  buildah_ commit --quiet --rm "$container" "$reference" >/dev/null
}

# Storage of our own: the machine's is left alone.
buildah_() { buildah --root "$CACHE/buildah/storage" --runroot "$CACHE/buildah/run" "$@"; }
