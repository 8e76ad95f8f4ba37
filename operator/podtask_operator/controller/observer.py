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
from datetime import datetime, timedelta, timezone

from podtask.core.api.names import LABEL_TASK_RUN
from podtask.core.api.status import Attempt, Claim, ResolvedInput, pod_name
from podtask.core.lifecycle.failed_inputs import failed_input, uncached_by
from podtask.core.lifecycle.model import CacheView, Observed, Pod, PodPhase, Policy, Presence, Upstream, Why
from podtask.core.lifecycle.pod_expectation import PodExpectation
from podtask.core.lifecycle.pod_timeouts import was_there
from podtask.core.lifecycle.rules import REPORT_AFTER, UPSTREAM_GRACE
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.dependency_cycles import Circles
from podtask_operator.controller.expectations import Expected, Learned
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import Api, ApiError
from podtask_operator.pods import events as pod_events
from podtask_operator.pods import memory as memory_growth
from podtask_operator.pods import status as podstatus
from podtask_operator.pods import waiting as pod_waiting
from podtask_operator.pods.build import resources_of
from podtask_operator.pods.events import CloserLook
from podtask_operator.pods.validate import invalid
from podtask_operator.settings import Settings
from podtask_operator.storage.objects import Objects
from podtask_operator.task_runs import flow_run, open_fields
from podtask_operator.task_runs.cache_key import Composed, composed_key, identified
from podtask_operator.task_runs.flow_run import DEPTH, Object, Ref, Unknown
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun, policy, with_defaults
from podtask_operator.warm_pods import idle_pod

log = logging.getLogger(__name__)

UNWATCHED = timedelta(seconds=5)
"""Between two looks at a pod that the watch does not show because somebody changed its labels."""
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
    overlooked: bool = False
    """No scheduler has looked at it."""
    gated: bool = False
    """Scheduling gates hold it."""


