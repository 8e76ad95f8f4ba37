"""What was tried of the matrix, and what came out: `tried.json` beside this file, which `make matrix` writes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

FILE = Path(__file__).with_name("tried.json")
COMMAND = "the command"
"""Stands for a test's name where no test failed."""


@dataclass(frozen=True)
class Tried:
    """One run of one entry's command."""

    date: str
    """ISO, UTC."""
    commit: str
    """Of podtask, abbreviated; `+` where the checkout had changes."""
    passed: int
    failed: tuple[str, ...] = ()
    """Names of the tests; `the command` where it ended otherwise than by a test."""

    @property
    def began(self) -> bool:
        """False where no test ran: that is a fault of this machine, and says nothing about the part."""
        return bool(self.passed) or self.failed != (COMMAND,)


def read() -> dict[str, Tried]:
    """By the entry's name."""
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    return {name: Tried(**{**one, "failed": tuple(one["failed"])}) for name, one in kept.items()}


def write(name: str, tried: Tried) -> None:
    """The newest of each entry stays."""
    every = {**read(), name: tried}
    FILE.write_text(json.dumps({one: asdict(every[one]) for one in sorted(every)}, indent=2) + "\n")


def counted(report: Path, status: int) -> tuple[int, tuple[str, ...]]:
    """How many passed, and what failed, of pytest's JUnit file and the command's exit status.

    A command that ran no test at all has failed, whatever its status.
    """
    cases = list(ET.parse(report).iter("testcase")) if report.exists() else []
    failed = [
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    passed = sum(case.find("skipped") is None for case in cases) - len(failed)
    if not failed and (status or not passed):
        failed = [COMMAND]
    return passed, tuple(failed)
