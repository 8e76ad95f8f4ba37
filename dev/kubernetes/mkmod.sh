#!/usr/bin/env bash
# Prints the go.mod of the one-binary Kubernetes. Usage: mkmod.sh VERSION
# k8s.io/kubernetes refers to its staging modules by relative `replace` lines, and those do not
# count in a dependency. They are repeated here by version.
set -euo pipefail
version=$1
go_mod=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
[ -f "$go_mod" ] || { echo "mkmod.sh: the Go module proxy gave no k8s.io/kubernetes v$version" >&2; exit 1; }
grep -E '^go ' "$go_mod" >/dev/null
printf 'module podtask.local/devcluster\n\n%s\n\nrequire k8s.io/kubernetes v%s\n\nreplace (\n' \
  "$(grep -E '^go ' "$go_mod")" "$version"
sed -n 's#^[[:space:]]*\(k8s\.io/[a-z-]*\) => \./staging.*#\1#p' "$go_mod" |
  while read -r module; do printf '\t%s => %s v0.%s\n' "$module" "$module" "${version#1.}"; done
printf ')\n'
