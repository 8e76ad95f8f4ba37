"""Everything one decision depends on, read into one frozen `Observed`: caches first, live reads where they decide.

Before: `queue`. Next: `podtask.core.lifecycle.decide`. The bucket is read only for cached runs and for attempts
whose pod cannot say how it ended.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from podtask.core.api.status import ResolvedInput
from podtask.core.lifecycle.model import CacheView, Observed, Pod, PodPhase, Policy, Presence, Upstream, Why
from podtask.core.lifecycle.pod_timeouts import was_there
from podtask.core.lifecycle.rules import LOOK_AGAIN, UPSTREAM_GRACE
from podtask.core.storage.layout import pod_name
from podtask_operator.controller.cluster_cache import Memory, Mirror, Object, needed_names
from podtask_operator.controller.dependency_cycles import Circles
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import Api, ApiError
from podtask_operator.pods import memory as memory_growth
from podtask_operator.pods import status as podstatus
from podtask_operator.pods.build import resources_of
from podtask_operator.pods.validate import invalid
from podtask_operator.settings import Settings
from podtask_operator.storage.objects import Objects
from podtask_operator.task_runs import open_fields
from podtask_operator.task_runs.cache_key import composed_key, identified
from podtask_operator.task_runs.flow_run import DEPTH, Ref, Unknown
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun, policy

log = logging.getLogger(__name__)


class Observer:
    """Reads for decisions."""

    def __init__(self, api: Api, mirror: Mirror, objects: Objects, settings: Settings) -> None:
        self._api = api
        self._mirror = mirror
        self._objects = objects
        self._settings = settings
        self._circles = Circles(mirror)

    async def observe(self, key: Key, run: TaskRun, now: datetime) -> Observed:
        """What is known of `run` at `now`. May raise `ApiUnavailable` and `StoreUnavailable`."""
        memory = self._mirror.memory(key, run.uid)
        asked = self._asked(run)
        needed = bool(run.status.finished and self._mirror.dependents(key))
        seen = Observed(run.uid, run.created_at, asked, run.status, needed=needed)
        if run.status.finished:
            return seen
        if run.flow_run is not None and self._mirror.flow_runs.readable:
            seen = replace(seen, flow_ended=await self._flow_ended(run.namespace, run.flow_run))
        seen = await self._unfinished(seen, key, run, memory, now)
        # Last, and with nothing awaited from here to the record: two reconciles never count the same slot as free.
        return replace(seen, limits=self._mirror.limits(key, run))

    async def _unfinished(self, seen: Observed, key: Key, run: TaskRun, memory: Memory, now: datetime) -> Observed:
        if run.status.running is not None:
            return await self._attempt(seen, key, run, memory, now)
        asked = seen.policy
        wrong = invalid(run, self._settings)
        if wrong is not None:  # nobody is asked for what an invalid spec names
            return replace(seen, invalid=wrong)
        upstreams = tuple([await self._upstream(run, name, now) for name in needed_names(run)])
        if not run.status.attempts_total and not all(up.succeeded for up in upstreams):
            wrong = self._circles.invalid(key, run.created_at, now)
        ready = wrong is None and not asked.suspend and not seen.cancelled and all(up.succeeded for up in upstreams)
        cache = await self._cache(key, run, memory, upstreams, now) if ready else None
        written = open_fields.digest(run.spec) if ready else None
        return replace(seen, invalid=wrong, upstreams=upstreams, cache=cache, spec_digest=written)

    async def _flow_ended(self, namespace: str, ref: Ref) -> Why | None:
        """Whether its flow run ends it. A FlowRun that no watch has shown is asked for before it counts as gone."""
        flow_runs = self._mirror.flow_runs
        for _ in range(DEPTH):
            try:
                return flow_runs.ended_by(ref)
            except Unknown as unknown:
                try:
                    live = await self._api.get_flow_run(namespace, unknown.ref.name)
                except ApiError as error:  # no right to read FlowRuns, in an installation by older rules
                    log.warning("flow run %s of %s cannot be read: %s", unknown.ref.name, namespace, error)
                    return None
                if live is None or live["metadata"]["uid"] != unknown.ref.uid:
                    flow_runs.gone(unknown.ref.uid)
                else:
                    flow_runs.put(live)
        return None

    def _asked(self, run: TaskRun) -> Policy:
        """What the spec asks for, and what the administrator adds."""
        growth = memory_growth.growth(run.spec.on_out_of_memory, resources_of(run, self._settings))
        force = self._settings.lost_node_force_seconds
        return replace(policy(run), on_out_of_memory=growth, force_after_seconds=force)

    async def _attempt(self, seen: Observed, key: Key, run: TaskRun, memory: Memory, now: datetime) -> Observed:
        attempt = run.status.running
        if attempt is None:
            raise AssertionError("asked only while an attempt runs")
        if attempt.number not in memory.presence and (attempt.number, attempt.recorded_at) in memory.records:
            memory.begin(attempt.number)  # the answer to the record was lost
        presence, pod = await self._presence(key, run, memory, attempt.number, now)
        silent = pod is not None and pod.phase is PodPhase.ENDED and pod.outcome is None
        rang, memory.rang = memory.rang == attempt.number, None
        alive = pod is not None and pod.phase is not PodPhase.ENDED
        stored = None
        if silent or (rang and alive) or presence in (Presence.ABSENT, Presence.FOREIGN):
            stored = await self._objects.outcome(run, attempt.number)
        known = memory.pod_uid.get(attempt.number)
        seen = replace(seen, presence=presence, pod=pod, stored=stored, refusal=memory.refusal, known_uid=known)
        late = self._api.late()
        if presence is Presence.ABSENT and late > 0 and not was_there(seen, attempt):
            return replace(seen, presence=Presence.LATE, late_until=now + timedelta(seconds=late))
        return seen

    async def _presence(
        self, key: Key, run: TaskRun, memory: Memory, attempt: int, now: datetime
    ) -> tuple[Presence, Pod | None]:
        name = Key(key.namespace, pod_name(run.name, attempt))
        held = self._mirror.pods.get(name)
        if held is not None and podstatus.is_ours(held, run.uid):
            return self._seen(memory, attempt, held)
        known = memory.presence.get(attempt)
        if known is Presence.UNPOSTED:
            return known, None
        since = memory.expected_since
        if known is Presence.EXPECTED and since is not None and now < since + LOOK_AGAIN:
            return known, None
        live = await self._api.get_pod(name.namespace, name.name)
        if live is not None and not podstatus.is_ours(live, run.uid):
            return Presence.FOREIGN, None
        if live is None:
            # FOREIGN is remembered only where our own POST met that pod: then ours was never created.
            # A POST in doubt is sent again under the same name: whichever of the two comes second is refused.
            again = known is Presence.FOREIGN or (memory.in_doubt and attempt not in memory.pod_uid)
            memory.presence[attempt] = Presence.UNPOSTED if again else Presence.ABSENT
            return memory.presence[attempt], None
        self._mirror.put_pod(live)
        return self._seen(memory, attempt, live)

    def _seen(self, memory: Memory, attempt: int, pod: Object) -> tuple[Presence, Pod]:
        read = podstatus.read(pod)
        memory.presence[attempt], memory.pod_uid[attempt], memory.in_doubt = Presence.SEEN, read.uid, False
        return Presence.SEEN, read

    async def _upstream(self, run: TaskRun, name: str, now: datetime) -> Upstream:
        wants = any(up.task_run == name for up in run.spec.upstream)
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

    async def _cache(
        self, key: Key, run: TaskRun, memory: Memory, upstreams: tuple[Upstream, ...], now: datetime
    ) -> CacheView | None:
        asked = run.spec.cache
        if asked is None or run.status.attempts_total:
            return None
        composed = composed_key(run, identified(up.result for up in upstreams if up.wants_data), self._settings)
        if composed.key is None:
            return CacheView(None, off_reason=composed.off_reason)
        off = await self._objects.cache_off(run.namespace)
        if off is not None:
            return CacheView(None, off_reason=off)
        memory.composed = composed
        self._mirror.remember_cache_key(key, memory, composed.key)
        if asked.refresh:
            return CacheView(composed.key, miss_reason="spec.cache.refresh is true.")
        # Asked before the lookup, too: one that ends meanwhile stored its entry too late for it, and wakes this run.
        leader = self._leader(key, run, memory, composed.key)
        found = await self._objects.lookup(run.namespace, composed.key, now)
        if found.entry is not None:
            producer = found.entry.producer
            expires = found.entry.expires_at
            return CacheView(composed.key, hit=found.result, hit_run=producer.task_run, expires_at=expires)
        reason = found.miss_reason
        memory.dropped = reason if found.dropped else memory.dropped
        if found.absent and leader is None:
            why = await self._objects.why_missed(run.namespace, composed)
            reason = f"{reason} {why}" if why else reason
        # Last, and with nothing awaited from here to the record: one that joined the race meanwhile is seen.
        leader = leader or self._leader(key, run, memory, composed.key)
        return CacheView(composed.key, leader=leader, miss_reason=reason)

    def _leader(self, key: Key, run: TaskRun, memory: Memory, cache_key: str) -> str | None:
        """The identical run that goes first: one with a recorded attempt, else the oldest; None: this one."""
        if memory.claimed:
            return None
        others = [
            self._mirror.runs[other] for other in self._mirror.racing(key, cache_key) if other in self._mirror.runs
        ]
        active = [o for o in others if not (o.status.finished or o.spec.suspend or o.deleting)]
        started = [o for o in active if o.status.attempts_total or self._mirror.memory(_key(o), o.uid).claimed]
        ahead = started or [other for other in active if self._age(other) < self._age(run)]
        return min(ahead, key=self._age).name if ahead else None

    def _age(self, run: TaskRun) -> tuple[datetime, float, str]:
        """Creation is told to the second: of those created in one, the oldest is the one that was seen first."""
        return run.created_at, self._mirror.memory(_key(run), run.uid).seen_at, run.uid


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


def _key(run: TaskRun) -> Key:
    return Key(run.namespace, run.name)
