"""docs/differences.md from the table: `python -m tests.differential.document`, part of `make generate`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.differential.beyond import BEYOND, Beyond
from tests.differential.differences import BETA_BUGS, ON_PURPOSE
from tests.differential.table import Difference

PATH = Path(__file__).parents[2] / "docs" / "differences.md"
HEAD = """\
# Where podtask differs from Prefect 2.0 beta

<!-- Written by `make generate` from the table in tests/differential/differences.py. -->

podtask implements the task API of the Prefect 2.0 beta anew. The same scripts run against `prefect==2.0b5` and against
podtask in the tests, and their states, messages, run counts, exceptions and results are compared fact by fact.
Everything that differs is on this page; a difference that is not, fails the tests.
"""
BEYOND_HEAD = "What the trace of one script does not show; each has tests of its own.\n"


def text() -> str:
    """The whole page."""
    return "\n".join(
        [
            HEAD,
            *_section("On purpose", ON_PURPOSE),
            *_section("Beyond the traces", BEYOND, BEYOND_HEAD),
            *_section("Bugs of the beta, not repeated", BETA_BUGS),
        ]
    )


def _section(title: str, rows: Iterable[Difference | Beyond], *words: str) -> list[str]:
    lines = [f"## {title}\n", *words, "| | Prefect 2.0b5 | podtask | why |", "|---|---|---|---|"]
    lines += [f"| {row.name} | {row.beta} | {row.podtask} | {row.why} |" for row in rows]
    return [*lines, ""]


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(text())
