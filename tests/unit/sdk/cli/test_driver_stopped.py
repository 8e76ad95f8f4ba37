"""SIGTERM in a driver that is a TaskRun: a real runner with a real flow, against the small API server.

An eviction leaves the flow's runs to the next attempt; only `spec.cancel` of the driver's own TaskRun ends them.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.runner.harness import Attempt, Ran
from tests.unit.sdk.backends.kubernetes.harness import result
from tests.unit.sdk.cli.apiserver import Cluster, Refuse, serving
from tests.unit.sdk.cli.conftest import KUBECONFIG

from podtask.core.api.names import PLURAL
from podtask.engine.flow_engine import run_id_of
from podtask_runner.protocol import Code, Grants, Verdict

HEAD = """
from podtask import flow, task

@task
def slow(x):
    return x
"""
SYNC = """
@flow
def etl():
    future = slow(7)
    print("ready", flush=True)
    return future.result()
"""
ASYNC = """
import asyncio

@task
async def later(x):
    return x

async def ticking():
    # asyncio may go to sleep between a signal and its handler (CPython); a loop with timers wakes up for it.
    while True:
        await asyncio.sleep(0.05)

@flow
async def etl():
    awake = asyncio.ensure_future(ticking())
    future = await later(7)
    print("ready", flush=True)
    return await future.result()
"""
SUBFLOW = """
@flow
def inner():
    future = slow(7)
    print("ready", flush=True)
    return future.result()

@flow
def etl():
    slow(8)
    return inner()
"""
FORKS = """
import multiprocessing, time

@flow
def etl():
    print("ready", flush=True)
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    child.terminate()
    child.join(20)
    return child.exitcode
"""
DRIVE = """
def podtask_drive():
    from podtask.driver import drive
    return drive(etl, {})
"""
FLOWS = {"sync": SYNC, "async": ASYNC, "subflow": SUBFLOW, "forks": FORKS}
OWN_PATH = f"/apis/podtask.dev/v1alpha1/namespaces/team/{PLURAL}/hello"


class Driver:
    """The TaskRun `team/hello`, whose pod is a process of this machine."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.cluster = cluster
        self._folder = folder
        self._number = 0
        self.tell(cancel=False)

    def tell(self, *, cancel: bool) -> None:
        """Write `spec.cancel`."""
        spec = {"cancel": True} if cancel else {}
        self.cluster.add({"metadata": {"namespace": "team", "name": "hello"}, "spec": spec})

    def attempt(self, kind: str, *, stopped: bool) -> Ran:
        """The next attempt, up to its end; told to stop once its flow waits."""
        self._number += 1
        environment = {"KUBECONFIG": str(self._folder / "kubeconfig"), "PODTASK_NAMESPACE": "team"}
        attempt = Attempt(self._folder / str(self._number), env=environment)
        with attempt.started(self._grants(attempt, kind)) as process:
            assert process.stdout is not None
            assert "ready\n" in iter(process.stdout.readline, "")  # after what is said of the driver before
            if stopped:
                os.kill(process.pid, signal.SIGTERM)
            return attempt.end(process)

    def _grants(self, attempt: Attempt, kind: str) -> Grants:
        code = Code(source=HEAD + FLOWS[kind] + DRIVE, function="podtask_drive")
        return attempt.grants(code, grace_seconds=25.0, attempt=self._number)

    def runs(self) -> list[dict[str, Any]]:
        """The TaskRuns of its flow."""
        return [obj for (_, name), obj in self.cluster.runs.items() if name != "hello"]

    def cancelled(self) -> list[bool]:
        """Of each of them, whether it was cancelled."""
        return [obj["spec"].get("cancel", False) for obj in self.runs()]


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    cluster = Cluster()
    with serving(cluster) as address:
        (tmp_path / "kubeconfig").write_text(KUBECONFIG.format(server=address))
        yield Driver(tmp_path, cluster)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_evicted_driver_leaves_its_runs_and_the_next_attempt_goes_on_with_them(driver: Driver, kind: str) -> None:
    ran = driver.attempt(kind, stopped=True)
    assert ran.outcome.outcome is Verdict.INTERRUPTED
    assert ran.error.retryable
    assert driver.cancelled() == [False]
    name = f"etl-{run_id_of('hello etl')[:8]}"
    said = f"podtask: Told to stop: detached from flow run '{name}', 1 task run goes on for the next attempt to find.\n"
    assert said in ran.stdout
    (left,) = driver.runs()
    left["status"] = result("7")
    again = driver.attempt(kind, stopped=False)
    assert (again.outcome.outcome, again.result.value) == (Verdict.COMPLETED, "7")
    assert driver.runs() == [left]


@pytest.mark.parametrize(("kind", "runs"), {"sync": 1, "async": 1, "subflow": 2}.items())
def test_a_cancelled_driver_cancels_its_runs(driver: Driver, kind: str, runs: int) -> None:
    driver.tell(cancel=True)
    ran = driver.attempt(kind, stopped=True)
    assert driver.cancelled() == [True] * runs
    assert "detached" not in ran.stdout
    assert [path for verb, path, _ in driver.cluster.asked if verb == "GET"].count(OWN_PATH) == 1


def test_an_evicted_driver_leaves_the_runs_of_its_subflows_too(driver: Driver) -> None:
    ran = driver.attempt("subflow", stopped=True)
    assert driver.cancelled() == [False, False]
    assert len(re.findall("detached from flow run 'etl-.*, 2 task runs go on", ran.stdout)) == 1


@pytest.mark.parametrize("why", ["refused", "no answer"])
def test_a_driver_that_cannot_ask_whether_it_is_cancelled_detaches_and_says_so(driver: Driver, why: str) -> None:
    over = threading.Event()

    def answer(_: Any) -> dict[str, Any]:
        if why == "no answer":
            over.wait(60)
        raise Refuse(403, "Forbidden", "no, you may not")

    driver.cluster.other[OWN_PATH] = answer
    ran = driver.attempt("sync", stopped=True)
    over.set()
    assert ran.outcome.outcome is Verdict.INTERRUPTED
    assert driver.cancelled() == [False]
    assert "podtask: Whether team/hello was cancelled could not be read, so its runs are left alone: " in ran.stdout
    assert "detached from flow run" in ran.stdout


def test_a_process_that_the_flow_forked_ends_by_the_signal_as_ever(driver: Driver) -> None:
    assert driver.attempt("forks", stopped=False).result.value == "-15"
