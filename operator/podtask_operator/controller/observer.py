"""Everything one decision depends on, read into one frozen `Observed`: caches first, live reads where they decide.

    Expected (frozen), informer cache, API server, outcome ──> observe ──> Observed, Learned

Nothing is written: what was found out is returned, and the reconciler takes it in. Before: `work_queue`. Next:
`cache_lookup` for a run with a cache key, then `podtask.core.lifecycle.decide`. The bucket is read only for attempts
whose pod cannot say how it ended.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from podtask.core.api.status import ResolvedInput
from podtask.core.lifecycle.model import CacheView, Observed, Pod, PodPhase, Policy, Presence, Upstream, Why
from podtask.core.lifecycle.pod_expectation import PodExpectation
from podtask.core.lifecycle.pod_timeouts import was_there
from podtask.core.lifecycle.rules import UPSTREAM_GRACE
from podtask.core.storage.layout import pod_name
from podtask_operator.controller.cluster_cache import Mirror
from podtask_operator.controller.dependency_cycles import Circles
from podtask_operator.controller.expectations import Expected, Learned
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import Api, ApiError
from podtask_operator.pods import memory as memory_growth
from podtask_operator.pods import status as podstatus
from podtask_operator.pods.build import resources_of
from podtask_operator.pods.validate import invalid
from podtask_operator.settings import Settings
from podtask_operator.storage.objects import Objects
from podtask_operator.task_runs import flow_run, open_fields
from podtask_operator.task_runs.cache_key import Composed, composed_key, identified
from podtask_operator.task_runs.flow_run import DEPTH, Object, Ref, Unknown
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun, policy

log = logging.getLogger(__name__)

PENDING_WITH_SLOT = 900.0
"""Seconds that a pod which no node takes may hold its slots, whatever its own pendingTimeoutSeconds: others wait."""


@dataclass(frozen=True)
class PodLook:
    """The pod of the running attempt, and what is expected of it from now on."""

    presence: Presence
    expectation: PodExpectation
    pod: Pod | None = None
    live: Object | None = None
    """Where the watch has not shown it."""


class Observer:
    """Reads for decisions."""

    def __init__(self, api: Api, mirror: Mirror, objects: Objects, settings: Settings) -> None:
        self._api = api
        self._mirror = mirror
        self._objects = objects
        self._settings = settings
        self._circles = Circles(mirror)

    async def observe(self, key: Key, run: TaskRun, expected: Expected, now: datetime) -> tuple[Observed, Learned]:
        """What is known of `run` at `now`, and what was found out. May raise `ApiUnavailable`, `StoreUnavailable`.

        Without limits, and without what the bucket has for the cache key: both are read last (`Reconciler`).
        """
        needed = run.status.finished and self._mirror.needed(key)
        seen, learned = Observed(run.uid, run.created_at, self._asked(run), run.status, needed=needed), Learned()
        if run.status.finished:
            return seen, learned
        if run.flow_run is not None and self._mirror.flow_runs.readable:
            flow_ended, flow_runs = await self._flow_ended(run.namespace, run.flow_run)
            seen, learned = replace(seen, flow_ended=flow_ended), replace(learned, flow_runs=flow_runs)
        if run.status.running is not None:
            return await self._attempt(seen, learned, run, expected, now)
        return await self._gates(seen, learned, key, run, now)

    async def _gates(
        self, seen: Observed, learned: Learned, key: Key, run: TaskRun, now: datetime
    ) -> tuple[Observed, Learned]:
        """What may hold the next attempt."""
        wrong = invalid(run, self._settings)
        if wrong is not None:  # nobody is asked for what an invalid spec names
            return replace(seen, invalid=wrong), learned
        wanted = {up.task_run for up in run.spec.upstream}
        upstreams = tuple([await self._upstream(run, name, now, wants=name in wanted) for name in run.needs])
        succeeded = all(up.succeeded for up in upstreams)
        if not run.status.attempts_total and not succeeded:
            wrong = self._circles.invalid(key, run.created_at, now)
        seen = replace(seen, invalid=wrong, upstreams=upstreams)
        if wrong is not None or seen.policy.suspend or seen.cancelled or not succeeded:
            return seen, learned
        cache, composed = await self._cache_key(run, upstreams)
        seen = replace(seen, cache=cache, spec_digest=open_fields.digest(run.spec))
        return seen, replace(learned, composed=composed)

    async def _cache_key(
        self, run: TaskRun, upstreams: tuple[Upstream, ...]
    ) -> tuple[CacheView | None, Composed | None]:
        """The key to look up; or, where there is none, why."""
        if run.spec.cache is None or run.status.attempts_total:
            return None, None
        hashes = identified(up.result for up in upstreams if up.wants_data)
        if run.spec.task.source is None:
            composed = composed_key(run, hashes, self._settings)
        else:  # parsing a stranger's source must not stop the event loop
            composed = await asyncio.to_thread(composed_key, run, hashes, self._settings)
        off = composed.off_reason if composed.key is None else await self._objects.cache_off(run.namespace)
        if composed.key is None or off is not None:
            return CacheView(None, off_reason=off), None
        return CacheView(composed.key), composed

    async def _flow_ended(self, namespace: str, ref: Ref) -> tuple[Why | None, dict[str, Object | None]]:
        """Whether its flow run ends it. A FlowRun that no watch has shown is asked for before it counts as gone."""
        found: dict[str, Object | None] = {}
        for _ in range(DEPTH):
            live = {uid: None if obj is None else flow_run.read(obj) for uid, obj in found.items()}
            try:
                return self._mirror.flow_runs.ended_by(ref, live), found
            except Unknown as unknown:
                try:
                    obj = await self._api.get_flow_run(namespace, unknown.ref.name)
                except ApiError as error:  # no right to read FlowRuns, in an installation by older rules
                    log.warning("flow run %s of %s cannot be read: %s", unknown.ref.name, namespace, error)
                    return None, found
                same = obj is not None and obj["metadata"]["uid"] == unknown.ref.uid
                found[unknown.ref.uid] = obj if same else None
        return None, found

    def _asked(self, run: TaskRun) -> Policy:
        """What the spec asks for, and what the administrator adds."""
        growth = memory_growth.growth(run.spec.on_out_of_memory, resources_of(run, self._settings))
        force = self._settings.lost_node_force_seconds
        asked = replace(policy(run), on_out_of_memory=growth, force_after_seconds=force)
        if not self._mirror.slots_of(run):
            return asked
        return replace(asked, pending_timeout_seconds=min(asked.pending_timeout_seconds, PENDING_WITH_SLOT))

    async def _attempt(
        self, seen: Observed, learned: Learned, run: TaskRun, expected: Expected, now: datetime
    ) -> tuple[Observed, Learned]:
        """The attempt that runs: its pod, and where that cannot say how it ended, its stored outcome."""
        attempt = run.status.running
        if attempt is None:
            raise AssertionError("asked only while an attempt runs")
        expectation = expected.pod_of(attempt.number)
        if (attempt.number, attempt.recorded_at) in expected.records:
            expectation = expectation.recorded()  # the answer to the record was lost
        look = await self._pod(run, expectation, now)
        pod, presence = look.pod, look.presence
        silent = pod is not None and pod.phase is PodPhase.ENDED and pod.outcome is None
        rang = expected.rang == attempt.number
        alive = pod is not None and pod.phase is not PodPhase.ENDED
        stored = None
        if silent or (rang and alive) or presence in (Presence.ABSENT, Presence.FOREIGN):
            stored = await self._objects.outcome(run, attempt.number)
        pods = () if look.live is None else (look.live,)
        learned = replace(learned, pod=look.expectation, pods=pods)
        refusal, uid = look.expectation.refusal, look.expectation.uid
        seen = replace(seen, presence=presence, pod=pod, stored=stored, refusal=refusal, known_uid=uid)
        late = self._api.late()
        if presence is Presence.ABSENT and late > 0 and not was_there(seen, attempt):
            seen = replace(seen, presence=Presence.LATE, late_until=now + timedelta(seconds=late))
        return seen, learned

    async def _pod(self, run: TaskRun, expectation: PodExpectation, now: datetime) -> PodLook:
        name = Key(run.namespace, pod_name(run.name, expectation.attempt))
        held = self._mirror.pods.get(name)
        if held is not None and podstatus.is_ours(held, run.uid):
            pod = podstatus.read(held)
            return PodLook(Presence.SEEN, expectation.shown(pod.uid), pod)
        if not expectation.look_up_due(now):
            return PodLook(expectation.presence, expectation)
        live = await self._api.get_pod(name.namespace, name.name)
        if live is None:
            missing = expectation.missing()
            return PodLook(missing.presence, missing)
        if not podstatus.is_ours(live, run.uid):
            return PodLook(Presence.FOREIGN, expectation)
        pod = podstatus.read(live)
        return PodLook(Presence.SEEN, expectation.shown(pod.uid), pod, live)

    async def _upstream(self, run: TaskRun, name: str, now: datetime, *, wants: bool) -> Upstream:
        key = Key(run.namespace, name)
        if key not in self._mirror.runs and now >= run.created_at + UPSTREAM_GRACE:
            live = await self._api.get_run(run.namespace, name)  # before "there is none" is said, ask
            if live is not None and key not in self._mirror.malformed:
                raise Later(f"the watch has not told of '{name}' yet")
        found = self._mirror.runs.get(key)
        if found is None:
            return Upstream(name, found=False, wants_data=wants)
        status = found.status
        done = status.finished and status.state.succeeded
        return Upstream(
            name,
            found=True,
            finished=status.finished,
            succeeded=done,
            state=str(status.state),
            wants_data=wants,
            result=resolved(found) if done else None,
        )


def resolved(run: TaskRun) -> ResolvedInput | None:
    """A completed run's result as an input of another."""
    result = run.status.result
    if result is None:
        return None
    return ResolvedInput(
        task_run=run.name,
        uid=run.uid,
        attempt=result.attempt or run.status.attempts_total,
        digest=result.digest,
        size=result.size,
        serializer=result.serializer,
        content_hash=result.content_hash,
        source_uid=result.source_uid,
    )
