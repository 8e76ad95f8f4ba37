"""What the code says of itself can be followed by a reader of this repository alone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ELSEWHERE = re.compile(r"\bthe seed\b|(?<!\w)\(seed\b|\bSeed: |[-;] seed\b|\b[Dd]esign: ")
"""A document that is not here. Say "Prefect 2.0 beta" (docs/differences.md), or name a page of docs/."""


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--", "*.py", "*.md", "*.yaml", "*.yml", "dev", "Makefile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for path in listed.stdout.splitlines() if path != Path(__file__).relative_to(ROOT).as_posix()]


def test_no_file_refers_to_a_document_that_is_not_here() -> None:
    offenders = {path for path in tracked() if (ROOT / path).is_file() and ELSEWHERE.search((ROOT / path).read_text())}
    assert offenders == set()


@pytest.mark.parametrize("folder", ["docs", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "charts", "crds"])
def test_what_is_published_refers_to_none(folder: str) -> None:
    top = ROOT / folder
    files = [top] if top.is_file() else [path for path in top.rglob("*") if path.suffix in {".md", ".yaml", ".svg"}]
    assert [str(path.relative_to(ROOT)) for path in files if ELSEWHERE.search(path.read_text())] == []


@pytest.mark.parametrize(
    ("text", "refers"),
    [
        ("as in the seed.", True),
        ("is a miss (design: taskrun-api, Cache)", True),
        ("(seed, engine.py)", True),
        ("# noqa: FBT001 - seed", True),
        ("Design: taskrun-api, Grants.", True),
        ("with every hash seed, on Python 3.10", False),
        ("def throw_darts(seed: int)", False),
        ("default_rng(seed)", False),
    ],
)
def test_what_counts_as_a_reference(text: str, refers: bool) -> None:
    assert bool(ELSEWHERE.search(text)) is refers
