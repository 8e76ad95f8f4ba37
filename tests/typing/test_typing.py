"""The files for type checkers, checked. pyright reads them too, by its own configuration (`make lint`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_mypy_infers_what_the_files_say_and_refuses_what_they_mark() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", str(HERE / "calls.py")]
    done = subprocess.run(command, cwd=HERE.parent.parent, capture_output=True, text=True, check=False)
    ours = [line for line in done.stdout.splitlines() if line.startswith("tests/typing")]
    assert not ours, "\n".join(ours)
    assert "Success" in done.stdout or "Found" in done.stdout, f"mypy did not run: {done.stderr}"
