"""Every example runs, here and in subprocesses; on a cluster it is run by tests/cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
SAID = {
    "hello": "['hello ada', 'hello alan']",
    "retries": "page 2, attempt 3",
    "caching": "332833500",
    "fan_out": "pi is about 3.1",
    "async_flow": "['HELLO ADA', 'HELLO ALAN']",
}


@pytest.mark.parametrize("backend", ["local", "process"])
@pytest.mark.parametrize("name", SAID)
def test_the_example_says_what_it_should(name: str, backend: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PODTASK_BACKEND": backend, "PODTASK_HOME": str(tmp_path)}
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert SAID[name] in done.stdout


def test_the_second_run_of_the_caching_example_computes_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "PODTASK_BACKEND": "local", "PODTASK_HOME": str(tmp_path)}
    command = [sys.executable, str(EXAMPLES / "caching.py")]
    said = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout for _ in "12"]
    assert "computing" in said[0]
    assert "computing" not in said[1]
    assert said[1].count("Cached") == 2
