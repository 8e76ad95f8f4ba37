"""A component of the development cluster is away for a while. Other clusters have no such switch."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.cluster.kit import ROOT, needed

FOREIGN = "PODTASK_TEST_FOREIGN_CLUSTER"
CLUSTER = str(ROOT / "dev" / "cluster")


def switchable() -> None:
    """Fail where KUBECONFIG is not that of dev/cluster: nothing here can stop the components of another cluster.

    Who runs the tests on another cluster knows that, and says so by `FOREIGN`; only then they are skipped.
    """
    told = subprocess.run([CLUSTER, "env"], text=True, capture_output=True, check=False).stdout
    if f"KUBECONFIG={needed('KUBECONFIG')}\n" not in told:
        why = "only dev/cluster can stop its own components, and KUBECONFIG names another cluster"
        if os.environ.get(FOREIGN) == "1":
            pytest.skip(why)
        pytest.fail(f"{why}; to leave such tests out there, set {FOREIGN}=1", pytrace=False)


@contextmanager
def away(component: str, seconds: float, *how: str) -> Iterator[None]:
    """Stop a component; what the caller does inside happens while it is away, for so many seconds in all."""
    over = threading.Event()
    timer = threading.Timer(seconds, over.set)
    _cluster("stop", component, *how)
    timer.start()
    try:
        yield
        over.wait()
    finally:
        timer.cancel()
        _cluster("start", component)


def _cluster(*words: str) -> None:
    done = subprocess.run([CLUSTER, *words], text=True, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, f"dev/cluster {' '.join(words)}: {done.stderr}"