class Observer:
    """Reads everything that a decision depends on."""

    def __init__(self, api: Api, cluster: ClusterCache, objects: Objects, settings: Settings) -> None:
        self._api = api
        self._cluster = cluster
        self._objects = objects
        self._settings = settings
        self._circles = Circles(cluster)
        self._events_at = datetime.min.replace(tzinfo=timezone.utc)
        """When Events may be listed again."""

    async def observe(self, key: Key, run: TaskRun, expected: Expected, now: datetime) -> tuple[Observed, Learned]:
        """What is known of `run` at `now`, and what was found out. May raise `ApiUnavailable`, `StoreUnavailable`.

        Without limits, and without what the bucket has for the cache key: both are read last (`Reconciler`).
        """
        needed = run.status.finished and self._cluster.needed(key)
        seen, learned = Observed(run.uid, run.created_at, self._asked(run), run.status, needed=needed), Learned()
        if run.status.finished:
            return seen, learned
        seen = replace(seen, deleting=run.deleting)
        if run.deleting and run.status.running is None:
            return seen, learned
        if run.flow_run is not None and self._cluster.flow_runs.readable:
            flow_ended, flow_runs = await self._flow_ended(run.namespace, run.flow_run)
            seen, learned = replace(seen, flow_ended=flow_ended), replace(learned, flow_runs=flow_runs)
        if run.status.running is not None:
            return await self._attempt(seen, learned, run, expected, now)
        return await self._gates(seen, learned, key, run, now)

    async def _gates(
        self, seen: Observed, learned: Learned, key: Key, run: TaskRun, now: datetime
    ) -> tuple[Observed, Learned]:
        """Read what may hold up the next attempt: the spec, upstreams and the cache."""
        wrong = invalid(run, self._settings)
        if wrong is not None:  # nobody is asked for what an invalid spec names
            return replace(seen, invalid=wrong), learned
        wanted = {up.task_run for up in run.spec.upstream}
        uids = {need.task_run: need.uid for need in run.spec.needs if need.uid is not None}
        upstreams = tuple(
            [await self._upstream(run, name, uids.get(name), now, wants=name in wanted) for name in run.needs]
        )
        ready = all(up.ready for up in upstreams)
        if not run.status.attempts_total and not ready:
            wrong = self._circles.invalid(key, run.created_at, now)
        seen = replace(seen, invalid=wrong, upstreams=upstreams)
        if wrong is not None or seen.policy.suspend or seen.cancelled or not ready:
            return seen, learned
        cache, composed = await self._cache_key(run, upstreams)
        seen = replace(seen, cache=cache, spec_digest=open_fields.digest(run.spec))
        return seen, replace(learned, composed=composed)

    async def _cache_key(
        self, run: TaskRun, upstreams: tuple[Upstream, ...]
    ) -> tuple[CacheView | None, Composed | None]:
        """The cache key to look up, or the reason why there is none."""
        if run.spec.cache is None or run.status.attempts_total:
            return None, None
        if (why := uncached_by(upstreams)) is not None:
            return CacheView(None, off_reason=why), None
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
        """Why the FlowRun ends this run, or None. A FlowRun that no watch has shown is read live."""
        found: dict[str, Object | None] = {}
        for _ in range(DEPTH):
            live = {uid: None if obj is None else flow_run.read(obj) for uid, obj in found.items()}
            try:
                return self._cluster.flow_runs.ended_by(ref, live), found
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
        """The policy of the spec, with the defaults and bounds of the administrator."""
        growth = memory_growth.growth(run.spec.on_out_of_memory, resources_of(run, self._settings))
        force = self._settings.lost_node_force_seconds
        whole = replace(run, spec_held=with_defaults(run.spec, self._settings.task_defaults))
        asked = replace(policy(whole), on_out_of_memory=growth, force_after_seconds=force)
        if not self._cluster.slots_of(run):
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
        look = await (self._pod if attempt.claim is None else self._claimed)(run, attempt, expectation, now)
        pod, presence = look.pod, look.presence
        silent = pod is not None and pod.phase is PodPhase.ENDED and pod.outcome is None
        rang = expected.rang == attempt.number
        alive = pod is not None and pod.phase is not PodPhase.ENDED
        stored = None
        if silent or (rang and alive) or presence in (Presence.ABSENT, Presence.FOREIGN):
            stored = await self._objects.outcome(run, attempt.number)
        watched = look.live is not None and LABEL_TASK_RUN in (look.live["metadata"].get("labels") or {})
        pods = (look.live,) if look.live is not None and watched else ()
        if look.live is not None and not watched:  # its label was taken away: no watch tells of it
            seen = replace(seen, read_again_at=now + UNWATCHED)
        if pod is not None and pod.phase is PodPhase.WAITING and pod.scheduled_at is None and not look.gated:
            ungated = expected.ungated
            since = ungated[1] if ungated is not None and ungated[0] == attempt.number else now
            learned, pod = replace(learned, ungated=(attempt.number, since)), replace(pod, scheduled_at=since)
            look = replace(look, pod=pod)
        closer = await self._closer_look(run, attempt, look, expected, seen.policy, now)
        if pod is not None and closer is not None and pod.waiting is None:
            pod = replace(pod, waiting=closer.why)
            seen = replace(seen, read_again_at=min(closer.again_at, seen.read_again_at or closer.again_at))
        learned = replace(learned, pod=look.expectation, pods=pods, closer=closer)
        refusal, uid = look.expectation.refusal, look.expectation.uid
        seen = replace(seen, presence=presence, pod=pod, stored=stored, refusal=refusal, known_uid=uid)
        late = max(self._api.late(), self._cluster.served.late(run.namespace))
        return _or_late(seen, attempt, late, now), learned

    async def _closer_look(
        self, run: TaskRun, attempt: Attempt, look: PodLook, expected: Expected, policy: Policy, now: datetime
    ) -> CloserLook | None:
        """Why a pod waits that does not say so itself; what was found before, until it is time to ask again."""
        pod, last = look.pod, expected.closer
        if pod is None or pod.phase is not PodPhase.WAITING:
            return None
        since = pod.scheduled_at or attempt.recorded_at or now
        if last is None or last.attempt != attempt.number:
            last = CloserLook(attempt.number, None, None, since + REPORT_AFTER)
        if not pod_events.due(last, pod, policy, now):
            return last
        if now < self._events_at:
            return replace(last, again_at=self._events_at)
        self._events_at = now + pod_events.APART
        why = await self._why_waiting(run, pod_name(run.name, attempt), pod, overlooked=look.overlooked)
        return pod_events.looked(attempt.number, since, why, now)

    async def _why_waiting(self, run: TaskRun, name: str, pod: Pod, *, overlooked: bool) -> Why | None:
        if overlooked:
            live = await self._api.get_pod(run.namespace, name)
            return pod_events.why_overlooked(live) if live is not None and pod_events.overlooked(live) else None
        try:
            return pod_events.why(await self._api.events_of(run.namespace, pod.uid, pod_events.EVENTS_READ))
        except ApiError as error:  # no right to list Events, in an installation by older rules
            log.debug("the Events of pod %s/%s cannot be read: %s", run.namespace, name, error)
            return None

    async def _claimed(self, run: TaskRun, attempt: Attempt, expectation: PodExpectation, now: datetime) -> PodLook:
        """The idle pod that was chosen for the attempt: its own, still idle, another's, or gone."""
        claim = attempt.claim
        if claim is None:
            raise AssertionError("asked only of an attempt with an idle pod")
        name = Key(run.namespace, claim.pod_name)
        held = self._cluster.pods.get(name)
        if held is not None and _took(held, claim, run):
            return _of_attempt(held, attempt, expectation)
        if expectation.released:
            return PodLook(Presence.UNCLAIMED, expectation)
        if not expectation.look_up_due(now):
            return PodLook(expectation.presence, expectation)
        live = await self._api.get_pod(name.namespace, name.name)
        if live is None or podstatus.read(live).uid != claim.pod_uid:
            gone = replace(expectation.claim_missing(), uid=claim.pod_uid)  # and whether it was claimed nobody knows
            return PodLook(gone.presence, gone)
        if _took(live, claim, run):
            return replace(_of_attempt(live, attempt, expectation), live=live)
        if idle_pod.is_idle(live):
            return PodLook(Presence.IDLE, expectation)
        return PodLook(Presence.UNCLAIMED, expectation.unclaimed())

    async def _pod(self, run: TaskRun, attempt: Attempt, expectation: PodExpectation, now: datetime) -> PodLook:
        name = Key(run.namespace, pod_name(run.name, attempt))
        held = self._cluster.pods.get(name)
        if held is not None and podstatus.is_ours(held, run.uid):
            pod = podstatus.read(held)
            return _seen(held, pod, expectation)
        if not expectation.look_up_due(now):
            return PodLook(expectation.presence, expectation)
        live = await self._api.get_pod(name.namespace, name.name)
        if live is None:
            missing = expectation.missing()
            return PodLook(missing.presence, missing)
        if not podstatus.is_ours(live, run.uid):
            return PodLook(Presence.FOREIGN, expectation)
        pod = podstatus.read(live)
        return replace(_seen(live, pod, expectation), live=live)

    async def _upstream(self, run: TaskRun, name: str, uid: str | None, now: datetime, *, wants: bool) -> Upstream:
        """The run of that name; with a `uid` only the one that has it."""
        key = Key(run.namespace, name)
        found = self._cluster.runs.get(key)
        replaced = found is not None and uid not in (None, found.uid)
        if (found is None or replaced) and now >= run.created_at + UPSTREAM_GRACE:
            live = await self._api.get_run(run.namespace, name)  # before "there is none" is said, ask
            there = None if live is None or key in self._cluster.malformed else live["metadata"]["uid"]
            if there is not None and uid in (None, there):
                raise Later(f"the watch has not told of '{name}' yet")
            replaced = there is not None
        if found is None or replaced:
            return Upstream(name, exists=False, replaced=replaced, wants_data=wants)
        status, may_fail = found.status, name in run.may_fail
        done = status.finished and status.state.succeeded
        failed = failed_input(name, found.uid, status) if status.finished and not done and may_fail else None
        return Upstream(
            name,
            exists=True,
            finished=status.finished,
            succeeded=done,
            state=str(status.state),
            wants_data=wants,
            result=resolved(found) if done else failed,
            may_fail=may_fail,
        )


