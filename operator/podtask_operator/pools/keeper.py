"""Keeps WarmPools full: one look at one pool at a time.

    events of pools and of their pods ──> queue ──> look: plan ──> remove, create ──> status

A pod is created before the status lists it; where an operator dies in between, the next one finds an idle pod that
nobody lists, and removes it. A pod is removed only as it was seen, so one that an attempt has just taken stays.
Before: `events`. Beside: `controller.claims`, which takes idle pods away.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from podtask.core.api.names import Reason
from podtask.core.api.warm_pool import IdlePod
from podtask.core.lifecycle.model import Why
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.work_queue import Later, WorkQueue
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable
from podtask_operator.pods import status as podstatus
from podtask_operator.pods.refusal import refusal
from podtask_operator.pods.validate import invalid
from podtask_operator.pools.plan import Idle, Plan, planned
from podtask_operator.pools.report import STARTING, report
from podtask_operator.runtime.supervise import pause
from podtask_operator.settings import Settings
from podtask_operator.task_runs.key import Key
from podtask_operator.warm_pods import idle_pod
from podtask_operator.warm_pods.fit import fingerprint, unfit
from podtask_operator.warm_pods.pool import WarmPool

log = logging.getLogger(__name__)

CONCURRENCY: Final = 4
STATUS_SECONDS: Final = 5.0
"""Between two writes of one pool's status."""
FIRST_RETRY, LAST_RETRY = 1.0, 60.0
CURE_OF_ENDS: Final = (
    "Read the log of one of its pods; an image needs a runner of this version, and preload takes memory of the limit."
)


@dataclass
class Trouble:
    """Why no pod is made at present."""

    why: Why
    failures: int
    retry_at: float


