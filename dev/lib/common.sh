# shellcheck shell=bash
# Shared by every script of dev/: where things are, how to speak, how to wait.
# Sourced first; DEV is the folder dev/ of this checkout.

DEV=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
REPO=$(dirname "$DEV")
CACHE=${PODTASK_CACHE:-$HOME/.cache/podtask}
# shellcheck source=../versions.env
source "$DEV/versions.env"

say() { printf '%4ds  %s\n' "$SECONDS" "$*" >&2; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# wait_until SECONDS "what" "where to look" COMMAND...: polls COMMAND until it succeeds.
# A component has no event to wait on before it serves, hence a short poll with an end.
wait_until() {
  local deadline=$((SECONDS + $1)) what=$2 hint=$3
  shift 3
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || die "gave up waiting for $what. $hint"
    sleep 0.1
  done
}

# require COMMAND "what to do about it"
require() { command -v "$1" >/dev/null || die "$1 is missing: $2"; }

# hash_of: a short name for everything on standard input.
hash_of() { sha256sum | cut -c1-12; }
