"""A reconciler with an API server in a dict, for the tests of what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timezone
from typing import Any

from tests.support.builders import SETTINGS
from tests.support.fake_api import FakeApi

from podtask.core.storage.memory import MemoryStore
from podtask_operator.controller.applier import Applier
from podtask_operator.controller.cluster_cache import Mirror
from podtask_operator.controller.event_recorder import Story
from podtask_operator.controller.observer import Observer
from podtask_operator.controller.reconciler import Reconciler
from podtask_operator.storage.objects import Objects
from podtask_operator.storage.owners import Owners
from podtask_operator.task_runs.key import Key
from podtask_runner.protocol import LogPost, Put

NOW = datetime(2026, 1, 2, 4, 0, tzinfo=timezone.utc)
CACHED = {"cache": {"key": "k"}}
ENDED = {"state": "Completed", "finishedAt": "2026-01-02T03:30:00Z"}


class Signer:
    """URLs that nobody opens."""

    expires: float | None = None
    """When the credentials do."""

    def credentials_expire_at(self) -> float | None:
        return self.expires

    def sign_get(self, key: str, _: float) -> str:
        return f"http://store/{key}"

    def sign_put(self, key: str, _: float) -> Put:
        return Put(f"http://store/{key}", {})

    def sign_post(self, prefix: str, _: int, __: float) -> LogPost:
        return LogPost(f"http://store/{prefix}", {}, prefix)


class World:
    """A reconciler whose watch shows what the test lets it show."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.mirror = Mirror()
        self.signer = Signer()
        self.now = NOW
        api: Any = self.api
        self.store = MemoryStore()
        self.owners = Owners(api, self.store, "prefix", deletions=self.mirror.deletions, home="podtask-system")
        objects = Objects(self.store, "prefix", self.owners)
        observer = Observer(api, self.mirror, objects, SETTINGS)
        applier = Applier(api, self.mirror, objects, self.signer, Story(api), SETTINGS)
        self.reconciler = Reconciler(self.mirror, observer, applier, SETTINGS, lambda: self.now)

    def add(self, name: str, spec: dict[str, Any] | None = None, **more: Any) -> None:
        """A run that the watch shows."""
        self.mirror.put_run(self.api.add(name, spec, **more))

    async def look(self, name: str) -> None:
        await self.reconciler.reconcile(Key("team", name))

    def woken(self) -> set[str]:
        """Keys on the queue, taken from it."""
        line, names = self.reconciler.queue.line, set()
        while (key := line.take(lambda _: False)) is not None:
            names.add(key.name)
        return names

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.runs[name].get("status") or {}
        return found


def reconciling(test: Callable[[World], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test with a world, in a loop."""

    def run() -> None:
        async def body() -> None:
            await test(World())

        asyncio.run(body())

    run.__name__ = test.__name__
    return run
