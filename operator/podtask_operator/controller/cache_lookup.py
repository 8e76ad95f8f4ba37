"""What the bucket has for a run's cache key, and which of several identical runs goes first.

Before: `observer`, whose cache key the reconciler has entered into the race already, so that identical runs which look
at the same time see each other. Next: `podtask.core.lifecycle.decide`. Reads; a broken entry is dropped on the way.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from podtask.core.lifecycle.model import CacheView
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.expectations import Expected, Learned, Missed, RunExpectations
from podtask_operator.storage.objects import Objects
from podtask_operator.task_runs.cache_key import Composed
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun

ASK_AGAIN = timedelta(minutes=10)
"""Between two lookups of a run that waits for a slot or for the same leader, where there was no entry: each costs a
request to the bucket."""


class CacheLookup:
    """Finds the cache entry of a run, or the identical run that goes first."""

    def __init__(self, cluster: ClusterCache, objects: Objects) -> None:
        self._cluster = cluster
        self._races = cluster.expectations.races
        self._objects = objects

    async def look_up(
        self, key: Key, run: TaskRun, expectations: RunExpectations, composed: Composed, now: datetime
    ) -> tuple[CacheView, Learned]:
        """The cache entry, or the run that goes first, or the reason for a miss. Raises as `Objects.lookup`."""
        if run.spec.cache is None or composed.key is None:
            raise AssertionError("asked only for a run with a cache key")
        if run.spec.cache.refresh:
            return CacheView(composed.key, miss_reason="spec.cache.refresh is true."), Learned()
        # Asked before the lookup, too: one that ends meanwhile stored its entry too late for it, and wakes this run.
        leader = self._leader(key, expectations.expected, composed.key)
        stored = self._races.stored(key, composed.key)
        missed = expectations.expected.missed
        if missed is not None and missed.key == composed.key and now < missed.at + ASK_AGAIN:
            same = leader is not None and (leader, stored) == (missed.view.leader, missed.stored)
            if same or self._queues(key, run):
                return replace(missed.view, leader=leader), Learned()
        found = await self._objects.lookup(run.namespace, composed.key, now)
        if found.entry is not None:
            producer, expires = found.entry.producer, found.entry.expires_at
            hit = CacheView(composed.key, hit=found.result, hit_run=producer.task_run, expires_at=expires)
            return hit, Learned()
        reason, nearest = found.miss_reason, None
        learned = Learned(dropped=reason if found.dropped else None)
        if found.absent and leader is None:
            compared = await self._objects.why_missed(run.namespace, composed)
            if compared is not None:
                reason, nearest = f"{reason} {compared.text}", compared.task_run
        # Last, and with nothing awaited from here to the record: one that joined the race meanwhile is seen.
        leader = leader or self._leader(key, expectations.expected, composed.key)
        view = CacheView(composed.key, leader=leader, miss_reason=reason, compared_with=nearest)
        return view, replace(learned, missed=Missed(composed.key, now, view, stored))

    def _queues(self, key: Key, run: TaskRun) -> bool:
        """Whether there is no slot for it: whatever the bucket has, it is asked once there is one."""
        return any(limit.full for limit in self._cluster.limits(key, run))

    def _leader(self, key: Key, expected: Expected, cache_key: str) -> str | None:
        """The identical run that goes first, whose end wakes this one. None where this one goes first."""
        first = None if expected.claimed else self._races.first(key, cache_key)
        return None if first is None else first.name
