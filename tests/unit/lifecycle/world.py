"""A small cluster for one TaskRun: an API server that may refuse, pods that end badly, an operator that forgets.

`Operator.reconcile` is observe, decide, apply with faults between the steps; `Cluster` is what stays when it dies.
Used by: test_machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tests.lifecycle_builders import T0, UID

from podtask.core.lifecycle import decide
from podtask.core.lifecycle.model import (
    CacheView,
    Decision,
    DeletePod,
    DeleteRun,
    Launch,
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
from podtask.core.names import Reason
from podtask.core.status import Status
from podtask_runner.wire import Outcome, Verdict

LOOK = timedelta(seconds=30)


@dataclass
class Cluster:
    """What the API server, the kubelet and the bucket hold."""

    policy: Policy
    now: datetime = T0
    status: Status = field(default_factory=Status)
    pods: dict[int, Pod] = field(default_factory=dict)
    shown: set[int] = field(default_factory=set)
    """Pods that the watch has told of."""
    stored: dict[int, Outcome] = field(default_factory=dict)
    foreign: set[int] = field(default_factory=set)
    """Attempts whose pod name another object's pod has."""
    posts: str = "accept"
    upstreams: tuple[Upstream, ...] = ()
    cache: CacheView | None = None
    deleted: bool = False
    created: list[int] = field(default_factory=list)
    """Attempt numbers of all pods that ever were."""
    started: list[int] = field(default_factory=list)
    ends: dict[int, datetime] = field(default_factory=dict)
    published: list[int] = field(default_factory=list)

    @property
    def alive(self) -> list[int]:
        return [number for number, pod in self.pods.items() if pod.phase is not PodPhase.ENDED]

    def change(self, number: int, **changes: object) -> None:
        self.pods[number] = replace(self.pods[number], **changes)  # type: ignore[arg-type]

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
        self.shown.discard(number)


@dataclass
class Operator:
    """One process; all it holds besides `cluster` is forgotten at a restart."""

    cluster: Cluster
    presence: dict[int, Presence] = field(default_factory=dict)
    uids: dict[int, str] = field(default_factory=dict)
    posted_at: dict[int, datetime] = field(default_factory=dict)
    refusal: Refusal | None = None

    def reconcile(self, fault: str = "") -> Decision:
        """One decision. `fault`: conflict, or a death before the patch, after it, or after the effects."""
        cluster = self.cluster
        seen = self.observe()
        decision = decide(seen, cluster.now)
        if fault in ("conflict", "dies before the patch"):
            return decision
        for effect in decision.effects:
            if isinstance(effect, Publish):
                assert effect.result.attempt in cluster.stored, "published before it was stored"
                cluster.published.append(effect.result.attempt)
        if decision.status.attempts_total > cluster.status.attempts_total:
            self.presence[decision.status.attempts_total] = Presence.UNPOSTED
            self.refusal = None
        cluster.status = decision.status
        if fault == "dies after the patch":
            return decision
        for effect in decision.effects:
            self.perform(effect)
        return decision

    def observe(self) -> Observed:
        cluster, running = self.cluster, self.cluster.status.running
        base = Observed(UID, T0, cluster.policy, cluster.status, upstreams=cluster.upstreams, cache=cluster.cache)
        if running is None:
            return base
        number = running.number
        presence = self._presence(number)
        pod = cluster.pods[number] if presence is Presence.SEEN else None
        silent = presence in (Presence.ABSENT, Presence.FOREIGN) or (
            pod is not None and pod.phase is PodPhase.ENDED and not pod.outcome
        )
        return replace(
            base,
            presence=presence,
            pod=pod,
            known_uid=self.uids.get(number),
            stored=cluster.stored.get(number) if silent else None,
            refusal=self.refusal,
        )

    def _presence(self, number: int) -> Presence:
        cluster, known = self.cluster, self.presence.get(number)
        if number in cluster.pods and (number in cluster.shown or known is None):
            self.uids[number] = cluster.pods[number].uid
            self.presence[number] = Presence.SEEN
            return Presence.SEEN
        if known is Presence.EXPECTED and cluster.now < self.posted_at[number] + LOOK:
            return known
        if number in cluster.pods:  # a live GET finds what the watch has not shown
            return Presence.SEEN
        if number in cluster.foreign:
            return Presence.FOREIGN
        return Presence.UNPOSTED if known is Presence.UNPOSTED else Presence.ABSENT

    def perform(self, effect: object) -> None:
        cluster = self.cluster
        if isinstance(effect, Launch):
            self._post(effect.attempt)
        elif isinstance(effect, Stop):
            assert cluster.pods[effect.attempt].uid == effect.pod_uid
            assert cluster.pods[effect.attempt].phase is PodPhase.RUNNING
            cluster.change(effect.attempt, stopping=True, deadline_exceeded=True)
        elif isinstance(effect, DeletePod):
            assert cluster.pods[effect.attempt].phase is PodPhase.WAITING, "only pods that never started are deleted"
            cluster.change(effect.attempt, stopping=True)
        elif isinstance(effect, DeleteRun):
            assert cluster.status.finished
            cluster.deleted = True

    def _post(self, number: int) -> None:
        cluster = self.cluster
        assert number == cluster.status.attempts_total, "only the newest attempt is launched"
        if number in cluster.foreign:
            return
        if cluster.posts != "accept":
            why = Why(Reason.QUOTA, "exceeded quota")
            self.refusal = Refusal(why, cluster.posts == "refuse for ever", cluster.now + timedelta(seconds=5))
            return
        assert number not in cluster.created, "an attempt number is used once"
        assert not cluster.alive, "another attempt's pod is alive"
        cluster.created.append(number)
        cluster.pods[number] = Pod(f"pod-{number}", PodPhase.WAITING, node="node-a")
        self.presence[number], self.posted_at[number] = Presence.EXPECTED, cluster.now
        self.uids[number], self.refusal = f"pod-{number}", None


__all__ = ["Cluster", "Operator", "Verdict"]
