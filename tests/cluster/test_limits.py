"""Concurrency limits on a real cluster: by the watch never a pod too many, also through a kill of the operator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.invariants import container_state
from tests.cluster.kit import Object, World, task_run
from tests.cluster.operator_process import Operator, without_installed

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

LIMITS = '{"tags": {"two": 2, "one": 1, "off": 0}}'
SHORT = "import time\ndef main():\n    time.sleep(1)\n"
FAILS_ONCE = """
import os
def main():
    if os.environ["PODTASK_ATTEMPT"] == "1":
        raise ValueError("not yet")
"""


class Place:
    """The module's namespace and the operator that serves it now."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self._folder = folder
        self.operator = self.start()

    def start(self) -> Operator:
        return Operator(self._folder, self.world.namespace, PODTASK_LIMITS=LIMITS)


@pytest.fixture(scope="module")
def place(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with without_installed():
        place = Place(world, tmp_path_factory.mktemp("operator"))
        try:
            yield place
        finally:
            place.operator.end()


def most_at_once(world: World, names: list[str]) -> int:
    """Pods of these runs that were there and whose container had not ended, at the worst moment of the watch."""
    alive: set[str] = set()
    most = 0
    for seen in world.history:
        meta = seen.object["metadata"]
        if seen.object["kind"] != "Pod" or meta.get("labels", {}).get("podtask.dev/task-run") not in names:
            continue
        over = seen.type == "DELETED" or "terminated" in container_state(seen.object)
        over = over or seen.object["status"].get("phase") in ("Succeeded", "Failed")
        (alive.discard if over else alive.add)(meta["name"])
        most = max(most, len(alive))
    return most


def reasons(world: World, name: str) -> set[str]:
    """All reasons the run's status ever had."""
    told = (seen.object for seen in world.history if seen.object["kind"] == "TaskRun")
    return {run.get("status", {}).get("reason", "") for run in told if run["metadata"]["name"] == name}


def test_of_six_runs_two_run_at_a_time_and_all_complete(place: Place) -> None:
    names = [f"six-{number}" for number in range(6)]
    place.world.apply(*(task_run(name, SHORT, tags=["two"]) for name in names))
    ended = [place.world.finished(name) for name in names]
    assert [run["status"]["state"] for run in ended] == ["Completed"] * 6
    assert most_at_once(place.world, names) == 2
    assert sum("Queued" in reasons(place.world, name) for name in names) >= 2
    assert [run["status"]["attemptsTotal"] for run in ended] == [1] * 6


def test_a_killed_operator_finds_who_holds_the_slots(place: Place) -> None:
    names = [f"kill-{number}" for number in range(6)]
    place.world.apply(*(task_run(name, SHORT, tags=["two"]) for name in names))
    place.world.until("two pods are there", lambda: len([p for p in place.world.pods if p.startswith("kill-")]) >= 2)
    place.operator.kill()
    place.operator = place.start()
    for name in names:
        assert place.world.finished(name)["status"]["state"] == "Completed"
    assert most_at_once(place.world, names) == 2


def test_a_run_that_waits_for_its_retry_holds_no_slot(place: Place) -> None:
    place.world.apply(task_run("first", FAILS_ONCE, tags=["one"], retries=1, retryDelaySeconds=[8]))
    place.world.in_state("first", "AwaitingRetry")
    place.world.apply(task_run("between", "def main(): pass", tags=["one"]))
    between, first = place.world.finished("between"), place.world.finished("first")
    assert first["status"]["state"] == "Completed"
    assert between["status"]["finishedAt"] < _attempt(first, 2)["recordedAt"]


def test_a_limit_of_zero_waits_with_a_sentence_and_a_cached_result_needs_no_slot(place: Place) -> None:
    place.world.apply(task_run("maker", "def main(): return 1", cache={"key": "shared"}))
    place.world.finished("maker")
    place.world.apply(
        task_run("user", "def main(): return 1", cache={"key": "shared"}, tags=["off"]),
        task_run("never", "def main(): return 1", tags=["off"]),
    )
    assert place.world.finished("user")["status"]["state"] == "Cached"
    waits = place.world.in_state("never", "Pending", "Queued")
    assert waits["status"]["message"].startswith("The limit of tag 'off' is 0: nothing starts there")
    place.world.patch("never", cancel=True)
    assert place.world.finished("never")["status"]["state"] == "Cancelled"
    assert place.world.pods_of("never") == []


def _attempt(run: Object, number: int) -> Object:
    found: Object = next(attempt for attempt in run["status"]["attempts"] if attempt["number"] == number)
    return found
