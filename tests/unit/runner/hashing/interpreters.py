"""Every Python minor of this machine that podtask runs on, and processes there that answer with hashes.

Used by the tests that say "the same in every process": each worker is a fresh interpreter with a hash seed of its own,
which has nothing but the standard library and the runner package.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.unit.runner.harness import RUNNER

OLDEST = (3, 10)
SEEDS = ("0", "1", "2")


@functools.cache
def interpreters() -> dict[str, str]:
    """Minor -> interpreter: this one, those of pyenv, and `python3.N` on PATH. Fails where there is only one."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    folders = [*sorted(_pyenv().glob("versions/3.*/bin")), *map(Path, os.get_exec_path())]
    for folder in folders:
        for path in folder.glob("python3.*"):
            name = re.fullmatch(r"python(3\.(\d+))", path.name)
            if name is not None and int(name[2]) >= OLDEST[1] and name[1] not in found and _starts(path):
                found[name[1]] = str(path)
    if len(found) < 2:
        raise AssertionError(
            "Only one Python minor was found, and hashes are to be equal on all of them: install a second one from"
            " 3.10 on, such as `pyenv install 3.10`, or put its `python3.10` on PATH."
        )
    return dict(sorted(found.items(), key=lambda item: int(item[0].partition(".")[2])))


def _pyenv() -> Path:
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        return Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return Path(subprocess.run([pyenv, "root"], capture_output=True, text=True, check=True).stdout.strip())


def _starts(path: Path) -> bool:
    """A shim of pyenv may stand for a version that is not chosen."""
    return subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0


class Worker:
    """A Python process that runs a script of ours: a line of JSON in, a line of JSON out."""

    def __init__(self, script: Path, interpreter: str = sys.executable, seed: str = "0") -> None:
        self._process = subprocess.Popen(
            [interpreter, "-W", "error", str(script)],
            env={**os.environ, "PYTHONPATH": RUNNER, "PYTHONHASHSEED": seed},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, question: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the worker died; its traceback is on stderr"
        return json.loads(line)

    def close(self) -> None:
        self._process.communicate(timeout=30)


def ask_all(workers: list[Worker], question: Any) -> list[Any]:
    """What each of them answers; they think at the same time."""
    for worker in workers:
        worker.send(question)
    return [worker.answer() for worker in workers]
