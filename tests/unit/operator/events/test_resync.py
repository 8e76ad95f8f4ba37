"""The periodic list repairs what watches missed, of malformed TaskRuns too, and asks for nothing that is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from tests.support.fake_api import FakeApi, Object

from podtask_operator.controller.cluster_cache import Mirror
from podtask_operator.events.resync import Resync
from podtask_operator.settings import Settings
from podtask_operator.task_runs.key import Key

KEY = Key("team", "hello")


class Lists(FakeApi):
    """With lists, and a note of each GET."""

    async def list_runs(self, _: str | None, **__: Any) -> AsyncIterator[Object]:
        for run in list(self.runs.values()):
            yield run

    async def list_pods(self, _: str | None, **__: Any) -> AsyncIterator[Object]:
        for pod in list(self.pods.values()):
            yield pod

    async def get_run(self, namespace: str, name: str) -> Object | None:
        self.calls.append(f"get {name}")
        return await super().get_run(namespace, name)


class Scene:
    """A resync of one API server into one mirror."""

    def __init__(self) -> None:
        self.api, self.mirror = Lists(), Mirror()
        self.woken: list[Key] = []

    def resync(self) -> list[str]:
        """One comparison; what it asked for."""
        api: Any = self.api
        self.api.calls.clear()
        asyncio.run(Resync(api, self.mirror, Settings(store="memory://")).once(self.woken.append))
        return list(self.api.calls)


def test_what_is_known_is_not_asked_for_again_malformed_or_not() -> None:
    scene = Scene()
    scene.api.add("hello", {"retries": "many"})
    scene.api.add("other")
    assert scene.resync() == ["get hello", "get other"]
    assert scene.resync() == []
    assert list(scene.mirror.malformed) == [KEY]


def test_a_malformed_run_that_was_deleted_unseen_is_forgotten() -> None:
    scene = Scene()
    scene.api.add("hello", {"retries": "many"})
    scene.resync()
    del scene.api.runs["hello"]
    scene.resync()
    assert not scene.mirror.malformed


def test_a_malformed_run_that_was_cured_unseen_is_read() -> None:
    scene = Scene()
    scene.api.add("hello", {"retries": "many"})
    scene.resync()
    scene.api.touch("hello", retries=1)
    assert scene.resync() == ["get hello"]
    assert not scene.mirror.malformed
    assert KEY in scene.woken


def test_a_run_that_was_deleted_and_made_anew_unseen_is_read() -> None:
    scene = Scene()
    scene.api.add("hello")
    scene.resync()
    scene.api.add("hello", uid="another")
    assert scene.resync() == ["get hello"]
    assert scene.mirror.runs[KEY].uid == "another"
