"""Attempts that take an idle pod of a WarmPool: who has it, and what becomes of the number."""

from __future__ import annotations

from tests.support.lifecycle_builders import at, over, pod, running, seen
from tests.unit.sdk.core.lifecycle.cases.case import DEADLINE, GROWING, Case, cancel, killed

from podtask.core.api.names import Cause, Ended, Reason, State
from podtask.core.api.status import Claim, Status
from podtask.core.lifecycle.model import Launch, Policy, Presence, Release, Stop, Why
from podtask_runner.protocol import Verdict

CLAIM = Claim("fast-1a2b3c4d", "pod-idle")
CLAIMED = running(claim=CLAIM)
RELEASE = Release(1, CLAIM)
COLD = {"number": 1, "claim": None, "outcome": None}
SUSPEND = Policy(suspend=True)

CASES: dict[str, Case] = {
    "an idle pod that fits is recorded with the attempt": Case(
        seen(Status(), idle=CLAIM), 1, "due", effects=(Launch(1),), last={"number": 1, "claim": CLAIM, "pod_uid": None}
    ),
    "an attempt with more memory takes none": Case(
        seen(
            Status(attempts=(killed(1),), attempts_total=1, out_of_memory_used=1, started_at=at(0)),
            policy=GROWING,
            idle=CLAIM,
        ),
        30,
        "due",
        effects=(Launch(2),),
        last={"number": 2, "claim": None},
    ),
    "a retry without a delay takes one, too": Case(
        seen(running(), policy=Policy(retries=1), pod=over(Verdict.FAILED), idle=CLAIM),
        30,
        "ended_attempt",
        effects=(Launch(2),),
        last={"number": 2, "cause": Cause.RETRY, "claim": CLAIM},
    ),
    "what this process recorded is claimed": Case(
        seen(CLAIMED, presence=Presence.UNPOSTED), 1, "pod_to_come", effects=(Launch(1),), writes=False
    ),
    "what another process recorded is claimed once more": Case(
        seen(CLAIMED, presence=Presence.IDLE), 1, "pod_to_come", effects=(Launch(1),), writes=False
    ),
    "suspended meanwhile, the idle pod goes first": Case(
        seen(CLAIMED, presence=Presence.IDLE, policy=SUSPEND), 1, "pod_to_come", effects=(RELEASE,), writes=False
    ),
    "cancelled meanwhile, the idle pod goes first": Case(
        seen(CLAIMED, presence=Presence.IDLE, policy=cancel()), 1, "cancelled", effects=(RELEASE,), writes=False
    ),
    "cancelled with its flow, the idle pod goes first": Case(
        seen(CLAIMED, presence=Presence.IDLE, flow_ended=Why(Reason.CANCELLED, "The flow run was cancelled.")),
        1,
        "flow_cancelled",
        effects=(RELEASE,),
        writes=False,
    ),
    "past its deadline, the idle pod goes first": Case(
        seen(CLAIMED, presence=Presence.IDLE, policy=DEADLINE), 40, "past_deadline", effects=(RELEASE,), writes=False
    ),
    "another attempt was quicker: the same number gets a pod of its own, for nothing": Case(
        seen(CLAIMED, presence=Presence.UNCLAIMED),
        1,
        "unclaimed",
        effects=(RELEASE, Launch(1)),
        has={"attempts_total": 1, "disruptions_used": 0, "retries_used": 0},
        last=COLD,
    ),
    "cancelled, it gets none": Case(
        seen(CLAIMED, presence=Presence.UNCLAIMED, policy=cancel()), 1, "cancelled", State.CANCELLED
    ),
    "suspended, it gets none now": Case(
        seen(CLAIMED, presence=Presence.UNCLAIMED, policy=SUSPEND),
        1,
        "unclaimed",
        State.AWAITING_RETRY,
        has={"disruptions_used": 0},
        last={"outcome": Ended.DISRUPTION, "reason": Reason.SUSPENDED},
    ),
    "past its deadline, it gets none": Case(
        seen(CLAIMED, presence=Presence.UNCLAIMED, policy=DEADLINE), 40, "past_deadline", State.TIMED_OUT
    ),
    "the idle pod is gone, and nobody knows whether it was claimed: a disruption": Case(
        seen(CLAIMED, presence=Presence.ABSENT, known_uid="pod-idle"),
        1,
        "ended_attempt",
        effects=(Launch(2),),
        has={"disruptions_used": 1},
        last={"number": 2, "cause": Cause.DISRUPTION},
    ),
    "its runner says that no attempt began: the same number gets a pod of its own": Case(
        seen(running(claim=CLAIM, pod_uid="pod-idle", node="node-a"), pod=over(Verdict.NEVER_STARTED)),
        1,
        "unclaimed",
        effects=(RELEASE, Launch(1)),
        has={"disruptions_used": 0, "attempts_total": 1},
        last={**COLD, "pod_uid": None, "node": None},
    ),
    "cancelled, such an end is the run's": Case(
        seen(CLAIMED, pod=over(Verdict.NEVER_STARTED), policy=cancel()), 1, "ended_attempt", State.CANCELLED
    ),
    "the claimed pod runs": Case(
        seen(CLAIMED, pod=pod()), 10, "running_pod", State.RUNNING, last={"claim": CLAIM, "pod_uid": "pod-1"}
    ),
    "the operator's own stop for time waits for a kubelet that is late": Case(
        seen(CLAIMED, pod=pod(), policy=Policy(timeout_seconds=5)), 25, "running_pod", State.RUNNING
    ),
    "and comes": Case(
        seen(CLAIMED, pod=pod(), policy=Policy(timeout_seconds=5)),
        1 + 5 + 10 + 5 + 90,
        "running_pod",
        effects=(Stop(1, "pod-1"),),
        last={"reason": Reason.TIMED_OUT},
    ),
}
