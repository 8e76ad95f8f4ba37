"""Operators as processes of the tests: started for some namespaces, stopped, killed.

The one that Helm installed serves all namespaces; while these run, it is scaled to nothing (`without_installed`).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.kit import ROOT, Refused, kubectl, needed

SYSTEM, DEPLOYMENT = "podtask-system", "deployment/podtask"
RUNNERS = {"3.11": "podtask.local/runner:dev-py3.11"}
WITH_US = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
"""An operator left over from a test session that was killed would be a second one in the next session's namespaces."""
SOURCES = ("sdk", "operator", "runner-image", ".")


class Operator:
    """`python -m podtask_operator`, or another module that starts one, for some namespaces."""

    def __init__(self, folder: Path, *namespaces: str, module: str = "podtask_operator", **environment: str) -> None:
        self.log = folder / f"operator-{time.monotonic_ns()}.log"
        self.port = free_port()
        asked = {
            "PODTASK_WATCH_NAMESPACES": ",".join(namespaces),
            "PODTASK_RUNNER_IMAGES": json.dumps(RUNNERS),
            "PODTASK_HEALTH_PORT": str(self.port),
            # As a container that is started again: the successor of one that was killed need not wait for its Lease.
            "PODTASK_IDENTITY": "operator-of-the-tests",
            "PODTASK_LOG_FORMAT": "text",
            "PYTHONPATH": os.pathsep.join(str(ROOT / source) for source in SOURCES),
        }
        needed("PODTASK_STORE")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*WITH_US, sys.executable, "-m", module],
                env={**os.environ, **asked, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def health(self) -> Mapping[str, object]:
        """What `/healthz` answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
            told: dict[str, object] = json.load(answer)
            return told

    def ready(self) -> Mapping[str, object]:
        """What `/readyz` answers; without an answer yet, nothing."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                told: dict[str, object] = json.load(answer)
        except urllib.error.HTTPError as refusal:
            told = json.load(refusal)
        except OSError:
            return {}
        return told

    def kill(self) -> None:
        """SIGKILL: no last words."""
        self._process.kill()
        self._process.wait(10)

    def freeze(self) -> None:
        """SIGSTOP: as a process on a machine that hangs."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self, seconds: float = 30) -> float:
        """SIGTERM; how many seconds it took to end. A process that stays is killed, and the test fails."""
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the operator did not end within {seconds:g} s of SIGTERM; {self.told()}") from None
        return time.monotonic() - began

    def end(self) -> None:
        """Whatever state it is in: it runs no longer."""
        if self.alive:
            self.kill()

    def died(self, seconds: float = 90) -> int:
        """Wait until the process has ended by itself; its return code, negative for a signal."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the operator was to end by itself within {seconds:g} s; {self.told()}") from None

    def told(self) -> str:
        """The end of its log."""
        return f"its log ends with\n{self.log.read_text(errors='replace')[-3000:]}"


@contextmanager
def without_installed() -> Iterator[None]:
    """While it lasts, the operator that Helm installed (if any) does not run."""
    try:
        before = kubectl("get", DEPLOYMENT, "--namespace", SYSTEM, "-o", "jsonpath={.spec.replicas}")
    except Refused as refusal:
        if "not found" not in str(refusal).lower():
            raise
        yield
        return
    _scale("0")
    try:
        yield
    finally:
        _scale(before)


def _scale(replicas: str) -> None:
    kubectl("scale", DEPLOYMENT, "--namespace", SYSTEM, f"--replicas={replicas}")
    if replicas == "0":
        kubectl("wait", "pods", "--namespace", SYSTEM, "--all", "--for=delete", "--timeout=90s")
    else:
        kubectl("rollout", "status", DEPLOYMENT, "--namespace", SYSTEM, "--timeout=90s")


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as any_port:
        any_port.bind((host, 0))
        port: int = any_port.getsockname()[1]
        return port
