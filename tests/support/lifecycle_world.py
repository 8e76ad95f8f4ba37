"""A small cluster for one TaskRun: an API server that may refuse, pods that end badly, an operator that forgets.

`Operator.reconcile` is observe, decide, apply with faults between the steps; `Cluster` is what stays when it dies.
Every change has a version, as in the API server: a write against an older one is a conflict, and what the operator
holds is what the watch showed it, never something older than that. Used by: test_machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from tests.support.lifecycle_builders import T0, UID

from podtask.core.api.names import Reason
from podtask.core.api.status import Status
from podtask.core.lifecycle import decide
from podtask.core.lifecycle.model import (
    CacheView,
    Decision,
    DeletePod,
    DeleteRun,
    Launch,
    Limit,
    Observed,
    Pod,
    PodPhase,
    Policy,
    Presence,
    Publish,
    Refusal,
    Stop,
    Upstream,
    Why,
)
from podtask.core.lifecycle.pod_expectation import Creation, PodExpectation
from podtask_runner.protocol import Outcome, Verdict

LOST: Final = {"lose": False, "lose the answer": True}
"""What an API server does that never answers a POST: whether the pod is created."""


class StoreAway(Exception):
    """The bucket does not answer."""


@dataclass(frozen=True)
class Run:
    """The TaskRun at one version."""

    version: int
    policy: Policy
    status: Status


@dataclass(frozen=True)
class PodEvent:
    """A pod at one version; None: it is gone."""

    version: int
    number: int
    pod: Pod | None


@dataclass
class Cluster:
    """What the API server, the kubelet and the bucket hold."""

    policy: Policy
    now: datetime = T0
    skew: timedelta = timedelta(0)
    """How far the operator's clock is from the cluster's."""
    status: Status = field(default_factory=Status)
    version: int = 1
    runs: list[Run] = field(default_factory=list)
    """All versions of the TaskRun: events that may come late, or again."""
    pods: dict[int, Pod] = field(default_factory=dict)
    pod_events: list[PodEvent] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)
    """Pods on a node that does not answer."""
    stored: dict[int, Outcome] = field(default_factory=dict)
    foreign: set[int] = field(default_factory=set)
    """Attempts whose pod name another object's pod has."""
    posts: str = "accept"
    upstreams: tuple[Upstream, ...] = ()
    cache: CacheView | None = None
    limits: tuple[Limit, ...] = ()
    needed: bool = False
    """An unfinished run names it as its upstream."""
    store_away: bool = False
    deleted: bool = False
    laptop: bool = False
    """Workers of one process are its nodes: every phase is reported."""
    created: list[int] = field(default_factory=list)
    """Attempt numbers of all pods that ever were."""
    started: list[int] = field(default_factory=list)
    ends: dict[int, datetime] = field(default_factory=dict)
    published: list[int] = field(default_factory=list)

    @property
    def alive(self) -> list[int]:
        return [number for number, pod in self.pods.items() if pod.phase is not PodPhase.ENDED]

    def __post_init__(self) -> None:
        self.runs.append(Run(self.version, self.policy, self.status))

    def write(self, *, policy: Policy | None = None, status: Status | None = None) -> None:
        """A new version of the TaskRun."""
        self.version += 1
        self.policy, self.status = policy or self.policy, status or self.status
        self.runs.append(Run(self.version, self.policy, self.status))

    def put(self, number: int, pod: Pod) -> None:
        """A new version of a pod."""
        self.version += 1
        self.pods[number] = pod
        self.pod_events.append(PodEvent(self.version, number, pod))

    def change(self, number: int, **changes: object) -> None:
        self.put(number, replace(self.pods[number], **changes))  # type: ignore[arg-type]

    def start(self, number: int) -> None:
        self.started.append(number)
        self.change(number, phase=PodPhase.RUNNING, scheduled_at=self.now, started_at=self.now, waiting=None)

    def finish(self, number: int, outcome: Outcome | None, *, told: bool = True, **facts: object) -> None:
        """The container ends; its outcome is stored first, then told by the pod, if at all."""
        self.ends[number] = self.now
        if outcome is not None:
            self.stored[number] = outcome
        said = outcome if told else None
        self.change(number, phase=PodPhase.ENDED, outcome=said, exit_code=0 if said else 137, **facts)

    def remove(self, number: int) -> None:
        self.ends.setdefault(number, self.now)
        del self.pods[number]
        self.version += 1
        self.pod_events.append(PodEvent(self.version, number, None))