def _or_late(seen: Observed, attempt: Attempt, seconds: float, now: datetime) -> Observed:
    """A pod that was never seen may come within these seconds, where another operator may have sent its POST."""
    if seen.presence is Presence.ABSENT and seconds > 0 and not was_there(seen, attempt):
        return replace(seen, presence=Presence.LATE, late_until=now + timedelta(seconds=seconds))
    return seen


def _took(pod: Object, claim: Claim, run: TaskRun) -> bool:
    return podstatus.read(pod).uid == claim.pod_uid and podstatus.is_ours(pod, run.uid)


def _seen(obj: Object, pod: Pod, expectation: PodExpectation) -> PodLook:
    overlooked, gated = pod_events.overlooked(obj), bool(pod_waiting.gates(obj))
    return PodLook(Presence.SEEN, expectation.shown(pod.uid), pod, overlooked=overlooked, gated=gated)


def _of_attempt(pod: Object, attempt: Attempt, expectation: PodExpectation) -> PodLook:
    """A pod that was idle ran before the attempt began; the attempt's own times begin with its record."""
    found = podstatus.read(pod)
    times = [moment for moment in (found.started_at, attempt.recorded_at) if moment is not None]
    began = max(times) if found.started_at is not None else None
    return PodLook(Presence.SEEN, expectation.shown(found.uid), replace(found, started_at=began))


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
