"""Writes the generated parts of docs/: `python -m dev.docs` from the top folder, part of `make generate`.

python -m dev.docs --check     writes nothing, and fails if something would change
"""

from __future__ import annotations

import sys

from dev.docs import generated
from dev.docs.paths import TOP


def main(arguments: list[str]) -> int:
    """Exit code 0: nothing had to change, or it is written."""
    stale = generated.stale()
    for path, text in stale.items():
        if "--check" in arguments:
            print(f"{path.relative_to(TOP)} is stale: run 'make generate'", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