@dataclass
class Operator:
    """One process; all it holds besides `cluster` is forgotten at a restart."""

    cluster: Cluster
    expectation: PodExpectation = PodExpectation(0)  # noqa: RUF009 - frozen
    run: Run = field(init=False)
    pods: dict[int, PodEvent] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """The first list."""
        self.run = self.cluster.runs[-1]
        self.list_pods()

    def list_pods(self) -> None:
        """What a resync does: what is there is taken in, what is not is forgotten."""
        latest = {event.number: event for event in self.cluster.pod_events}
        self.pods = {number: event for number, event in latest.items() if event.pod is not None}

    def take_run(self, run: Run) -> None:
        """An event: something older never replaces something newer."""
        if run.version > self.run.version:
            self.run = run

    def take_pod(self, event: PodEvent) -> None:
        """The same for a pod. A late event may bring back one that is gone: until the next list."""
        held = self.pods.get(event.number)
        if held is not None and event.version <= held.version:
            return
        if event.pod is None:
            self.pods.pop(event.number, None)
        else:
            self.pods[event.number] = event

    def catch_up(self) -> None:
        """All events have come."""
        self.take_run(self.cluster.runs[-1])
        self.list_pods()

    def reconcile(self, fault: str = "") -> Decision | None:
        """One decision. `fault`: conflict, or a death before the patch, after it, or after the effects.

        None: the store was away, or the run had changed; it is looked at again.
        """
        cluster = self.cluster
        try:
            seen = self.observe()
        except StoreAway:
            return None
        decision = decide(seen, cluster.now + cluster.skew)
        if decision.status.attempts_total > seen.status.attempts_total:
            assert not any(limit.full for limit in seen.limits), "started without a slot"
        if fault in ("conflict", "dies before the patch"):
            return decision
        if cluster.store_away and any(isinstance(effect, Publish) for effect in decision.effects):
            return None
        for effect in decision.effects:
            if isinstance(effect, Publish):
                assert effect.result.attempt in cluster.stored, "published before it was stored"
                cluster.published.append(effect.result.attempt)
        if decision.status != self.run.status:
            if self.run.version != cluster.runs[-1].version:
                self.run = cluster.runs[-1]  # 409, and a live GET
                return None
            cluster.write(status=decision.status)
            self.run = cluster.runs[-1]
        if decision.status.attempts_total > seen.status.attempts_total:
            self.expectation = PodExpectation(decision.status.attempts_total).recorded()
        if fault == "dies after the patch":
            return decision
        for effect in decision.effects:
            self.perform(effect)
        return decision

    def observe(self) -> Observed:
        cluster, status, running = self.cluster, self.run.status, self.run.status.running
        base = Observed(
            UID,
            T0,
            self.run.policy,
            status,
            upstreams=cluster.upstreams,
            cache=cluster.cache,
            limits=cluster.limits,
            needed=cluster.needed,
            reports_at_once=cluster.laptop,
            worker_queue=Why(Reason.QUEUED, "Waiting for a free worker.") if cluster.laptop else None,
        )
        if running is None:
            return base
        number = running.number
        presence = self._presence(number)
        pod = self.pods[number].pod if presence is Presence.SEEN else None
        silent = presence in (Presence.ABSENT, Presence.FOREIGN) or (
            pod is not None and pod.phase is PodPhase.ENDED and not pod.outcome
        )
        if silent and cluster.store_away:
            raise StoreAway
        return replace(
            base,
            presence=presence,
            pod=pod,
            known_uid=self.expectation.uid,
            stored=cluster.stored.get(number) if silent else None,
            refusal=self.expectation.refusal,
        )

    def in_doubt(self, number: int) -> bool:
        """A POST had no answer, and nobody has looked yet: a pod that is created and gone by then was never there."""
        return self.expectation == PodExpectation(number, Creation.IN_DOUBT)

    def _presence(self, number: int) -> Presence:
        cluster = self.cluster
        if self.expectation.attempt != number:
            self.expectation = PodExpectation(number)
        if number in self.pods:
            return self._seen(number)
        if not self.expectation.look_up_due(cluster.now):
            return self.expectation.presence
        if number in cluster.pods:  # a live GET finds what the watch has not shown
            self.list_pods()
            return self._seen(number)
        if number in cluster.foreign:
            return Presence.FOREIGN
        self.expectation = self.expectation.missing()
        return self.expectation.presence

    def _seen(self, number: int) -> Presence:
        pod = self.pods[number].pod
        assert pod is not None
        self.expectation = self.expectation.shown(pod.uid)
        return self.expectation.presence

    def perform(self, effect: object) -> None:
        cluster = self.cluster
        if isinstance(effect, Launch):
            self._post(effect.attempt)
        elif isinstance(effect, (Stop, DeletePod)):
            self._end(effect)
        elif isinstance(effect, DeleteRun):
            assert cluster.status.finished
            assert not cluster.needed, "another run still needs its result"
            cluster.deleted = True

    def _end(self, effect: Stop | DeletePod) -> None:
        """By UID and against what is there now, which may not be what was seen."""
        cluster, pod = self.cluster, self.cluster.pods.get(effect.attempt)
        if pod is None or pod.phase is PodPhase.ENDED:
            return
        assert pod.uid == effect.pod_uid
        if isinstance(effect, DeletePod) and effect.force:
            assert pod.gone_by is not None, "only what outlives its deletion is removed by force"
            cluster.remove(effect.attempt)
        elif isinstance(effect, DeletePod):
            held = self.pods[effect.attempt].pod
            assert held is not None
            assert held.phase is PodPhase.WAITING, "only pods that never started are deleted"
            cluster.change(effect.attempt, stopping=True, gone_by=cluster.now)
        else:
            cluster.change(effect.attempt, stopping=True, deadline_exceeded=True)

    def _post(self, number: int) -> None:
        cluster = self.cluster
        if number != cluster.status.attempts_total or cluster.status.running is None:
            return  # the live TaskRun is read before a launch
        if number in cluster.foreign:
            self.expectation = self.expectation.name_taken()
            return
        if cluster.posts.startswith("refuse"):
            why = Why(Reason.QUOTA, "exceeded quota")
            refusal = Refusal(why, cluster.posts == "refuse for ever", cluster.now + timedelta(seconds=5))
            self.expectation = self.expectation.refused(refusal)
            return
        if LOST.get(cluster.posts, True):
            assert number not in cluster.created, "an attempt number is used once"
            assert not cluster.alive, "another attempt's pod is alive"
            cluster.created.append(number)
            cluster.put(number, Pod(f"pod-{number}", PodPhase.WAITING, node="node-a"))
        if cluster.posts in LOST:
            self.expectation = self.expectation.unanswered()
        else:
            self.expectation = self.expectation.accepted(f"pod-{number}", cluster.now)


__all__ = ["Cluster", "Operator", "Verdict"]
