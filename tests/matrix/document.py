"""docs/reference/tried.md from what was tried: `python -m tests.matrix.document`, part of `make generate`."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from tests.matrix import tried
from tests.matrix.entries import ENTRIES, Entry

PATH = Path(__file__).parents[2] / "docs" / "reference" / "tried.md"
HEAD = """\
# What podtask was tried on

<!-- Written by `make generate` from tests/matrix/tried.json, which `make matrix` writes. -->

podtask meets parts of other people: Kubernetes, an S3 server, Python, Helm. `make matrix` runs tests of podtask on each
version below and writes this table. `make test` itself runs on the versions of `dev/versions.env`. "Not tried" means
that no run is on record, not that it does not work. If you try another version, `python -m tests.matrix --list` shows
the names, and a report is welcome.
"""
MOST = 5
"""Failed tests that are named."""


def text() -> str:
    """The whole page."""
    return f"{HEAD}\n{table()}"


def table() -> str:
    """One row for each entry."""
    results = tried.read()
    lines = ["| | Part | Tried | Result |", "|---|---|---|---|"]
    for axis, entries in groupby(ENTRIES, lambda one: one.axis):
        for number, entry in enumerate(entries):
            lines.append(f"| {axis if number == 0 else ''} | {entry.name} | {_row(entry, results.get(entry.name))} |")
    return "\n".join([*lines, ""])


def _row(entry: Entry, result: tried.Tried | None) -> str:
    if result is None:
        return f"not tried | {entry.why}"
    if not result.failed:
        return f"{result.date} | {result.passed:,} tests passed"
    named = ", ".join(f"`{one.rpartition('::')[2]}`" for one in result.failed[:MOST])
    more = f" and {len(result.failed) - MOST} more" if len(result.failed) > MOST else ""
    return f"{result.date} | {result.passed:,} tests passed, {len(result.failed)} failed: {named}{more}"


def write() -> None:
    PATH.write_text(text())


if __name__ == "__main__":
    write()
