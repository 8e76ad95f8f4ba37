"""What a supervisor may load: every import delays every task."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.unit.runner.harness import RUNNER

HEAVY = [
    "cloudpickle",
    "pickle",
    "asyncio",
    "urllib.request",
    "http.client",
    "ssl",
    "tempfile",
    "random",
    "subprocess",
    "ctypes",
]


def loaded_by(module: str) -> set[str]:
    code = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": RUNNER}, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", HEAVY)
def test_the_supervisor_does_not_load(module: str) -> None:
    assert module not in loaded_by("podtask_runner.process.supervisor")


@pytest.mark.parametrize(
    "module",
    [
        "protocol",
        "serialization.header",
        "hashing.encoder",
        "hashing.code",
        "attempt.context",
        "errors",
    ],
)
def test_no_cloudpickle_comes_with(module: str) -> None:
    assert "cloudpickle" not in loaded_by(f"podtask_runner.{module}")
