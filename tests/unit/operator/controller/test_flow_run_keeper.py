"""DriverLost by the operator's own clock, and the deletion of whole trees after their time to live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from tests.support.fake_api import FakeApi

from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.flow_run_keeper import LOST_SECONDS, FlowRunKeeper, changed
from podtask_operator.controller.work_queue import Later
from podtask_operator.events.intake import Intake
from podtask_operator.kube.client import ApiError, ApiUnavailable
from podtask_operator.task_runs import flow_run
from podtask_operator.task_runs.key import Key

START = datetime(2026, 1, 2, 4, 0, tzinfo=timezone.utc)
DAY = 86400
FINISHED = {
    "state": "Completed",
    "finishedAt": "2020-01-01T00:00:00Z",
    "conditions": [
        {"type": "Finished", "status": "True", "reason": "Completed", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    ],
}
ENDED = {"state": "Completed", "finishedAt": "2026-01-02T03:30:00Z"}


class Scene:
    """A keeper, an API server in a dict, and one clock for all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api, self.cluster, self.passed = FakeApi(), ClusterCache(), 0.0
        monkeypatch.setattr(flow_run.time, "monotonic", lambda: self.passed)
        api: Any = self.api
        self.keeper = FlowRunKeeper(
            api, self.cluster, lambda: START + timedelta(seconds=self.passed), lambda: self.passed
        )
        self.intake = Intake(self.cluster, lambda _: None, self.keeper.queue.add)

    def shown(self, obj: Any, kind: str = "MODIFIED") -> bool:
        """The watch shows a FlowRun; whether the keeper looks at one because of that."""
        self.intake.flow_run({"type": kind, "object": obj})
        return self.woken()

    def woken(self) -> bool:
        any_key = False
        while self.keeper.queue.line.take(lambda _: False) is not None:
            any_key = True
        return any_key

    async def look(self, name: str = "etl", after: float = 0.0) -> set[str]:
        """What the FlowRun's conditions are after a look, so many seconds later."""
        self.passed += after
        await self.keeper.look(Key("team", name))
        conditions = self.api.flow_runs.get(name, {}).get("status", {}).get("conditions") or []
        return {one["type"] for one in conditions}

    def message(self, kind: str, name: str = "etl") -> str:
        return next(one["message"] for one in self.api.flow_runs[name]["status"]["conditions"] if one["type"] == kind)

    def due(self, name: str = "etl") -> float:
        """In how many seconds it is looked at again."""
        return self.keeper.queue.due[Key("team", name)] - asyncio.get_running_loop().time()


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Scene], Coroutine[Any, Any, None]]], None]:
    def run(test: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
        async def body() -> None:
            await test(Scene(monkeypatch))

        asyncio.run(body())

    return run


def test_a_heartbeat_that_stands_still_is_a_lost_driver_until_the_next_one(scene: Any) -> None:
    async def test(s: Scene) -> None:
        assert s.shown(s.api.add_flow_run("etl", {"pin": "nightly 1"}, {"heartbeat": 1}), "ADDED")
        assert await s.look() == set()
        assert await s.look(after=LOST_SECONDS - 1) == set()
        assert s.due() <= 1.1
        assert await s.look(after=1) == {"DriverLost"}
        assert "PODTASK_FLOW_RUN_ID='nightly 1' python PROGRAM" in s.message("DriverLost")
        writes = s.api.calls.count("flow run status etl")
        assert await s.look(after=3600) == {"DriverLost"}
        assert s.api.calls.count("flow run status etl") == writes
        assert s.shown(s.api.touch_flow_run("etl", status={"heartbeat": 2}))
        assert await s.look() == set()
        assert not s.shown(s.api.touch_flow_run("etl", status={"heartbeat": 3}))

    scene(test)


def test_heartbeats_keep_it_alive_whatever_its_clock_says(scene: Any) -> None:
    async def test(s: Scene) -> None:
        s.shown(s.api.add_flow_run("etl", {}, {"startedAt": "2001-01-01T00:00:00Z"}), "ADDED")
        for beat in range(1, 20):
            s.passed += 60
            s.shown(s.api.touch_flow_run("etl", status={"heartbeat": beat}))
            assert await s.look() == set()

    scene(test)


def test_a_finished_flow_run_has_no_driver_to_lose(scene: Any) -> None:
    async def test(s: Scene) -> None:
        s.shown(s.api.add_flow_run("etl", {}, FINISHED), "ADDED")
        assert await s.look(after=10 * LOST_SECONDS) == {"Finished"}

    scene(test)


def test_the_cure_of_a_driver_in_the_cluster_and_a_hostile_pin(scene: Any) -> None:
    async def test(s: Scene) -> None:
        s.shown(s.api.add_flow_run("pod", {"pin": "x", "driver": {"id": "1", "taskRun": "drive-1", "program": "a.py"}}))
        s.shown(s.api.add_flow_run("bad", {"pin": "$(rm -rf ~)", "driver": {"id": "1", "program": "a b.py"}}))
        await s.look("pod", after=LOST_SECONDS)
        await s.look("bad")
        assert "podtask retry flow/pod" in s.message("DriverLost", "pod")
        assert "PODTASK_FLOW_RUN_ID='$(rm -rf ~)' python 'a b.py'" in s.message("DriverLost", "bad")

    scene(test)


def test_a_subflow_is_not_timed_by_itself(scene: Any) -> None:
    async def test(s: Scene) -> None:
        s.shown(s.api.add_flow_run("etl"), "ADDED")
        s.shown(s.api.add_flow_run("inner", {"parent": {"name": "etl", "uid": "uid-etl"}}), "ADDED")
        assert await s.look("inner", after=10 * LOST_SECONDS) == set()

    scene(test)


def test_a_tree_is_deleted_once_its_time_to_live_is_over_by_the_operators_clock(scene: Any) -> None:
    async def test(s: Scene) -> None:
        s.shown(s.api.add_flow_run("etl", {"ttlSecondsAfterFinished": DAY}, FINISHED), "ADDED")
        s.cluster.put_run(s.api.add("one", status=ENDED, flow_run="etl"))
        assert await s.look() == {"Finished", "Settled"}
        assert "etl" in s.api.flow_runs
        assert s.due() == pytest.approx(DAY, abs=5)
        await s.look(after=DAY - 1)
        assert "etl" in s.api.flow_runs
        await s.look(after=1)
        assert "etl" not in s.api.flow_runs

    scene(test)


def test_an_unfinished_run_or_subflow_keeps_it(scene: Any) -> None:
    async def test(s: Scene) -> None:
        child = {"parent": {"name": "etl", "uid": "uid-etl"}}
        s.shown(s.api.add_flow_run("etl", {"ttlSecondsAfterFinished": 0}, FINISHED), "ADDED")
        s.shown(s.api.add_flow_run("inner", child), "ADDED")
        s.cluster.put_run(s.api.add("one", flow_run="inner"))
        assert await s.look() == {"Finished"}
        s.shown(s.api.touch_flow_run("inner", status=FINISHED))
        assert await s.look() == {"Finished"}
        s.api.runs["one"]["status"] = ENDED
        s.woken()
        s.cluster.put_run(s.api.touch("one"))
        s.keeper.task_run_ended(Key("team", "one"))
        assert s.woken()
        await s.look()
        assert "etl" not in s.api.flow_runs

    scene(test)


def test_an_unfinished_run_of_somebody_else_that_names_one_of_its_runs_keeps_it(scene: Any) -> None:
    async def test(s: Scene) -> None:
        s.shown(s.api.add_flow_run("etl", {"ttlSecondsAfterFinished": 0}, FINISHED), "ADDED")
        s.cluster.put_run(s.api.add("one", status=ENDED, flow_run="etl"))
        s.cluster.put_run(s.api.add("other", {"upstream": [{"taskRun": "one"}]}))
        await s.look()
        assert "etl" in s.api.flow_runs
        s.api.runs["other"]["status"] = ENDED
        s.cluster.put_run(s.api.touch("other"))
        await s.look(after=s.due())
        assert "etl" not in s.api.flow_runs

    scene(test)


def test_a_lost_driver_with_nothing_that_runs_is_an_end_as_well_unless_it_comes_back(scene: Any) -> None:
    async def test(s: Scene) -> None:
        s.shown(s.api.add_flow_run("etl", {"ttlSecondsAfterFinished": DAY}), "ADDED")
        assert await s.look(after=LOST_SECONDS) == {"DriverLost", "Settled"}
        assert s.shown(s.api.touch_flow_run("etl", status={"heartbeat": 9}))
        assert await s.look() == set()
        await s.look(after=2 * DAY)
        assert "etl" in s.api.flow_runs

    scene(test)


def test_a_driver_that_opens_it_again_starts_the_time_anew(scene: Any) -> None:
    async def test(s: Scene) -> None:
        s.shown(s.api.add_flow_run("etl", {"ttlSecondsAfterFinished": DAY}, FINISHED), "ADDED")
        await s.look()
        again = {"state": "Running", "conditions": None, "heartbeat": 5}
        s.shown(s.api.touch_flow_run("etl", status=again))
        assert await s.look() == set()
        s.passed += DAY
        s.shown(s.api.touch_flow_run("etl", status=FINISHED))
        await s.look()
        await s.look(after=DAY - 1)
        assert "etl" in s.api.flow_runs

    scene(test)


def test_without_a_time_to_live_it_stays_and_nothing_is_written(scene: Any) -> None:
    async def test(s: Scene) -> None:
        s.shown(s.api.add_flow_run("etl", {}, FINISHED), "ADDED")
        assert await s.look(after=1000 * DAY) == {"Finished"}
        assert s.api.calls == []

    scene(test)


def test_of_two_writers_the_operator_looks_again(scene: Any) -> None:
    async def test(s: Scene) -> None:
        s.shown(s.api.add_flow_run("etl", {"ttlSecondsAfterFinished": DAY}, FINISHED), "ADDED")
        s.api.touch_flow_run("etl", status={"state": "Running", "conditions": None})
        with pytest.raises(Later):
            await s.look()
        assert await s.look() == set()

    scene(test)


def test_a_condition_with_a_time_that_is_none_deletes_nothing(scene: Any) -> None:
    async def test(s: Scene) -> None:
        settled = {"type": "Settled", "status": "True", "reason": "x", "lastTransitionTime": "yesterday"}
        status = {**FINISHED, "conditions": [settled]}
        s.shown(s.api.add_flow_run("etl", {"ttlSecondsAfterFinished": 0}, status), "ADDED")
        await s.look()
        assert "etl" in s.api.flow_runs

    scene(test)


def test_the_end_of_a_task_run_wakes_nobody_who_does_not_wait_for_it(scene: Any) -> None:
    async def test(s: Scene) -> None:
        s.shown(s.api.add_flow_run("etl"), "ADDED")
        s.cluster.put_run(s.api.add("alone"))
        s.cluster.put_run(s.api.add("inside", flow_run="etl"))
        s.keeper.task_run_ended(Key("team", "alone"))
        s.keeper.task_run_ended(Key("team", "inside"))
        assert not s.woken()

    scene(test)


def test_a_subflow_whose_parent_no_watch_has_shown_waits_for_it(scene: Any) -> None:
    async def test(s: Scene) -> None:
        s.shown(s.api.add_flow_run("inner", {"parent": {"name": "etl", "uid": "uid-etl"}}), "ADDED")
        assert await s.look("inner", after=10 * LOST_SECONDS) == set()
        assert not s.woken()

    scene(test)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ApiUnavailable("no route"), Later),
        (ApiError(403, "Forbidden", "not allowed"), ApiError),
        (ApiError(409, "Conflict", "the object has been modified"), Later),
    ],
    ids=["no answer", "no right", "another writer"],
)
def test_conditions_that_cannot_be_written_are_looked_at_again_or_told(
    scene: Any, error: Exception, raised: type[Exception]
) -> None:
    async def test(s: Scene) -> None:
        s.shown(s.api.add_flow_run("etl"), "ADDED")

        async def answer(*_: Any) -> Any:
            s.api.flow_runs.clear()
            raise error

        s.api.patch_flow_run_status = answer  # type: ignore[method-assign]
        with pytest.raises(raised):
            await s.look(after=LOST_SECONDS)
        assert (s.cluster.flow_runs.get(Key("team", "etl")) is None) == ("modified" in str(error))

    scene(test)


def test_a_flow_run_that_went_has_changed() -> None:
    cluster = ClusterCache()
    cluster.flow_runs.put(FakeApi().add_flow_run("etl"))
    before = cluster.flow_runs.get(Key("team", "etl"))
    assert before is not None
    assert changed(before, None)
