"""The matrix: what is written down of a run, and the page that is made of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.matrix import document, tried
from tests.matrix.entries import ENTRIES, ROAD

TESTS = """
import pytest

def test_good():
    pass

def test_bad():
    assert False

@pytest.mark.skip
def test_skipped():
    pass

@pytest.fixture
def broken():
    raise ValueError

def test_without_its_fixture(broken):
    pass
"""


def report_of(folder: Path, *arguments: str) -> tuple[Path, int]:
    """What pytest itself writes."""
    file = folder / "test_it.py"
    file.write_text(TESTS)
    report = folder / "report.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--junitxml={report}",
        str(file),
        *arguments,
    ]
    return report, subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode


def test_passed_and_failed_tests_are_counted_and_skipped_ones_are_none_of_them(tmp_path: Path) -> None:
    passed, failed = tried.counted(*report_of(tmp_path))
    assert passed == 1
    assert [name.rpartition("::")[2] for name in failed] == ["test_bad", "test_without_its_fixture"]


def test_a_run_without_a_test_has_failed(tmp_path: Path) -> None:
    assert tried.counted(*report_of(tmp_path, "-k", "skipped")) == (0, ("the command",))
    assert tried.counted(tmp_path / "absent.xml", 0) == (0, ("the command",))


@pytest.mark.parametrize(
    ("passed", "failed", "began"),
    [(0, ("the command",), False), (1, ("the command",), True), (0, ("test_bad",), True), (1, (), True)],
)
def test_only_a_run_that_began_is_recorded(passed: int, failed: tuple[str, ...], began: bool) -> None:
    assert tried.Tried("2026-12-01", "0123456789ab", passed, failed).began is began


def test_a_command_that_fails_beside_its_tests_has_failed(tmp_path: Path) -> None:
    report, status = report_of(tmp_path, "-k", "good")
    assert (tried.counted(report, status), status) == ((1, ()), 0)
    assert tried.counted(report, 2) == (1, ("the command",))


def test_the_newest_run_of_each_entry_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tried, "FILE", tmp_path / "tried.json")
    first, second = ENTRIES[0], ENTRIES[1]
    tried.write(first.name, tried.Tried("2026-01-02", "abc", 3, ("test_a::b",)))
    tried.write(second.name, tried.Tried("2026-01-02", "abc", 1200))
    tried.write(first.name, tried.Tried("2026-01-03", "abd", 4, tuple(f"suite::test_{n}" for n in range(7))))
    assert tried.read()[first.name].date == "2026-01-03"
    rows = document.table().splitlines()[2:]
    assert rows[0] == (
        f"| Kubernetes | {first.name} | 2026-01-03 | 4 tests passed, 7 failed: "
        "`test_0`, `test_1`, `test_2`, `test_3`, `test_4` and 2 more |"
    )
    assert rows[1] == f"|  | {second.name} | 2026-01-02 | 1,200 tests passed |"
    assert all("not tried" in row for row in rows[2:])


def test_the_page_is_as_the_record_says() -> None:
    assert document.PATH.read_text() == document.text(), "run 'make generate'"
    assert set(tried.read()) <= {one.name for one in ENTRIES}, "a record of an entry that is not in the table"


def test_every_entry_has_a_command_whose_tests_exist_or_a_reason() -> None:
    top = Path(__file__).parents[2]
    for one in ENTRIES:
        assert bool(one.command) != bool(one.why), one.name
    assert [path for path in ROAD if not (top / path).exists()] == []
    assert len({one.name for one in ENTRIES}) == len(ENTRIES)
