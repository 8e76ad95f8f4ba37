"""Drivers as processes of the tests: real scripts of users that are interrupted, killed and started again.

Used by: `test_drivers`. Beside: `operator_process`, which does the same with operators.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Started in the background, as CI may be, a process inherits that it ignores SIGINT; a terminal's does not.
TAKES_INTERRUPTS = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"


@contextmanager
def driver(folder: Path, script: str, namespace: str, pin: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`python driver.py` on the cluster, with the flow run id `pin`; killed at the end if it is still there."""
    file = folder / "driver.py"
    file.write_text(TAKES_INTERRUPTS + script)
    settings = {
        "PODTASK_BACKEND": "kubernetes",
        "PODTASK_NAMESPACE": namespace,
        "PODTASK_FLOW_RUN_ID": pin,
        "PODTASK_HOME": str(folder / "home"),
        "PODTASK_PROGRESS": "off",
    }
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(
        [sys.executable, "-u", str(file)], env={**os.environ, **settings, **environment}, cwd=folder, **pipes
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def lines_of(process: subprocess.Popen[str], count: int) -> list[str]:
    """The next lines of its standard output; fails with what it complains of where there are no more."""
    assert process.stdout is not None
    found = [process.stdout.readline().rstrip("\n") for _ in range(count)]
    if not found[-1]:
        _, said = process.communicate(timeout=60)
        raise AssertionError(f"the driver ended after {found}: {said[-2000:]}")
    return found
