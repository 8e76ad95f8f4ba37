"""A component of the development cluster is away for a while. Other clusters have no such switch."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.cluster.kit import ROOT, needed

CLUSTER = str(ROOT / "dev" / "cluster")


def switchable() -> None:
    """Skip where KUBECONFIG is not that of dev/cluster: nothing here can stop the components of another cluster."""
    told = subprocess.run([CLUSTER, "env"], text=True, capture_output=True, check=False).stdout
    if f"KUBECONFIG={needed('KUBECONFIG')}\n" not in told:
        pytest.skip("only dev/cluster can stop its S3 server and its API server; KUBECONFIG names another cluster")


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
