"""The periodic list repairs what watches missed, of malformed TaskRuns too, and asks for nothing that is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.fake_api import FakeApi, Object

from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.events import resync
from podtask_operator.events.resync import Resync
from podtask_operator.kube.client import ApiError, ApiUnavailable
from podtask_operator.settings import Settings
from podtask_operator.task_runs.flow_run import Ref
from podtask_operator.task_runs.key import Key

KEY = Key("team", "hello")


class Lists(FakeApi):
    """With lists, and a note of each GET."""

    async def list_runs(self, _: str | None, **__: Any) -> AsyncIterator[Object]:
        for run in list(self.runs.values()):
            yield run

    async def list_flow_runs(self, _: str | None, **__: Any) -> AsyncIterator[Object]:
        if "list flow runs" in self.refused:
            raise self.refused["list flow runs"]
        for flow_run in list(self.flow_runs.values()):
            yield flow_run

    async def list_pods(self, _: str | None, **__: Any) -> AsyncIterator[Object]:
        for pod in list(self.pods.values()):
            yield pod

    async def get_run(self, namespace: str, name: str) -> Object | None:
        self.calls.append(f"get {name}")
        return await super().get_run(namespace, name)


class Scene:
    """A resync of one API server into one cluster."""

    def __init__(self) -> None:
        self.api, self.cluster = Lists(), ClusterCache()
        self.woken: list[Key] = []

    def resync(self) -> list[str]:
        """One comparison; what it asked for."""
        api: Any = self.api
        self.api.calls.clear()
        asyncio.run(Resync(api, self.cluster, Settings(store="memory://")).once(self.woken.append))
        return list(self.api.calls)


def test_what_is_known_is_not_asked_for_again_malformed_or_not() -> None:
    scene = Scene()
    scene.api.add("hello", {"retries": "many"})
    scene.api.add("other")
    assert scene.resync() == ["get hello", "get other"]
    assert scene.resync() == []
    assert list(scene.cluster.malformed) == [KEY]


def test_a_malformed_run_that_was_deleted_unseen_is_forgotten() -> None:
    scene = Scene()
    scene.api.add("hello", {"retries": "many"})
    scene.resync()
    del scene.api.runs["hello"]
    scene.resync()
    assert not scene.cluster.malformed


def test_a_malformed_run_that_was_cured_unseen_is_read() -> None:
    scene = Scene()
    scene.api.add("hello", {"retries": "many"})
    scene.resync()
    scene.api.touch("hello", retries=1)
    assert scene.resync() == ["get hello"]
    assert not scene.cluster.malformed
    assert KEY in scene.woken


def test_a_run_that_was_deleted_and_made_anew_unseen_is_read() -> None:
    scene = Scene()
    scene.api.add("hello")
    scene.resync()
    scene.api.add("hello", uid="another")
    assert scene.resync() == ["get hello"]
    assert scene.cluster.runs[KEY].uid == "another"


def test_a_flow_run_that_was_cancelled_unseen_is_read_and_its_runs_are_looked_at() -> None:
    scene = Scene()
    scene.api.add_flow_run("etl")
    scene.cluster.put_run(scene.api.add("hello", flow_run="etl"))
    assert scene.resync() == ["get flow run etl"]
    assert scene.resync() == []
    scene.api.touch_flow_run("etl", spec={"cancel": True})
    scene.woken.clear()
    scene.resync()
    assert KEY in scene.woken
    assert scene.cluster.flow_runs.ended_by(Ref("etl", "uid-etl")) is not None


def test_a_flow_run_that_was_deleted_unseen_ends_its_runs() -> None:
    scene = Scene()
    scene.cluster.flow_runs.put(scene.api.add_flow_run("etl"))
    scene.cluster.put_run(scene.api.add("hello", flow_run="etl"))
    del scene.api.flow_runs["etl"]
    scene.resync()
    why = scene.cluster.flow_runs.ended_by(Ref("etl", "uid-etl"))
    assert why is not None
    assert why.message == "Flow run 'etl' was deleted."


def test_flow_runs_that_may_not_be_read_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.api.refused["list flow runs"] = ApiError(403, "Forbidden", "no right to list flowruns")
    api: Any = scene.api
    assert asyncio.run(Resync(api, scene.cluster, Settings(store="memory://")).fill_flow_runs()) is False
    assert "no right to list flowruns. Apply crds/flowruns.podtask.dev.yaml" in caplog.text
    scene.cluster.put_run(scene.api.add("hello", flow_run="etl"))
    scene.resync()
    assert scene.woken == [KEY]


@pytest.mark.parametrize(("took", "expected"), [(0.0, 60.0), (6.0, 60.0), (7.0, 63.0), (120.0, 600.0)])
def test_comparisons_take_a_tenth_of_the_time_and_come_every_ten_minutes_at_least(took: float, expected: float) -> None:
    assert resync.until_next(60.0, took) == pytest.approx(expected)


def test_a_comparison_that_is_asked_for_does_not_wait_for_the_period_also_where_it_fails_at_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What kopf lists it does not hand on: what came before its watch is told by nobody else."""
    monkeypatch.setattr(resync, "AGAIN", 0.0)
    scene = Scene()
    scene.api.add("hello")
    list_runs, failures = scene.api.list_runs, [ApiUnavailable("away")]

    def failing(*asked: Any, **how: Any) -> AsyncIterator[Object]:
        if failures:
            raise failures.pop()
        return list_runs(*asked, **how)

    scene.api.list_runs = failing  # type: ignore[assignment, method-assign]

    async def test() -> None:
        seen = asyncio.Event()
        api: Any = scene.api
        comparing = Resync(api, scene.cluster, Settings(store="memory://", resync_seconds=3600))
        serving = asyncio.create_task(comparing.run(lambda _: seen.set()))
        comparing.soon()
        await asyncio.wait_for(seen.wait(), 20)
        serving.cancel()

    asyncio.run(test())
    assert (list(scene.cluster.runs), failures) == ([KEY], [])
