# shellcheck shell=bash
# Environments of other products, to compare with: exactly a hashed requirements file, in the per-user cache.

# peer NAME PYTHON...: builds the environment of requirements/NAME.txt with the first PYTHON there is, unless it
# exists, and prints its interpreter.
peer() {
  local name=$1 file="$REPO/requirements/$1.txt" python folder
  shift
  python=$(first_python "$@") || die "$name needs $1, and there is none: install it, for example with pyenv or uv"
  folder=$CACHE/$name-$({ cat "$file" && "$python" -VV; } | hash_of)
  if [ ! -e "$folder/ready" ]; then
    mkdir -p "$CACHE"
    (
      flock 9
      [ ! -e "$folder/ready" ] || exit 0
      say "building the environment of $name (a minute)"
      "$python" -m venv --clear "$folder"
      "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$file" >&2
      touch "$folder/ready"
    ) 9>"$CACHE/$name.lock"
  fi
  echo "$folder/bin/python"
}

# first_python COMMAND...: the first that runs, on PATH or among pyenv's versions.
first_python() {
  local candidate
  for candidate in "$@" $(for name in "$@"; do ls -d "$HOME/.pyenv/versions/${name#python}".*/bin/python; done 2>/dev/null); do
    "$candidate" -c 'import ensurepip' 2>/dev/null && { echo "$candidate"; return; }
  done
  return 1
}
