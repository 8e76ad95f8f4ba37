"""One look at one TaskRun: observe, decide, apply, and when to look again.

    observe ──> Learned taken in ──> look up the cache key ──> limits ──> decide ──> apply ──> renew, reap, clean up

Before: `work_queue`. The semantics are not here: they are `podtask.core.lifecycle.rules`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from podtask.core.api.names import Reason
from podtask.core.lifecycle import decide
from podtask.core.lifecycle.model import Decision, Launch, Observed, Release
from podtask.core.lifecycle.pod_expectation import Creation
from podtask.core.storage import Signer, StoreRefused, StoreUnavailable
from podtask_operator.controller.applier import Applier
from podtask_operator.controller.cache_lookup import CacheLookup
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.event_recorder import EventRecorder
from podtask_operator.controller.expectations import Learned, RunExpectations
from podtask_operator.controller.janitor import Janitor
from podtask_operator.controller.log_tail import LogTail
from podtask_operator.controller.observer import Observer
from podtask_operator.controller.pod_launcher import PodLauncher
from podtask_operator.controller.status_writer import StatusWriter
from podtask_operator.controller.work_queue import Later, WorkQueue
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable
from podtask_operator.runtime import logging as logs
from podtask_operator.runtime.tracing import Traces
from podtask_operator.settings import Settings
from podtask_operator.storage.objects import Objects
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun

log = logging.getLogger(__name__)

MARGIN = 0.005
"""Seconds added to every wake-up, so that a delay is never found to be a hair short."""


class Reconciler:
    """Runs the three steps for each key of the work queue."""

    def __init__(
        self,
        api: Api,
        cluster: ClusterCache,
        objects: Objects,
        signer: Signer,
        recorder: EventRecorder,
        settings: Settings,
        clock: Callable[[], datetime],
        ended: Callable[[Key], None] = lambda _: None,
        traces: Traces | None = None,
    ) -> None:
        self._cluster = cluster
        self._observer = Observer(api, cluster, objects, settings)
        self._lookup = CacheLookup(cluster, objects)
        self._writer = StatusWriter(api, cluster, recorder)
        self._launcher = PodLauncher(api, cluster, objects, signer, settings, traces)
        self._janitor = Janitor(api, cluster, settings)
        log_tail = LogTail(api, cluster, objects)
        self._applier = Applier(self._writer, self._launcher, self._janitor, log_tail, objects, settings)
        self._clock = clock
        self._ended = ended
        self._settings = settings
        self.queue = WorkQueue(self.reconcile, settings.concurrency)

    async def reconcile(self, key: Key) -> None:
        """Bring one TaskRun one step further. Idempotent. Raises `Later` when something it needs is away."""
        run = self._cluster.runs.get(key)
        if run is None or (run.deleting and run.status.finished) or not self._cluster.served.works_in(key.namespace):
            return
        self._cluster.recount(key, run)
        now = self._clock()
        try:
            with logs.about(*key, attempt=run.status.attempts_total):
                decision = await self._step(key, run, self._cluster.expectations.of(key, run.uid), now)
        except (ApiUnavailable, StoreUnavailable) as error:
            self._cluster.decided(key, run, queues=False)  # what it lacks is not only a slot: others need not wait
            if isinstance(error, StoreRefused):
                self._writer.tell_refusal(key, error)
            raise Later(str(error)) from error
        except ApiError:
            self._cluster.decided(key, run, queues=False)  # refused at the head of the line it would hold up all others
            self._let_rivals_pass(key, run)
            raise
        finally:
            self._wake_others(key)
        if any(isinstance(effect, (Launch, Release)) for effect in decision.effects):
            self.queue.add(key)
        if decision.again_at is not None:
            self._look_again(key, decision.again_at, now)

    async def _step(self, key: Key, run: TaskRun, expectations: RunExpectations, now: datetime) -> Decision:
        decision = await self._decide(key, run, expectations, now)
        log.debug("%s: %s -> %s %s", key, decision.rule, decision.status.state, decision.effects)
        await self._applier.apply(key, run, decision, expectations, now)
        written = self._cluster.runs.get(key)
        if written is None:
            return decision
        await self._renew_grants(key, written, expectations, now)
        alive_until = await self._janitor.reap(key, written, now)
        if alive_until is not None:
            self._look_again(key, alive_until, now)
        await self._launcher.revoke_late(written, expectations)
        await self._janitor.clean_up(key, written)
        return decision

    async def _decide(self, key: Key, run: TaskRun, expectations: RunExpectations, now: datetime) -> Decision:
        """The reads, in the order that keeps two reconciles from taking one slot or leading one race twice."""
        seen, learned = await self._observer.observe(key, run, expectations.look(), now)
        self._take_in(expectations, learned)
        if learned.composed is not None:  # in the race already: identical runs that look at the same time see it there
            cache, learned = await self._lookup.look_up(key, run, expectations, learned.composed, now)
            self._take_in(expectations, learned)
            seen = replace(seen, cache=cache)
        if not run.status.finished:
            # Last, and with nothing awaited from here to the record: two reconciles never count the same slot as free.
            seen = replace(seen, limits=self._cluster.limits(key, run))
        decision = self._with_idle_pod(key, run, seen, decide(seen, now), now)
        self._cluster.decided(key, run, queues=decision.queues)
        return decision

    def _with_idle_pod(self, key: Key, run: TaskRun, seen: Observed, decision: Decision, now: datetime) -> Decision:
        """A new attempt takes an idle pod where one fits. Nothing is awaited, so no two attempts choose one pod."""
        stock = self._cluster.stock
        if not stock.pools:
            return decision
        why = seen.refusal.why if seen.refusal is not None else seen.pod.waiting if seen.pod is not None else None
        if why is not None and why.reason in (Reason.QUOTA, Reason.UNSCHEDULABLE):
            stock.needs_room(key.namespace, run.uid, run.status.attempts_total)
        if decision.status.attempts_total == run.status.attempts_total:
            return decision
        # As it will be recorded: the end of the attempt before may have changed the pod (memory, placement).
        offer = stock.offer(replace(run, status=decision.status), self._settings, now)
        if offer is None:
            return decision
        if offer.claim is not None:
            decision = decide(replace(seen, idle=offer.claim), now)
        latest = decision.status.latest
        # An attempt with more memory takes no idle pod; none is offered either, so that this holds each time.
        if offer.claim is None or (latest is not None and latest.claim == offer.claim):  # pragma: no branch
            stock.choose(offer, key)
        return decision

    def _take_in(self, expectations: RunExpectations, learned: Learned) -> None:
        """Store what a look has found out: in the expectations and in the informer cache."""
        expectations.learn(learned)
        for pod in learned.pods:
            self._cluster.put_pod(pod)
        for uid, live in learned.flow_runs.items():
            if live is None:
                self._cluster.flow_runs.gone(uid)
            else:
                self._cluster.flow_runs.put(live)

    def _wake_others(self, key: Key) -> None:
        """Once a run has ended or is gone, whoever told us, those that wait for it look again at once.

        One that is suspended or being deleted leads no race for a cache key: the others must not wait for it.
        """
        run, others = self._cluster.runs.get(key), []
        if run is not None and run.status.finished:
            others = self._announced(key, run)
            self._cluster.expectations.settle(key, run.uid)
        elif run is not None and (run.spec.suspend or run.deleting):
            self._cluster.expectations.of(key, run.uid).withdraw()
        for other in (*others, *self._cluster.unheard(), *self._cluster.slots.next()):
            self.queue.add(other)

    def _let_rivals_pass(self, key: Key, run: TaskRun) -> None:
        """A run whose first record is refused leads no race for a cache key, until it looks again."""
        if not run.status.attempts_total:
            self._cluster.expectations.of(key, run.uid).withdraw()

    def _announced(self, key: Key, run: TaskRun) -> list[Key]:
        """Runs that must be looked at because this one has ended. Returned once."""
        expectations = self._cluster.expectations.of(key, run.uid)
        if not expectations.announce():
            return []
        others = self._cluster.concerned(key)
        expectations.leave(stored=run.status.state.succeeded)
        if run.spec.ttl_seconds_after_finished is not None:  # it has begun, and no watch tells of an own write
            others.append(key)
        self._ended(key)
        return others

    def _look_again(self, key: Key, moment: datetime, now: datetime) -> None:
        self.queue.add_after(key, (moment - now).total_seconds() + MARGIN)

    async def _renew_grants(self, key: Key, run: TaskRun, expectations: RunExpectations, now: datetime) -> None:
        """Long attempts get new URLs at half of the old ones' life; the runner reads them when the store refuses."""
        attempt = run.status.running
        if attempt is None or run.uid != expectations.expected.uid:
            return
        if expectations.expected.pod_of(attempt.number).creation is not Creation.SEEN:  # what launches it grants
            return
        again_at = await self._launcher.renew(key, attempt, expectations, now)
        self.queue.add_after(key, (again_at - now).total_seconds())
        if attempt.claim is not None:
            claim_at = await self._launcher.renew_claim(key, attempt, expectations, now)
            if claim_at is not None:
                self._look_again(key, claim_at, now)
