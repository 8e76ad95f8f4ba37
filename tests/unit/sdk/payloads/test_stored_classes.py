"""Objects of the project's classes in stored results, read by another state of the project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.travel import SDK, Lab, written
from tests.unit.runner.harness import Attempt

SHOP = """
    import enum
    from dataclasses import dataclass

    class Base:
        def name(self): return "base"

    @dataclass
    class Row(Base):
        x: int = 1

    class Kind(enum.Enum):
        ONE = 1
        TWO = 2

    def rows():
        return [Row(1), Row(2), Kind.TWO, Row]
"""
READ = """
import logging, sys
from pathlib import Path
from podtask_runner.serialization.pickling import loads
logging.basicConfig(format="%(message)s")
for _ in range(2):
    rows = loads(Path(sys.argv[1]))
import shop
print(rows, type(rows[0]) is rows[3] is shop.Row, rows[2] is shop.Kind.TWO)
"""
LIKE_BEFORE = "[Row(x=1), Row(x=2), <Kind.TWO: 2>, <class 'shop.Row'>] True True\n"
WARNING = "The class Row of the module 'shop' is defined otherwise here"
CHANGES = {
    "nothing": ("", "", False),
    "a comment": ("x: int = 1", "x: int = 1  # a comment", False),
    "another function": ("return [Row(1)", "return [Row(3)", False),
    "a field": ("x: int = 1", "x: int = 1\n        y: int = 2", True),
    "a method": ("x: int = 1", "x: int = 1\n        def more(self): pass", True),
    "a base's method": ('return "base"', 'return "other"', True),
    "a decorator's option": ("@dataclass", "@dataclass(order=True)", True),
}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A result that a task stored."""
    lab = Lab(tmp_path, Attempt(tmp_path / "attempt"))
    written(tmp_path / "project", {"shop.py": SHOP})
    lab.send("import shop\nsend(shop.rows)")
    ran = lab.run()
    assert ran.outcome.result is not None, ran.stderr
    path = tmp_path / "result"
    path.write_bytes(lab.attempt.path("result").read_bytes())
    return path


def read(stored: Path, project: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": f"{SDK}:{project}"}
    command = [sys.executable, "-c", READ, str(stored)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd="/")


@pytest.mark.parametrize("change", CHANGES)
def test_the_reader_has_its_own_class_and_hears_once_of_another_definition(
    change: str, stored: Path, tmp_path: Path
) -> None:
    old, new, warns = CHANGES[change]
    done = read(stored, written(tmp_path / "reader", {"shop.py": SHOP.replace(old, new)}))
    assert done.returncode == 0, done.stderr
    assert (done.stdout == LIKE_BEFORE) is (change != "a field")
    assert "True True" in done.stdout
    assert done.stderr.count(WARNING) == warns
    assert len(done.stderr.splitlines()) == warns


def test_a_module_that_is_not_there_is_named(stored: Path, tmp_path: Path) -> None:
    done = read(stored, written(tmp_path / "reader", {"other.py": ""}))
    assert "ModuleNotFoundError: No module named 'shop'" in done.stderr


def test_a_class_that_is_not_there_any_more_is_named(stored: Path, tmp_path: Path) -> None:
    done = read(stored, written(tmp_path / "reader", {"shop.py": SHOP.replace("Row", "Line")}))
    assert "the module 'shop' has no class 'Row' here; read it with the code that it was stored with" in done.stderr
