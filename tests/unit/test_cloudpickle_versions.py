"""The lowest and the newest cloudpickle that pyproject.toml allows, each in an environment of its own.

Such an environment has the one package in that version (`requirements/cloudpickle-*.txt`, written by `make lock`), and
everything else from the environment of the tests. What is tried there: what travels, both ways, and tracebacks.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOUNDS = ("lowest", "highest")
TRIED = [
    "tests/unit/runner/script",
    "tests/unit/runner/serialization",
    "tests/unit/runner/test_bundle.py",
    "tests/unit/sdk/payloads",
    "tests/conformance/test_classes.py",
    "tests/conformance/test_exceptions.py",
    "tests/conformance/test_failures.py",
    "tests/conformance/test_methods.py",
    "tests/conformance/test_projects.py",
    "tests/conformance/test_values.py",
]
SCRIPT = """
import dataclasses, enum, functools, pathlib, sys
from podtask_runner.serialization.pickling import dump_payload

class Color(enum.Enum):
    RED = "r"
    CRIMSON = "r"

@dataclasses.dataclass(slots=True)
class Row:
    color: Color

@functools.lru_cache
def helper(x):
    return 1 / x

def work(x):
    row = Row(Color.CRIMSON)
    return [row.color is Color.RED, hasattr(row, "__dict__"), helper(x)]

pathlib.Path(sys.argv[1]).write_bytes(dump_payload(work))
"""
READER = """
import pathlib, sys, traceback
from podtask_runner.serialization.pickling import loads

work = loads(pathlib.Path(sys.argv[1]).read_bytes())
print(work(1))
try:
    work(0)
except ZeroDivisionError:
    traceback.print_exc(file=sys.stdout)
"""


def pinned(bound: str) -> str:
    """The version in the file of that bound."""
    found = re.search(
        r"^cloudpickle==(\S+)", (ROOT / f"requirements/cloudpickle-{bound}.txt").read_text(), re.MULTILINE
    )
    assert found is not None
    return found[1]


def test_the_lowest_is_what_the_project_allows_and_the_lock_lies_between() -> None:
    allowed = re.search(r'"cloudpickle>=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    locked = re.search(r"^cloudpickle==(\S+)", (ROOT / "requirements/runner.txt").read_text(), re.MULTILINE)
    assert allowed is not None
    assert locked is not None
    lowest, ours, highest = (
        [int(part) for part in each.split(".")] for each in (pinned("lowest"), locked[1], pinned("highest"))
    )
    bound = [int(part) for part in allowed[1].split(".")]
    assert lowest == bound + [0] * (len(lowest) - len(bound))
    assert lowest <= ours <= highest


@pytest.fixture(scope="module")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An interpreter for each bound."""
    made = {}
    for bound in BOUNDS:
        folder = tmp_path_factory.mktemp(f"cloudpickle-{bound}")
        made[bound] = folder / "bin/python"
        run(sys.executable, "-m", "venv", str(folder))
        own = run(str(made[bound]), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        ours = sysconfig.get_path("purelib")  # behind the environment's own, with its .pth files: podtask is there
        (Path(own) / "behind.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
        requirements = str(ROOT / f"requirements/cloudpickle-{bound}.txt")
        install = ("install", "--quiet", "--ignore-installed", "--no-deps", "--require-hashes", "-r", requirements)
        run(str(made[bound]), "-m", "pip", "--disable-pip-version-check", *install)
        answer = run(str(made[bound]), "-c", "import cloudpickle; print(cloudpickle.__version__)")
        assert answer.strip() == pinned(bound)
    return made


def run(*command: str, cwd: Path = ROOT) -> str:
    """What it prints."""
    done = subprocess.run(command, cwd=cwd, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bound", BOUNDS)
def test_what_travels_and_tracebacks_are_the_same_with(pythons: dict[str, Path], bound: str, tmp_path: Path) -> None:
    base = ("--basetemp", str(tmp_path / "tests"), "-p", "no:cacheprovider")
    said = run(str(pythons[bound]), "-m", "pytest", "-q", "-m", "not cluster and not long", *base, *TRIED)
    counted = re.search(r"^(\d+) passed", said, re.MULTILINE)
    assert counted is not None, said
    assert int(counted[1]) > 500
    assert "failed" not in said


@pytest.mark.long
@pytest.mark.parametrize(("writer", "reader"), list(itertools.product(BOUNDS, BOUNDS)))
def test_what_one_version_writes_another_reads_with_file_and_line(
    pythons: dict[str, Path], tmp_path: Path, writer: str, reader: str
) -> None:
    """A driver and its pods need not have the same one."""
    home, pod = tmp_path / "home", tmp_path / "pod"
    home.mkdir()
    pod.mkdir()
    (home / "script.py").write_text(SCRIPT)
    run(str(pythons[writer]), "script.py", str(pod / "code"), cwd=home)
    (home / "script.py").unlink()
    said = run(str(pythons[reader]), "-c", READER, "code", cwd=pod)
    assert said.startswith("[True, False, 1.0]\n")
    assert 'script.py", line 15, in helper\n    return 1 / x\n' in said
    assert 'script.py", line 19, in work\n    return [row.color is Color.RED' in said
