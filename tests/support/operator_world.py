"""A reconciler with an API server in a dict, for the tests of what it does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import datetime, timezone
from typing import Any

from tests.support.builders import SETTINGS
from tests.support.fake_api import FakeApi

from podtask.core.lifecycle.concurrency import Limits, Slots
from podtask.core.storage.memory import MemoryStore
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.event_recorder import EventRecorder
from podtask_operator.controller.expectations import Expected
from podtask_operator.controller.reconciler import Reconciler
from podtask_operator.events.doorbell import Doorbell
from podtask_operator.settings import Settings
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

    def sign_put(self, key: str, _: float, *, once: bool = True) -> Put:
        return Put(f"http://store/{key}", {"If-None-Match": "*"} if once else {})

    def sign_post(self, prefix: str, most: int, _: float) -> LogPost:
        return LogPost(f"http://store/{prefix}", prefix, most)


class World:
    """A reconciler whose watch shows what the test lets it show."""

    def __init__(self, settings: Settings = SETTINGS, limits: dict[str, Any] | None = None) -> None:
        self.api = FakeApi()
        self.signer = Signer()
        self.now = NOW
        self.store = MemoryStore()
        self.limits = Limits.read(limits or {})
        self.start(settings)

    def start(self, settings: Settings = SETTINGS) -> None:
        """A process that has seen nothing yet."""
        api: Any = self.api
        self.cluster = ClusterCache(slots=Slots(self.limits))
        self.owners = Owners(api, self.store, "prefix", deletions=self.cluster.deletions, home="podtask-system")
        self.objects = Objects(self.store, "prefix", self.owners)
        self.recorder = EventRecorder(api)
        self.reconciler = Reconciler(
            api, self.cluster, self.objects, self.signer, self.recorder, settings, lambda: self.now
        )
        self.doorbell = Doorbell(self.cluster, self.reconciler.queue.add)

    def restart(self, settings: Settings = SETTINGS) -> None:
        """Another process, after its first lists."""
        self.start(settings)
        for pod in self.api.pods.values():
            self.cluster.put_pod(pod)
        for run in self.api.runs.values():
            self.cluster.put_run(run)

    def ring(self, name: str, attempt: int = 1) -> None:
        """The runner of an attempt says that its outcome is stored."""
        run = self.cluster.runs[Key("team", name)]
        said = {"ns": run.namespace, "run": run.name, "uid": run.uid, "attempt": attempt}
        self.doorbell.datagram_received(json.dumps(said).encode(), None)

    def expected(self, name: str) -> Expected:
        """What the operator expects of a run."""
        key = Key("team", name)
        return self.cluster.expectations.of(key, self.cluster.runs[key].uid).expected

    def add(self, name: str, spec: dict[str, Any] | None = None, **more: Any) -> None:
        """A run that the watch shows."""
        self.cluster.put_run(self.api.add(name, spec, **more))

    async def look(self, name: str) -> None:
        await self.reconciler.reconcile(Key("team", name))

    def woken(self) -> set[str]:
        """Keys on the queue, taken from it."""
        line, names = self.reconciler.queue.line, set()
        while (key := line.take(lambda _: False)) is not None:
            names.add(key.name)
        return names

    async def events(self) -> list[dict[str, Any]]:
        """The Events that were posted so far."""
        posting = asyncio.create_task(self.recorder.run())
        await self.recorder.flush(30)
        posting.cancel()
        return self.api.events

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