class PoolKeeper:
    """All pools."""

    def __init__(
        self,
        api: Api,
        cluster: ClusterCache,
        settings: Settings,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._cluster = cluster
        self._stock = cluster.stock
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._trouble: dict[Key, Trouble] = {}
        self._written: dict[Key, float] = {}
        self.queue = WorkQueue(self.look, CONCURRENCY)
        self._stock.wake = self.queue.add

    async def look(self, key: Key) -> None:
        """Bring one pool one step further. Raises `Later`."""
        if not self._cluster.served.works_in(key.namespace):
            return
        pool = self._stock.pools.get(key)
        try:
            if pool is None:
                await self._orphans(key)
            elif not pool.deleting:
                await self._keep(pool)
        except ApiUnavailable as error:
            raise Later(str(error)) from error

    async def _orphans(self, key: Key) -> None:
        """Idle pods whose pool was deleted without them; those that the pool owns are the garbage collector's."""
        self._trouble.pop(key, None)
        self._written.pop(key, None)
        if not self._stock.readable:
            return
        for pod in self._stock.idle(key):
            if not pod["metadata"]["ownerReferences"]:
                await self._remove(pod)

    async def _keep(self, pool: WarmPool) -> None:
        run, now = pool.as_run(), self._clock()
        wrong = invalid(run, self._settings)
        never = unfit(run)
        if wrong is None and never is not None:
            wrong = Why(Reason.INVALID_SPEC, f"No TaskRun could take its pods: {never}", "Correct the WarmPool.")
        wanted = None if wrong is not None else fingerprint(run, self._settings)
        room = self._stock.short_for(pool.key.namespace)
        size = pool.spec.size if wanted is not None and not room else 0
        pods = {pod["metadata"]["name"]: pod for pod in self._stock.idle(pool.key) if idle_pod.is_of(pod, pool)}
        views = [self._view(pod, wanted, now) for pod in pods.values()]
        self._take_ends_in(pool.key, views, pool.spec.max_idle_seconds)
        trouble = self._trouble.get(pool.key)
        due = trouble is None or self._monotonic() >= trouble.retry_at
        plan = planned(views, size, pool.spec.max_idle_seconds, may_create=due)
        for name in plan.remove:
            await self._remove(pods[name])
        created = 0
        while created < plan.create and await self._create(pool, wanted or ""):
            created += 1
        await self._say(pool, plan, wrong, room)
        self._again(pool, room, views)

    def _view(self, pod: dict[str, Any], wanted: str | None, now: datetime) -> Idle:
        uid = pod["metadata"]["uid"]
        proof = self._stock.proof(uid)
        return Idle(
            pod["metadata"]["name"],
            idle_pod.age(pod, now),
            ready=idle_pod.is_ready(pod),
            ended=idle_pod.is_ended(pod) or pod["metadata"].get("deletionTimestamp") is not None,
            posted=proof is not None,
            alike=proof is None or proof.spec_hash == wanted,
            chosen=self._stock.is_chosen(uid),
            spent=self._stock.is_spent(uid),
        )

    def _take_ends_in(self, key: Key, views: list[Idle], max_age: float) -> None:
        """Pods that end by themselves long before their time are made again later and later."""
        if any(view.ended and not view.chosen and view.age < max_age for view in views):
            self._fail(key, Why(Reason.CRASHED, "A pod ended while it waited.", CURE_OF_ENDS))
        elif any(view.ready for view in views):
            self._trouble.pop(key, None)

    def _fail(self, key: Key, why: Why) -> None:
        held = self._trouble.get(key)
        failures = 1 if held is None else held.failures + 1
        self._trouble[key] = Trouble(why, failures, self._monotonic() + pause(failures, FIRST_RETRY, LAST_RETRY))

    async def _create(self, pool: WarmPool, wanted: str) -> bool:
        name = f"{pool.key.name}-{secrets.token_hex(4)}"
        try:
            made = await self._api.create_pod(pool.key.namespace, idle_pod.idle_pod(pool, name, self._settings))
        except ApiError as error:
            self._fail(pool.key, refusal(error))
            return False
        self._stock.posted(IdlePod(name=name, uid=made["metadata"]["uid"], spec_hash=wanted))
        self._cluster.put_pod(made)
        return True

    async def _remove(self, pod: dict[str, Any]) -> None:
        """As it was seen: one that was touched since is looked at again, when the watch tells."""
        meta = pod["metadata"]
        try:
            await self._api.remove_idle_pod(meta["namespace"], meta["name"], meta["uid"], meta["resourceVersion"])
        except ApiError as error:
            if error.status == 409:
                live = await self._api.get_pod(meta["namespace"], meta["name"])
                if live is not None:
                    self._cluster.put_pod(live)
                return
            if error.status != 404:
                raise
        self._cluster.forget_pod(pod)

    async def _say(self, pool: WarmPool, plan: Plan, wrong: Why | None, room: float) -> None:
        """The status, where it says something else by now, and not too often."""
        pods = [pod for pod in self._stock.idle(pool.key) if idle_pod.is_of(pod, pool)]
        listed = [proof for pod in pods if (proof := self._stock.proof(pod["metadata"]["uid"])) is not None]
        trouble = self._trouble.get(pool.key)
        why = wrong or (trouble.why if trouble is not None else None) or _waiting(pods)
        if room and why is None:
            why = Why(Reason.QUEUED, "Idle pods make room for a TaskRun that found none.", None)
        tally = self._stock.tally(pool.key)
        imports = self._stock.imports(pool)
        body = report(pool, listed, plan.ready, tally, why or STARTING, imports, self._clock())
        if body is None:
            return
        wait = STATUS_SECONDS - (self._monotonic() - self._written.get(pool.key, float("-inf")))
        if wait > 0:
            self.queue.add_after(pool.key, wait)
            return
        self._written[pool.key] = self._monotonic()
        patch = {"metadata": {"uid": pool.uid}, "status": body}
        try:
            answer = await self._api.patch_warm_pool_status(pool.key.namespace, pool.key.name, patch)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            raise Later(f"the WarmPool is gone or another one: {error}") from error
        self._stock.counted(pool.key, tally)
        self._stock.put_pool(answer)

    def _again(self, pool: WarmPool, room: float, views: list[Idle]) -> None:
        """When time alone changes something."""
        trouble = self._trouble.get(pool.key)
        times = [pool.spec.max_idle_seconds - view.age for view in views if view.age < pool.spec.max_idle_seconds]
        times += [room] if room else []
        times += [trouble.retry_at - self._monotonic()] if trouble is not None else []
        if times:
            self.queue.add_after(pool.key, max(0.0, min(times)) + 0.1)


def _waiting(pods: list[dict[str, Any]]) -> Why | None:
    """Why a pod that was created does not run yet, in the words of whoever holds it up."""
    reasons = (podstatus.read(pod).waiting for pod in pods)
    return next((why for why in reasons if why is not None), None)
