"""Writes what the chart repeats from elsewhere: the CRDs from crds/, and the README's table from values.yaml.

python charts/generate.py            writes
python charts/generate.py --check    writes nothing, and fails if something would change
"""
# ruff: noqa: INP001 - a script, not a package

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

TOP = Path(__file__).resolve().parent.parent
CHART = TOP / "charts" / "podtask"
CRDS = ("taskruns.podtask.dev.yaml", "flowruns.podtask.dev.yaml", "warmpools.podtask.dev.yaml")
BEGIN, END = "<!-- values: made by charts/generate.py -->\n", "<!-- end of values -->\n"


class Value(NamedTuple):
    """A row of the table."""

    key: str
    default: Any
    description: str


def generated() -> dict[Path, str]:
    """Every generated file and the text it should have."""
    readme = CHART / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return {
        **{CHART / "files" / name: (TOP / "crds" / name).read_text() for name in CRDS},
        readme: before + BEGIN + table(documented((CHART / "values.yaml").read_text())) + END + after,
    }


def documented(text: str) -> list[Value]:
    """The keys of values.yaml that have a comment right above, but for those that only hold such keys."""
    comments = dict(_comments(text))
    keys = [key for key in comments if not any(other.startswith(f"{key}.") for other in comments)]
    values = yaml.safe_load(text)
    return [Value(key, _lookup(values, key), comments[key]) for key in keys]


def _comments(text: str) -> Iterator[tuple[str, str]]:
    path: list[tuple[int, str]] = []
    pending: list[str] = []
    for line in text.splitlines():
        key = re.match(r"( *)([A-Za-z]\w*):", line)
        if line.lstrip().startswith("#"):
            pending.append(line.strip(" #"))
            continue
        if key:
            indent = len(key[1])
            path = [*(step for step in path if step[0] < indent), (indent, key[2])]
            if pending:
                yield ".".join(name for _, name in path), " ".join(pending)
        pending = []


def _lookup(values: Mapping[str, Any], key: str) -> Any:
    found: Any = values
    for step in key.split("."):
        found = found[step]
    return found


def table(values: list[Value]) -> str:
    """The rows as Markdown."""
    rows = [f"| `{v.key}` | {_cell(v.default)} | {v.description.replace('|', chr(92) + '|')} |" for v in values]
    return "\n".join(["| Value | Default | Meaning |", "|---|---|---|", *rows]) + "\n"


def _cell(default: Any) -> str:
    return "" if default == "" else f"`{json.dumps(default)}`"


def main(arguments: list[str]) -> int:
    """Exit code 0: nothing had to change, or it is written."""
    stale = {path: text for path, text in generated().items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if "--check" in arguments:
            print(f"{path.relative_to(TOP)} is stale: run python charts/generate.py", file=sys.stderr)
        else:
            path.write_text(text)
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
