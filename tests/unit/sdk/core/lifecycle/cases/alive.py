"""A pod to come, one that waits, one that runs."""

from __future__ import annotations

from dataclasses import replace

from tests.support.lifecycle_builders import T0, at, attempt, ended, pod, refusal, running, said_, seen, status, waiting
from tests.unit.sdk.core.lifecycle.cases.case import INVALID, MARKED, Case

from podtask.core.api.names import Cause, Ended, Reason, State
from podtask.core.lifecycle.model import DeletePod, Launch, Policy, Presence, Stop, Why
from podtask_runner.protocol import Verdict

CASES: dict[str, Case] = {
    # 3. a pod to come
    "a recorded attempt without a POST is launched": Case(
        seen(running(), presence=Presence.UNPOSTED), 1, "pod_to_come", effects=(Launch(1),), writes=False
    ),
    "a pod whose POST was accepted is expected and looked up after 30 s": Case(
        seen(running(), presence=Presence.EXPECTED), 1, "pod_to_come", writes=False, again=at(31)
    ),
    "a pod whose POST may still be on its way from an operator that died is waited for": Case(
        seen(running(), presence=Presence.LATE, late_until=at(36)), 1, "pod_to_come", writes=False, again=at(36)
    ),
    "suspending does not make its number free": Case(
        seen(running(), presence=Presence.LATE, late_until=at(36), policy=Policy(suspend=True)),
        1,
        "pod_to_come",
        writes=False,
        again=at(36),
    ),
    "nor does cancelling": Case(
        seen(running(), presence=Presence.LATE, late_until=at(36), policy=Policy(cancel=True)),
        1,
        "pod_to_come",
        writes=False,
        again=at(36),
    ),
    "a refused POST is told in the server's words and tried again": Case(
        seen(running(), presence=Presence.UNPOSTED, refusal=refusal()),
        10,
        "pod_to_come",
        State.PENDING,
        Reason.QUOTA,
        again=at(20),
        has={"message": "exceeded quota: pods"},
    ),
    "a refused POST is tried again with the same number": Case(
        seen(running(), presence=Presence.UNPOSTED, refusal=refusal()), 20, "pod_to_come", effects=(Launch(1),)
    ),
    "a POST refused for ever ends the run as InvalidSpec, retries untouched": Case(
        seen(running(), policy=Policy(retries=3), presence=Presence.UNPOSTED, refusal=refusal(final=True)),
        1,
        "pod_to_come",
        State.FAILED,
        Reason.INVALID_SPEC,
        has={"retries_used": 0},
        last={"outcome": Ended.INVALID_SPEC},
    ),
    "a POST refused until the pending timeout is a disruption": Case(
        seen(running(), presence=Presence.UNPOSTED, refusal=refusal(retry_at=950)),
        900,
        "pod_to_come",
        effects=(Launch(2),),
        has={"disruptions_used": 1, "retries_used": 0},
        last={"number": 2, "cause": Cause.DISRUPTION},
    ),
    "what refused the last POST is on record where it ends the run": Case(
        seen(running(), policy=Policy(max_disruptions=0), presence=Presence.UNPOSTED, refusal=refusal(retry_at=950)),
        900,
        "pod_to_come",
        State.CRASHED,
        has={"reason": Reason.PENDING_TIMEOUT},
        last={"reason": Reason.PENDING_TIMEOUT, "held_up_by": Reason.QUOTA, "cure": "Raise the quota."},
    ),
    "a name that another object's pod has is waited for": Case(
        seen(running(), presence=Presence.FOREIGN),
        1,
        "pod_to_come",
        State.PENDING,
        Reason.POD_NAME_CONFLICT,
        again=at(3),
    ),
    "a name taken by another pod after ours was there means that ours is gone": Case(
        seen(running(pod_uid="pod-1"), presence=Presence.FOREIGN),
        9,
        "ended_attempt",
        effects=(Launch(2),),
        has={"disruptions_used": 1},
    ),
    "an attempt whose pod was known is never posted again": Case(
        seen(running(), presence=Presence.UNPOSTED, known_uid="pod-1"), 9, "ended_attempt", effects=(Launch(2),)
    ),
    "suspend while POSTs are refused gives the attempt up, free of charge": Case(
        seen(running(), policy=Policy(suspend=True), presence=Presence.UNPOSTED, refusal=refusal()),
        20,
        "pod_to_come",
        State.AWAITING_RETRY,
        Reason.SUSPENDED,
        has={"disruptions_used": 0},
        last={"number": 1, "outcome": Ended.DISRUPTION, "pod_uid": None},
    ),
    # a live pod whose runner says that its result is stored
    "a stored result ends the run while its pod still leaves": Case(
        seen(running(), pod=pod(), stored=said_(Verdict.COMPLETED)),
        1,
        "stored_result",
        State.COMPLETED,
        Reason.COMPLETED,
        last={"outcome": Ended.COMPLETED, "pod_uid": "pod-1", "exit_code": None},
    ),
    "a stored result counts although the watch has not told yet that the container runs": Case(
        seen(running(), pod=waiting(), stored=said_(Verdict.COMPLETED)), 1, "stored_result", State.COMPLETED
    ),
    "an attempt whose start no watch told of began as long ago as its runner measured": Case(
        seen(
            running(),
            pod=waiting(),
            stored=replace(said_(Verdict.COMPLETED), timings={"load": 0.5, "run": 1.0, "store": 0.25, "delay": 9}),
        ),
        4,
        "stored_result",
        State.COMPLETED,
        last={"started_at": at(2.25)},
    ),
    "an attempt began after its record, whatever its runner says": Case(
        seen(running(), pod=waiting(), stored=replace(said_(Verdict.COMPLETED), timings={"run": 1e300})),
        4,
        "stored_result",
        State.COMPLETED,
        last={"started_at": at(0)},
    ),
    "a stored result wins against a cancel that comes later": Case(
        seen(running(), policy=Policy(cancel=True), pod=pod(), stored=said_(Verdict.COMPLETED)),
        1,
        "stored_result",
        State.COMPLETED,
    ),
    "a stored failure of a live pod is judged when the pod has ended, not before": Case(
        seen(running(), policy=Policy(retries=1), pod=pod(), stored=said_(Verdict.FAILED)),
        1,
        "running_pod",
        writes=False,
        again=at(4),
    ),
    # 3. a live pod
    "a pod that waits is not told of within three seconds": Case(
        seen(running(), pod=waiting()), 2.9, "waiting_pod", writes=False, again=at(3)
    ),
    "a pod that waits longer is told of, and its UID is known": Case(
        seen(running(), pod=waiting(scheduled_at=at(1))),
        3,
        "waiting_pod",
        State.PENDING,
        Reason.SCHEDULING,
        again=at(901),
        last={"pod_uid": "pod-1"},
    ),
    "a pod that cannot start is told of at once": Case(
        seen(running(), pod=waiting(waiting=Why(Reason.IMAGE_PULL, "no such image"))),
        1,
        "waiting_pod",
        State.PENDING,
        Reason.IMAGE_PULL,
    ),
    "a pod held by a scheduling gate has no pending timeout": Case(
        seen(running(), pod=waiting()), 99999, "waiting_pod", State.PENDING, again=None
    ),
    "a pending timeout shorter than the reporting time is kept": Case(
        seen(running(), policy=Policy(pending_timeout_seconds=1), pod=waiting(scheduled_at=at(0.5))),
        1,
        "waiting_pod",
        writes=False,
        again=at(1.5),
    ),
    "after the pending timeout the pod is deleted and the attempt says why": Case(
        seen(running(), pod=waiting(scheduled_at=T0, waiting=Why(Reason.UNSCHEDULABLE, "no node", "Add nodes."))),
        900,
        "waiting_pod",
        effects=(DeletePod(1, "pod-1"),),
        last={"outcome": None, "reason": Reason.PENDING_TIMEOUT, "pod_uid": "pod-1", "cure": "Add nodes."},
    ),
    "a pod given up is deleted again after a restart, whatever the clock says": Case(
        seen(running(**MARKED), pod=waiting(scheduled_at=T0)), 5, "waiting_pod", effects=(DeletePod(1, "pod-1"),)
    ),
    "a pod given up that is being deleted is not deleted twice": Case(
        seen(running(**MARKED), pod=waiting(scheduled_at=T0, stopping=True)), 905, "waiting_pod", effects=()
    ),
    "a pod given up that starts after all is no pending timeout any more": Case(
        seen(running(**MARKED), pod=pod()),
        910,
        "running_pod",
        State.RUNNING,
        last={"reason": None, "message": None, "outcome": None},
    ),
    "a container that runs is not told of within three seconds": Case(
        seen(running(), pod=pod()), 3.9, "running_pod", writes=False, again=at(4)
    ),
    "a container that runs longer is told of": Case(
        seen(running(), pod=pod()),
        4,
        "running_pod",
        State.RUNNING,
        Reason.RUNNING,
        again=None,
        last={"pod_uid": "pod-1", "node": "node-a", "started_at": at(1), "outcome": None},
    ),
    "a retry that runs is Retrying": Case(
        seen(status(ended(), attempt(2), retries_used=1), pod=pod()), 4, "running_pod", State.RETRYING
    ),
    "what is told is not told again": Case(
        seen(
            status(
                attempt(pod_uid="pod-1", node="node-a", started_at=at(1)), state=State.RUNNING, reason=Reason.RUNNING
            ),
            pod=pod(),
        ),
        50,
        "running_pod",
        State.RUNNING,
        writes=False,
    ),
    "a container is left to its runner until timeout, grace and a margin are over": Case(
        seen(running(), policy=Policy(timeout_seconds=60), pod=pod()), 75.9, "running_pod", State.RUNNING, again=at(76)
    ),
    "a container whose runner is late is stopped and the attempt says why": Case(
        seen(running(), policy=Policy(timeout_seconds=60), pod=pod()),
        76,
        "running_pod",
        effects=(Stop(1, "pod-1"),),
        last={"outcome": None, "reason": Reason.TIMED_OUT},
    ),
    "a container on a node whose clock is behind is not stopped before its time": Case(
        seen(running(), policy=Policy(timeout_seconds=60), pod=pod(started_at=at(-120))),
        5,
        "running_pod",
        State.RUNNING,
        again=at(75),
    ),
    "suspend lets a container run on": Case(
        seen(running(), policy=Policy(suspend=True), pod=pod()), 4, "running_pod", State.RUNNING
    ),
    "an invalid spec does not stop what runs": Case(
        seen(running(), invalid=INVALID, pod=pod()), 4, "running_pod", State.RUNNING
    ),
    "a name that stays taken until the pending timeout costs a disruption, and the next number has another name": Case(
        seen(running(), presence=Presence.FOREIGN),
        900,
        "pod_to_come",
        effects=(Launch(2),),
        has={"disruptions_used": 1, "retries_used": 0},
        last={"number": 2, "cause": Cause.DISRUPTION},
    ),
    "a name taken by another pod after ours ended is no conflict: what is stored counts": Case(
        seen(running(), presence=Presence.FOREIGN, stored=said_(Verdict.COMPLETED)),
        900,
        "ended_attempt",
        State.COMPLETED,
    ),
}
