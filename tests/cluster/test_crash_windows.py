"""The operator is killed before and after every write it makes, and started again: nothing is lost, nothing runs twice.

The list of writes is learned once and compared; each window has its own namespace and operators, some at a time.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.cluster import invariants
from tests.cluster.killed_operator import AFTER, BEFORE, KILL_AT, KILL_WHEN, WRITES
from tests.cluster.kit import Object, namespace, task_run
from tests.cluster.operator_process import Operator, without_installed

from podtask.core.store import Store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

AT_A_TIME = 4
KILLED = -9
RUN = task_run(
    "once",
    f"""
import os
def main():
    print("{invariants.EVIDENCE}", flush=True)
    if os.environ["PODTASK_ATTEMPT"] == "1":
        raise ValueError("not yet")
    return "done"
""",
    retries=1,
    retryDelaySeconds=[0.5],
    cache={"key": f"once-{secrets.token_hex(8)}"},  # the bucket outlives namespaces
)
EXPECTED = [
    "PATCH status: Pending; attempts 1 runs",
    "PATCH secrets once-grants",
    "POST pods once-1",
    "PATCH status: AwaitingRetry; attempts 1 Failed",
    "PATCH status: Retrying; attempts 1 Failed, 2 runs",
    "PATCH secrets once-grants",
    "POST pods once-2",
    "PUT cache",
    "PATCH status: Completed; attempts 1 Failed, 2 Completed",
]
WINDOWS = [(write, position) for write in range(1, len(EXPECTED) + 1) for position in (BEFORE, AFTER)]
LOST, FAILED, COMPLETED = ("Disruption", "Lost"), ("Failed", "Exception"), ("Completed", "Completed")
FIRST_LOST = [(1, AFTER), (2, BEFORE), (2, AFTER), (3, BEFORE)]
SECOND_LOST = [(5, AFTER), (6, BEFORE), (6, AFTER), (7, BEFORE)]
"""Recorded, and killed before there was a pod: nobody can know that none was created late, so the number is used."""


def crash(folder: Path, store: Store, write: int, position: str) -> Object:
    """One window from beginning to end; the run as it ended."""
    with namespace(f"t-crash-{write}-{position}") as world:
        asked = {WRITES: str(folder / f"{write}-{position}"), KILL_AT: str(write), KILL_WHEN: position}
        killed = Operator(folder, world.namespace, module="tests.cluster.killed_operator", **asked)
        restarted: Operator | None = None
        try:
            world.apply(RUN)
            assert killed.died() == KILLED, f"it was to die by its own hand; {killed.told()}"
            restarted = Operator(folder, world.namespace)
            world.finished("once")
            run = invariants.check(world, store, "once")
            invariants.nothing_is_left(world, "once")
            return run
        finally:
            killed.end()
            if restarted is not None:
                restarted.end()


def undisturbed(folder: Path) -> list[str]:
    """The writes of an operator that nobody kills."""
    with namespace("t-crash-none") as world:
        operator = Operator(
            folder, world.namespace, module="tests.cluster.killed_operator", **{WRITES: str(folder / "all")}
        )
        try:
            world.apply(RUN)
            world.finished("once")
            return (folder / "all").read_text().splitlines()
        finally:
            operator.end()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("operators")


@pytest.fixture(scope="module")
def installed_is_away() -> Iterator[None]:
    with without_installed():
        yield


@pytest.fixture(scope="module")
def crashes(folder: Path, store: Store, installed_is_away: None) -> Iterator[dict[tuple[int, str], Future[Object]]]:
    """All windows under way."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        started = {window: pool.submit(functools.partial(crash, folder, store, *window)) for window in WINDOWS}
        yield started
        pool.shutdown(cancel_futures=True)


def test_the_writes_of_a_run_with_a_retry_are_these(folder: Path, installed_is_away: None) -> None:
    assert undisturbed(folder) == EXPECTED


@pytest.mark.parametrize(("write", "position"), WINDOWS)
def test_a_kill_at_any_write_neither_loses_nor_repeats_anything(
    crashes: dict[tuple[int, str], Future[Object]], write: int, position: str
) -> None:
    run = crashes[write, position].result()
    assert run["status"]["state"] == "Completed"
    expected = [FAILED, COMPLETED]
    if (write, position) in FIRST_LOST:
        expected = [LOST, COMPLETED]
    elif (write, position) in SECOND_LOST:
        expected = [FAILED, LOST, COMPLETED]
    assert invariants.outcomes(run) == expected
