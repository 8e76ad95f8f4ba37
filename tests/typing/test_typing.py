"""The files for type checkers, checked by mypy and by pyright; what they mark as wrong must be an error to both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FILES = sorted(str(path) for path in HERE.glob("*calls.py"))
BIN = Path(sys.executable).parent
COMMANDS = [("mypy", "--strict"), ("pyright", "--pythonpath", sys.executable)]
IDS = ["mypy", "pyright"]


def checked(*command: str) -> subprocess.CompletedProcess[str]:
    words = [str(BIN / command[0]), *command[1:]]
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    return subprocess.run(
        words, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", COMMANDS, ids=IDS)
def test_type_checkers_infer_what_the_files_say_and_refuse_what_they_mark(command: tuple[str, ...]) -> None:
    assert FILES
    done = checked(*command, *FILES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=IDS)
def test_a_wrong_argument_that_nobody_marked_is_found(tmp_path: Path, command: tuple[str, ...]) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from podtask import task\n\n\n@task\ndef add(x: int) -> int:\n    return x\n\n\nadd('1')\n")
    done = checked(*command, str(wrong))
    assert done.returncode == 1
    assert "wrong.py:9:" in done.stdout, done.stdout + done.stderr
