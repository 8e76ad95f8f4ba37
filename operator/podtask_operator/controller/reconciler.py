"""One look at one TaskRun: observe, decide, apply, and when to look again.

Before: `queue`. The semantics are not here: they are `podtask.core.lifecycle.rules`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from podtask.core.lifecycle import decide
from podtask.core.lifecycle.model import Decision, Launch, Presence
from podtask.core.storage import StoreRefused, StoreUnavailable
from podtask_operator.controller.applier import Applier
from podtask_operator.controller.cluster_cache import Mirror
from podtask_operator.controller.observer import Observer
from podtask_operator.controller.work_queue import Later, WorkQueue
from podtask_operator.kube.client import ApiError, ApiUnavailable
from podtask_operator.runtime import logging as logs
from podtask_operator.settings import Settings
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun

log = logging.getLogger(__name__)

MARGIN = 0.005
"""Seconds added to every wake-up, so that a delay is never found to be a hair short."""


class Reconciler:
    """Wires the three steps to the queue."""

    def __init__(
        self,
        mirror: Mirror,
        observer: Observer,
        applier: Applier,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._mirror = mirror
        self._observer = observer
        self._applier = applier
        self._clock = clock
        self.queue = WorkQueue(self.reconcile, settings.concurrency)

    async def reconcile(self, key: Key) -> None:
        """Bring one TaskRun one step further. Idempotent. Raises `Later` when something it needs is away."""
        run = self._mirror.runs.get(key)
        if run is None or run.deleting:
            return
        self._mirror.recount(key)
        now, concerned = self._clock(), self._mirror.concerned(key)
        try:
            with logs.about(*key, attempt=run.status.attempts_total):
                decision = await self._step(key, run, now)
        except (ApiUnavailable, StoreUnavailable) as error:
            self._mirror.decided(key, run, queues=False)  # what it lacks is not only a slot: others need not wait
            if isinstance(error, StoreRefused):
                self._applier.tell_refusal(key, error)
            raise Later(str(error)) from error
        except ApiError:
            self._mirror.decided(key, run, queues=False)  # refused at the head of the line it would hold up all others
            raise
        finally:
            self._wake_others(key, concerned)
        if any(isinstance(effect, Launch) for effect in decision.effects):
            self.queue.add(key)
        if decision.again_at is not None:
            self.queue.add_after(key, (decision.again_at - now).total_seconds() + MARGIN)

    async def _step(self, key: Key, run: TaskRun, now: datetime) -> Decision:
        seen = await self._observer.observe(key, run, now)
        decision = decide(seen, now)
        self._mirror.decided(key, run, queues=decision.queues)
        log.debug("%s: %s -> %s %s", key, decision.rule, decision.status.state, decision.effects)
        await self._applier.apply(key, run, decision, now)
        await self._refresh_grants(key, now)
        alive_until = await self._applier.reap(key, now)
        if alive_until is not None:
            self.queue.add_after(key, (alive_until - now).total_seconds() + MARGIN)
        await self._applier.clean_up(key)
        return decision

    def _wake_others(self, key: Key, concerned: list[Key]) -> None:
        """Once a run has ended or is gone, whoever told us, those that wait for it look again at once.

        A suspended run leads no race for a cache key: the others of the race must not wait for it.
        """
        run = self._mirror.runs.get(key)
        memory = self._mirror.memory(key, run.uid) if run is not None else None
        others: list[Key] = []
        if run is None or memory is None:
            others = concerned
        elif run.status.finished and not memory.announced:
            others = self._mirror.concerned(key)
            if run.spec.ttl_seconds_after_finished is not None:  # it has begun, and no watch tells of an own write
                others.append(key)
            memory.announced = True
            self._mirror.forget_cache_key(key)
        elif run.spec.suspend and memory.cache_key is not None:
            others = self._mirror.racing(key, memory.cache_key)
            self._mirror.forget_cache_key(key)  # said once: two that are suspended would wake each other for ever
            memory.claimed = False  # a record that the suspension overtook was refused
        for other in (*others, *self._mirror.slots.next()):
            self.queue.add(other)

    async def _refresh_grants(self, key: Key, now: datetime) -> None:
        """Long attempts get new URLs at half of the old ones' life; the runner reads them when the store refuses."""
        run = self._mirror.runs.get(key)
        attempt = run.status.running if run is not None else None
        if run is None or attempt is None:
            return
        memory = self._mirror.memory(key, run.uid)
        if memory.presence.get(attempt.number) is not Presence.SEEN:  # what launches it writes its grants
            return
        due = memory.renew_at = memory.renew_at or await self._applier.renewal(attempt, now)
        if now >= due:
            await self._applier.renew(key, attempt.number, memory, now)
        self.queue.add_after(key, (memory.renew_at - now).total_seconds())
