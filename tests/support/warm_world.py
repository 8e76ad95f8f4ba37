"""A world with a WarmPool: its pods wait as the runner does, and operators die before, after or during any write."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

from tests.support.builders import SETTINGS
from tests.support.fake_api import FakeApi
from tests.support.operator_world import World

from podtask.core.api import names
from podtask_operator.kube.client import ApiError
from podtask_operator.pools.keeper import PoolKeeper
from podtask_operator.settings import Settings
from podtask_operator.task_runs.key import Key
from podtask_operator.warm_pods.stock import Stock
from podtask_runner.process.idle import matching

WRITES = ("patch_status", "apply_secret", "claim_pod", "create_pod", "remove_idle_pod", "delete_pod", "patch_pod")
RUNS = {"running": {"startedAt": "2026-01-02T03:59:30Z"}}


class Killed(BaseException):
    """The operator's process ends here."""


class MortalApi(FakeApi):
    """Kills its caller at one write, and carries that write out before, never, or after so many others."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.kill_at: int | None = None
        self.arrives_after: int | None = None
        """Writes of the next operator after which the last one of this operator takes effect; None: never."""
        self._late: list[tuple[int, Callable[[], Awaitable[Any]]]] = []
        self.started: list[tuple[str, str, int]] = []
        """UID of a pod, UID of a TaskRun, attempt: what runners have begun."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return self._written(found) if name in WRITES else found

    def _written(self, write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **options: Any) -> Any:
            self.writes += 1
            if self.writes == self.kill_at:
                if self.arrives_after is not None:
                    due = self.writes + self.arrives_after
                    self._late.append((due, lambda: write(*arguments, **options)))
                    await self.arrive()
                raise Killed
            try:
                return await write(*arguments, **options)
            finally:
                self._begin()
                await self.arrive()

        return call

    async def arrive(self, *, all_of_them: bool = False) -> None:
        """Writes of the dead take effect, as far as they are still accepted."""
        for due, write in list(self._late):
            if all_of_them or self.writes >= due:
                self._late.remove((due, write))
                with contextlib.suppress(ApiError):
                    await write()
                self._begin()

    def _begin(self) -> None:
        """What each runner does: a cold one starts with its pod, a waiting one once claim and grants agree."""
        begun = {pod for pod, _, _ in self.started}
        for name, pod in self.pods.items():
            meta = pod["metadata"]
            if meta["uid"] in begun:
                continue
            labels = meta["labels"]
            if names.LABEL_POOL not in labels:
                owner = meta["ownerReferences"][0]["uid"]
                self.started.append((meta["uid"], owner, int(labels[names.LABEL_ATTEMPT])))
                continue
            secret = self.secrets.get(name)
            claim = meta.get("annotations", {}).get(names.ANNOTATION_CLAIM, "")
            if secret is None or not claim or (pod["status"].get("phase") in ("Failed", "Succeeded")):
                continue
            grants = matching(claim.encode(), base64.b64decode(secret["data"]["grants.json"]), meta["uid"])
            if grants is not None:
                self.started.append((meta["uid"], grants.uid, grants.attempt))


class WarmWorld(World):
    """With the pool `fast`."""

    api: MortalApi

    def __init__(self, settings: Settings, size: int = 1, spec: dict[str, Any] | None = None) -> None:
        self.settings, self.seconds = settings, 0.0
        super().__init__(settings)
        self.api = MortalApi()
        self.api.created_at = "2026-01-02T03:59:00Z"
        self.restart(settings)
        self.api.add_warm_pool("fast", {"size": size, **(spec or {})})
        self.cluster.stock.put_pool(self.api.warm_pools["fast"])

    def start(self, settings: Settings) -> None:  # type: ignore[override]
        super().start(settings)
        self.cluster.stock = Stock(lambda: self.seconds)
        self.cluster.stock.readable = True
        api: Any = self.api
        self.keeper = PoolKeeper(api, self.cluster, settings, lambda: self.now, lambda: self.seconds)

    def restart(self, settings: Settings | None = None) -> None:  # type: ignore[override]
        """Another process, after its first lists: pods, pools, TaskRuns."""
        self.start(settings or self.settings)
        for pod in self.api.pods.values():
            self.cluster.put_pod(pod)
        for pool in self.api.warm_pools.values():
            self.cluster.stock.put_pool(pool)
        for run in self.api.runs.values():
            self.cluster.put_run(run)

    async def keep(self, rounds: int = 1) -> None:
        """The pool is looked at, and its pods become ready."""
        for _ in range(rounds):
            self.pass_(6)
            await self.keeper.look(Key("team", "fast"))
            self.ready()

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds
        self.now += timedelta(seconds=seconds)

    def ready(self) -> None:
        """Every waiting pod runs, and the watch shows it."""
        for name, pod in list(self.api.pods.items()):
            if names.LABEL_POOL in pod["metadata"]["labels"] and pod["status"].get("phase") == "Pending":
                self.runs(name)

    def runs(self, name: str) -> None:
        """The watch shows that the pod runs."""
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "task", "state": RUNS}],
        }
        self.cluster.put_pod(self.api.touch_pod(name, status))

    def idle(self) -> list[str]:
        """Names of idle pods."""
        return sorted(
            name
            for name, pod in self.api.pods.items()
            if pod["metadata"]["labels"].get(names.LABEL_POOL_STATE) == names.POOL_IDLE
        )

    def of(self, name: str) -> list[str]:
        """Names of the pods that a TaskRun owns."""
        uid = self.api.runs[name]["metadata"]["uid"]
        return sorted(pod for pod, obj in self.api.pods.items() if obj["metadata"]["ownerReferences"][0]["uid"] == uid)

    def pool(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.warm_pools["fast"]["status"]
        return found


Test = Callable[[WarmWorld], Coroutine[Any, Any, None]]
REFUSED = ApiError(403, "Forbidden", 'admission webhook "policy" denied the request')


def warm(test: Test) -> Callable[[], None]:
    """Run a test with a pool of one ready pod."""

    def run() -> None:
        asyncio.run(with_pool(test))

    run.__name__ = test.__name__
    return run


async def with_pool(test: Test, size: int = 1) -> None:
    """The same, with more pods, in a loop that is there already."""
    world = WarmWorld(SETTINGS, size)
    await world.keep(size)
    assert len(world.idle()) == size
    world.api.calls.clear()
    world.api.started.clear()
    world.api.writes = 0
    await test(world)


def attempts(world: WarmWorld, name: str = "hello") -> list[dict[str, Any]]:
    """As the status has them."""
    found: list[dict[str, Any]] = world.status(name)["attempts"]
    return found


def run_key() -> Key:
    """Of the run that most tests are about."""
    return Key("team", "hello")
