"""The rules of `podtask.core.lifecycle.rules`, a sentence per case, and who wins where two rules could answer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.lifecycle_builders import (
    DIGEST,
    HIT,
    T0,
    at,
    attempt,
    awaiting,
    ended,
    over,
    pod,
    refusal,
    running,
    said_,
    seen,
    status,
    upstream,
    waiting,
)

from podtask.core.lifecycle import RULES, decide
from podtask.core.lifecycle.model import (
    CachePolicy,
    CacheView,
    DeletePod,
    DeleteRun,
    Launch,
    Observed,
    Policy,
    Presence,
    Publish,
    Stop,
    Why,
)
from podtask.core.names import CacheOutcome, Cause, Ended, Reason, State
from podtask.core.status import CacheInfo, ErrorInfo, ResultInfo, Status
from podtask_runner.wire import Verdict


@dataclass(frozen=True)
class Case:
    """`given` at `now` seconds after T0; what is expected, where a field is given. `...`: not looked at."""

    given: Observed
    now: float
    rule: str
    state: State | None = None
    reason: Any = ...
    effects: tuple[Any, ...] = ()
    again: Any = ...
    writes: bool = True
    has: dict[str, Any] | None = None
    """Fields of the new status."""
    last: dict[str, Any] | None = None
    """Fields of its newest attempt."""


INVALID = Why(Reason.INVALID_SPEC, "task.source does not compile", "Correct line 3.")
CACHE = CachePolicy()
VIEW = CacheView("k1:abc", miss_reason="no entry")
FINISHED = Status(state=State.COMPLETED, finished_at=at(10))
MARKED = {"reason": Reason.PENDING_TIMEOUT, "message": "It did not start in time: no node"}


def cancel(**more: Any) -> Policy:
    return Policy(**{"cancel": True, **more})


CASES: dict[str, Case] = {
    # 1. finished
    "a finished run does nothing": Case(seen(FINISHED), 99, "finished", State.COMPLETED, writes=False, again=None),
    "a finished run is looked at again when its time to live is over": Case(
        seen(FINISHED, policy=Policy(ttl_seconds=60)), 69.9, "finished", writes=False, again=at(70)
    ),
    "a finished run is deleted after its time to live": Case(
        seen(FINISHED, policy=Policy(ttl_seconds=60)), 70, "finished", effects=(DeleteRun(),), writes=False
    ),
    "a time to live of zero deletes at once": Case(
        seen(FINISHED, policy=Policy(ttl_seconds=0)), 10, "finished", effects=(DeleteRun(),), writes=False
    ),
    "a finished run that an unfinished one names is kept": Case(
        seen(FINISHED, policy=Policy(ttl_seconds=60), needed=True), 999, "finished", writes=False, again=None
    ),
    "a time to live beyond the end of time is no error": Case(
        seen(FINISHED, policy=Policy(ttl_seconds=1e18)), 99, "finished", writes=False
    ),
    # 2. cancel, in every phase
    "cancel before anything started ends the run": Case(
        seen(policy=cancel()), 1, "cancelled", State.CANCELLED, Reason.CANCELLED, has={"finished_at": at(1)}
    ),
    "cancel while the run waits for its retry ends the run": Case(
        seen(awaiting(60), policy=cancel()),
        11,
        "cancelled",
        State.CANCELLED,
        has={"next_attempt_at": None},
        last={"outcome": Ended.FAILED},
    ),
    "cancel before the pod was created ends the attempt and the run": Case(
        seen(running(), policy=cancel(), presence=Presence.UNPOSTED),
        1,
        "cancelled",
        State.CANCELLED,
        last={"outcome": Ended.CANCELLED, "finished_at": at(1)},
    ),
    "cancel while another object's pod has the name ends the run": Case(
        seen(running(), policy=cancel(), presence=Presence.FOREIGN), 1, "cancelled", State.CANCELLED
    ),
    "cancel while the pod is expected waits until it is seen": Case(
        seen(running(), policy=cancel(), presence=Presence.EXPECTED), 1, "pod_to_come", writes=False, again=at(31)
    ),
    "cancel of a pod that waits deletes it": Case(
        seen(running(), policy=cancel(), pod=waiting()),
        1,
        "cancelled",
        State.PENDING,
        effects=(DeletePod(1, "pod-1"),),
        last={"outcome": None, "pod_uid": "pod-1"},
    ),
    "cancel of a pod that runs stops it and keeps it": Case(
        seen(running(), policy=cancel(), pod=pod()), 1, "cancelled", effects=(Stop(1, "pod-1"),)
    ),
    "cancel of a pod that is being stopped only waits": Case(
        seen(running(), policy=cancel(), pod=pod(stopping=True)), 1, "cancelled", effects=()
    ),
    "cancel after the pod was stopped ends the run": Case(
        seen(running(), policy=cancel(retries=3), pod=over(Verdict.INTERRUPTED, deadline_exceeded=True)),
        5,
        "ended_attempt",
        State.CANCELLED,
        last={"outcome": Ended.CANCELLED},
    ),
    "cancel that comes after the result was stored has lost": Case(
        seen(running(), policy=cancel(), pod=over(Verdict.COMPLETED)), 5, "ended_attempt", State.COMPLETED
    ),
    "cancel of a vanished pod ends the run": Case(
        seen(running(pod_uid="pod-1"), policy=cancel(), presence=Presence.ABSENT), 5, "ended_attempt", State.CANCELLED
    ),
    "cancel of a vanished pod whose outcome is stored is Completed": Case(
        seen(running(pod_uid="pod-1"), policy=cancel(), presence=Presence.ABSENT, stored=said_(Verdict.COMPLETED)),
        5,
        "ended_attempt",
        State.COMPLETED,
        has={"result": ResultInfo(DIGEST, 5, "json", "h1:" + DIGEST, "42", attempt=1)},
    ),
    # 3. a pod to come
    "a recorded attempt without a POST is launched": Case(
        seen(running(), presence=Presence.UNPOSTED), 1, "pod_to_come", effects=(Launch(1),), writes=False
    ),
    "a pod whose POST was accepted is expected and looked up after 30 s": Case(
        seen(running(), presence=Presence.EXPECTED), 1, "pod_to_come", writes=False, again=at(31)
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
    "suspend lets a container run on": Case(
        seen(running(), policy=Policy(suspend=True), pod=pod()), 4, "running_pod", State.RUNNING
    ),
    "an invalid spec does not stop what runs": Case(
        seen(running(), invalid=INVALID, pod=pod()), 4, "running_pod", State.RUNNING
    ),
    # 4. an ended attempt: what follows (how it is judged: test_judge)
    "a result ends the run": Case(
        seen(running(), pod=over(Verdict.COMPLETED)),
        2,
        "ended_attempt",
        State.COMPLETED,
        Reason.COMPLETED,
        again=None,
        has={"error": None, "finished_at": at(2)},
        last={"outcome": Ended.COMPLETED, "finished_at": at(2), "exit_code": 0, "message": None},
    ),
    "an exception without retries ends the run": Case(
        seen(running(), pod=over(Verdict.FAILED)),
        2,
        "ended_attempt",
        State.FAILED,
        Reason.EXCEPTION,
        has={"error": ErrorInfo("ValueError", "boom", attempt=1), "next_attempt_at": None, "result": None},
    ),
    "an exception with a delay waits for it": Case(
        seen(running(), policy=Policy(retries=2, retry_delays=(30,)), pod=over(Verdict.FAILED)),
        2,
        "ended_attempt",
        State.AWAITING_RETRY,
        Reason.EXCEPTION,
        again=at(32),
        has={"next_attempt_at": at(32), "retries_used": 1, "error": None},
        last={"number": 1, "finished_at": at(2)},
    ),
    "an exception without a delay starts the next attempt in the same write": Case(
        seen(running(), policy=Policy(retries=2), pod=over(Verdict.FAILED)),
        2,
        "ended_attempt",
        State.RETRYING,
        effects=(Launch(2),),
        has={"retries_used": 1, "attempts_total": 2, "next_attempt_at": None},
        last={"number": 2, "cause": Cause.RETRY, "recorded_at": at(2)},
    ),
    "an exception without a delay starts nothing while suspended": Case(
        seen(running(), policy=Policy(retries=2, suspend=True), pod=over(Verdict.FAILED)),
        2,
        "ended_attempt",
        State.AWAITING_RETRY,
        again=at(2),
        has={"attempts_total": 1},
    ),
    "after the last retry there is no delay": Case(
        seen(
            status(ended(), attempt(2), retries_used=1),
            policy=Policy(retries=1, retry_delays=(30,)),
            pod=over(Verdict.FAILED),
        ),
        20,
        "ended_attempt",
        State.FAILED,
        has={"retries_used": 1, "next_attempt_at": None, "finished_at": at(20)},
    ),
    "an attempt that timed out uses retries": Case(
        seen(running(), policy=Policy(retries=1), pod=over(Verdict.TIMED_OUT)),
        2,
        "ended_attempt",
        effects=(Launch(2),),
        has={"retries_used": 1, "disruptions_used": 0},
    ),
    "the last attempt that timed out ends the run as TimedOut": Case(
        seen(running(), pod=over(Verdict.TIMED_OUT)), 2, "ended_attempt", State.TIMED_OUT, Reason.TIMED_OUT
    ),
    "out of memory uses retries": Case(
        seen(running(), policy=Policy(retries=1), pod=over(oom_killed=True)),
        2,
        "ended_attempt",
        effects=(Launch(2),),
        has={"retries_used": 1},
    ),
    "a crash is never retried": Case(
        seen(running(), policy=Policy(retries=9), pod=over()), 2, "ended_attempt", State.CRASHED, Reason.CRASHED
    ),
    "a disruption leaves the retries alone, and the first one has no delay": Case(
        seen(running(), pod=over(disruption=Why(Reason.EVICTED, "evicted"))),
        2,
        "ended_attempt",
        effects=(Launch(2),),
        has={"retries_used": 0, "disruptions_used": 1},
        last={"cause": Cause.DISRUPTION},
    ),
    "the second disruption waits a second": Case(
        seen(status(attempt(2), disruptions_used=1), pod=over(disruption=Why(Reason.EVICTED, "evicted"))),
        2,
        "ended_attempt",
        State.AWAITING_RETRY,
        again=at(3),
        has={"disruptions_used": 2},
    ),
    "one disruption more than allowed ends the run as Crashed, with the reason": Case(
        seen(status(attempt(6), disruptions_used=5), pod=over(disruption=Why(Reason.NODE_LOST, "node gone"))),
        2,
        "ended_attempt",
        State.CRASHED,
        Reason.NODE_LOST,
        has={"disruptions_used": 5},
    ),
    "maxDisruptions 0 ends the run at the first": Case(
        seen(running(), policy=Policy(max_disruptions=0), pod=over(disruption=Why(Reason.EVICTED, "evicted"))),
        2,
        "ended_attempt",
        State.CRASHED,
    ),
    "an attempt whose pod never was costs nothing": Case(
        seen(running(), policy=Policy(max_disruptions=0), presence=Presence.ABSENT),
        2,
        "ended_attempt",
        effects=(Launch(2),),
        has={"disruptions_used": 0, "retries_used": 0},
        last={"cause": Cause.DISRUPTION},
    ),
    "attempts that are lost in a row cost nothing but slow down": Case(
        seen(status(ended(1, Ended.DISRUPTION, Reason.LOST), ended(2, Ended.DISRUPTION, Reason.LOST), attempt(3))),
        20,
        "ended_attempt",
        State.AWAITING_RETRY,
        Reason.LOST,
        again=at(23),
        has={"disruptions_used": 0},
    ),
    "a vanished pod that was known costs a disruption": Case(
        seen(running(pod_uid="pod-1"), presence=Presence.ABSENT),
        2,
        "ended_attempt",
        effects=(Launch(2),),
        has={"disruptions_used": 1},
    ),
    "a vanished pod that only this process knew costs a disruption too": Case(
        seen(running(), presence=Presence.ABSENT, known_uid="pod-1"),
        2,
        "ended_attempt",
        has={"disruptions_used": 1},
        effects=(Launch(2),),
    ),
    "a result of a cached run is published before the end": Case(
        seen(
            status(attempt(), cache=CacheInfo("k1:abc", CacheOutcome.MISS)),
            policy=Policy(cache=CachePolicy(expiration_seconds=60)),
            pod=over(Verdict.COMPLETED),
        ),
        2,
        "ended_attempt",
        State.COMPLETED,
        effects=(Publish("k1:abc", ResultInfo(DIGEST, 5, "json", "h1:" + DIGEST, "42", attempt=1), at(62)),),
        has={"cache": CacheInfo("k1:abc", CacheOutcome.MISS, expires_at=at(62))},
    ),
    "a cache that never expires has no end": Case(
        seen(
            status(attempt(), cache=CacheInfo("k1:abc", CacheOutcome.MISS)),
            policy=Policy(cache=CACHE),
            pod=over(Verdict.COMPLETED),
        ),
        2,
        "ended_attempt",
        effects=(Publish("k1:abc", ResultInfo(DIGEST, 5, "json", "h1:" + DIGEST, "42", attempt=1), None),),
    ),
    "a failure of a cached run is not published": Case(
        seen(
            status(attempt(), cache=CacheInfo("k1:abc", CacheOutcome.MISS)),
            policy=Policy(cache=CACHE),
            pod=over(Verdict.FAILED),
        ),
        2,
        "ended_attempt",
        State.FAILED,
    ),
    "a result without a key is not published": Case(
        seen(
            status(attempt(), cache=CacheInfo(outcome=CacheOutcome.OFF, miss_reason="no hash")),
            policy=Policy(cache=CACHE),
            pod=over(Verdict.COMPLETED),
        ),
        2,
        "ended_attempt",
        State.COMPLETED,
    ),
    # 5. invalid
    "an invalid spec ends the run with the cure": Case(
        seen(invalid=INVALID),
        0,
        "invalid",
        State.FAILED,
        Reason.INVALID_SPEC,
        has={"error": ErrorInfo("InvalidSpec", INVALID.message, cure=INVALID.cure), "attempts": ()},
    ),
    # 6. suspended
    "a suspended run waits": Case(
        seen(policy=Policy(suspend=True)), 0, "suspended", State.PENDING, Reason.SUSPENDED, again=None
    ),
    "a suspended retry keeps its time": Case(
        seen(awaiting(60), policy=Policy(suspend=True)),
        99,
        "suspended",
        State.PENDING,
        Reason.SUSPENDED,
        has={"next_attempt_at": at(60)},
    ),
    # 7. upstream
    "a failed upstream ends the run as NotReady": Case(
        seen(policy=Policy(retries=3), upstreams=(upstream("a"), upstream("b", State.FAILED))),
        0,
        "upstream",
        State.NOT_READY,
        Reason.UPSTREAM_FAILED,
        has={
            "message": "Upstream task run 'b' did not reach a 'COMPLETED' state (it is Failed).",
            "retries_used": 0,
        },
    ),
    "a NotReady upstream ends the run as NotReady": Case(
        seen(upstreams=(upstream(state=State.NOT_READY),)), 0, "upstream", State.NOT_READY
    ),
    "a failed upstream counts for order alone, too": Case(
        seen(upstreams=(upstream(state=State.CANCELLED, wants_data=False),)), 0, "upstream", State.NOT_READY
    ),
    "a failed upstream says more than a missing one": Case(
        seen(upstreams=(upstream("a", None), upstream("b", State.CRASHED))), 99, "upstream", State.NOT_READY
    ),
    "an unfinished upstream is waited for without a word at first": Case(
        seen(upstreams=(upstream(state=State.RUNNING),)), 2.9, "upstream", writes=False, again=at(3)
    ),
    "an unfinished upstream is waited for": Case(
        seen(upstreams=tuple(upstream(name, State.RUNNING) for name in "abcd")),
        3,
        "upstream",
        State.PENDING,
        Reason.WAITING_FOR_UPSTREAM,
        again=None,
        has={"message": "Waiting for a, b, c …."},
    ),
    "a missing upstream is waited for within a minute": Case(
        seen(upstreams=(upstream(state=None),)),
        59.9,
        "upstream",
        State.PENDING,
        Reason.WAITING_FOR_UPSTREAM,
        again=at(60),
    ),
    "a missing upstream is an invalid spec after a minute": Case(
        seen(upstreams=(upstream("typo", None),)),
        60,
        "upstream",
        State.FAILED,
        Reason.INVALID_SPEC,
        has={"message": "There is no TaskRun 'typo' in this namespace."},
    ),
    "data is resolved at the first launch, order alone brings none": Case(
        seen(upstreams=(upstream("a"), upstream("b", wants_data=False))),
        0,
        "due",
        effects=(Launch(1),),
        has={"inputs": (upstream("a").result,)},
    ),
    "a cached upstream is as good as a completed one": Case(
        seen(upstreams=(upstream(state=State.CACHED),)), 0, "due", effects=(Launch(1),)
    ),
    "an upstream that is gone or made anew after the first launch changes nothing": Case(
        seen(awaiting(60), upstreams=(upstream("a", None), upstream("b", State.FAILED))),
        60,
        "due",
        effects=(Launch(2),),
    ),
    # 8. cache
    "a hit ends the run without a pod": Case(
        seen(policy=Policy(cache=CACHE), cache=CacheView("k1:abc", hit=HIT, hit_run="earlier", expires_at=at(50))),
        0,
        "cached",
        State.CACHED,
        Reason.CACHED,
        has={
            "result": HIT,
            "attempts": (),
            "finished_at": T0,
            "cache": CacheInfo("k1:abc", CacheOutcome.HIT, "earlier", at(50)),
        },
    ),
    "an identical run that goes first is waited for without a word at first": Case(
        seen(policy=Policy(cache=CACHE), cache=replace(VIEW, leader="first")), 1, "cached", writes=False, again=at(3)
    ),
    "an identical run that goes first is waited for": Case(
        seen(policy=Policy(cache=CACHE), cache=replace(VIEW, leader="first")),
        3,
        "cached",
        State.PENDING,
        Reason.WAITING_FOR_CACHE,
        has={"cache": CacheInfo("k1:abc", CacheOutcome.WAITING, "first")},
    ),
    "an identical run is not waited for when asked not to": Case(
        seen(policy=Policy(cache=CachePolicy(wait_for_concurrent=False)), cache=replace(VIEW, leader="first")),
        0,
        "due",
        effects=(Launch(1),),
    ),
    "refresh runs in spite of a hit, and keeps the key to write": Case(
        seen(policy=Policy(cache=CachePolicy(refresh=True)), cache=replace(VIEW, hit=HIT, leader="first")),
        0,
        "due",
        effects=(Launch(1),),
        has={"cache": CacheInfo("k1:abc", CacheOutcome.MISS, miss_reason="no entry"), "result": None},
    ),
    "a run without a key runs and says why": Case(
        seen(policy=Policy(cache=CACHE), cache=CacheView(None, off_reason="argument `f` cannot be hashed")),
        0,
        "due",
        effects=(Launch(1),),
        has={"cache": CacheInfo(outcome=CacheOutcome.OFF, miss_reason="argument `f` cannot be hashed")},
    ),
    "a miss is noted at the first launch": Case(
        seen(policy=Policy(cache=CACHE), cache=VIEW),
        0,
        "due",
        effects=(Launch(1),),
        has={"cache": CacheInfo("k1:abc", CacheOutcome.MISS, miss_reason="no entry")},
    ),
    "a retry does not look into the cache": Case(
        seen(awaiting(60), policy=Policy(cache=CACHE), cache=replace(VIEW, hit=HIT)), 60, "due", effects=(Launch(2),)
    ),
    # 10. due
    "a run with nothing in its way is recorded and launched": Case(
        seen(),
        0,
        "due",
        State.PENDING,
        Reason.SCHEDULING,
        effects=(Launch(1),),
        has={"started_at": T0, "attempts_total": 1, "cache": None},
        last={"number": 1, "cause": Cause.FIRST, "recorded_at": T0, "outcome": None},
    ),
    "a retry never starts early": Case(
        seen(awaiting(60)), 59.999999, "due", State.AWAITING_RETRY, writes=False, again=at(60)
    ),
    "a retry starts in time": Case(
        seen(awaiting(60)),
        60,
        "due",
        State.RETRYING,
        effects=(Launch(2),),
        has={"next_attempt_at": None},
        last={"number": 2, "cause": Cause.RETRY},
    ),
    "a resumed retry that is not due says again what it waits for": Case(
        seen(awaiting(60, state=State.PENDING, reason=Reason.SUSPENDED, message="spec.suspend is true.")),
        30,
        "due",
        State.AWAITING_RETRY,
        Reason.EXCEPTION,
        again=at(60),
        has={"message": "boom"},
    ),
}


@pytest.mark.parametrize("sentence", CASES)
def test_decide(sentence: str) -> None:
    case = CASES[sentence]
    decision = decide(case.given, at(case.now))
    assert decision.rule == case.rule
    if case.state is not None:
        assert decision.status.state is case.state
    if case.reason is not ...:
        assert decision.status.reason is case.reason
    assert decision.effects == case.effects
    if case.again is not ...:
        assert decision.again_at == case.again
    assert (decision.status != case.given.status) is case.writes
    for name, value in (case.has or {}).items():
        assert getattr(decision.status, name) == value, name
    for name, value in (case.last or {}).items():
        assert decision.status.latest is not None
        assert getattr(decision.status.latest, name) == value, name


@pytest.mark.parametrize("sentence", CASES)
def test_a_decision_that_waits_names_a_later_time_and_an_end_has_no_next_attempt(sentence: str) -> None:
    case = CASES[sentence]
    decision = decide(case.given, at(case.now))
    if decision.again_at is not None and not decision.effects and decision.status == case.given.status:
        assert decision.again_at > at(case.now)
    if decision.status.finished:
        assert decision.status.state.finished
        assert decision.status.next_attempt_at is None
        assert decision.status.running is None


def test_every_rule_has_a_case_and_the_order_is_the_design() -> None:
    names = [rule.__name__ for rule in RULES]
    assert {case.rule for case in CASES.values()} == set(names)
    assert names == [
        "finished", "cancelled", "pod_to_come", "waiting_pod", "running_pod", "ended_attempt",
        "invalid", "suspended", "upstream", "cached", "due",
    ]  # fmt: skip


WHAT_COULD_ANSWER: dict[str, dict[str, Any]] = {
    "finished": {"status": replace(FINISHED, state=State.FAILED)},
    "cancelled": {"policy": {"cancel": True}},
    "invalid": {"invalid": INVALID},
    "suspended": {"policy": {"suspend": True}},
    "upstream": {"upstreams": (upstream(state=State.FAILED),)},
    "cached": {"policy": {"cache": CACHE}, "cache": replace(VIEW, hit=HIT)},
    "due": {},
}


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(WHAT_COULD_ANSWER, 2)))
def test_of_two_rules_that_could_answer_the_earlier_one_does(first: str, second: str) -> None:
    parts = WHAT_COULD_ANSWER[first], WHAT_COULD_ANSWER[second]
    policy = Policy(**{name: value for part in parts for name, value in part.get("policy", {}).items()})
    rest = {name: value for part in parts for name, value in part.items() if name not in ("policy", "status")}
    given = next((part["status"] for part in parts if "status" in part), Status())
    assert decide(seen(given, policy=policy, **rest), at(5)).rule == first


GATES: dict[str, dict[str, Any]] = {name: part for name, part in WHAT_COULD_ANSWER.items() if name != "finished"}
ALIVE: dict[str, Observed] = {
    "pod_to_come": seen(running(), presence=Presence.EXPECTED),
    "waiting_pod": seen(running(), pod=waiting()),
    "running_pod": seen(running(), pod=pod()),
    "ended_attempt": seen(running(), pod=over(Verdict.COMPLETED)),
}


@pytest.mark.parametrize("gate", [gate for gate in GATES if gate != "cancelled"])
@pytest.mark.parametrize("rule", ALIVE)
def test_what_runs_or_ended_comes_before_what_may_start(rule: str, gate: str) -> None:
    part = GATES[gate]
    rest = {name: value for name, value in part.items() if name != "policy"}
    given = replace(ALIVE[rule], policy=Policy(**part.get("policy", {})), **rest)
    assert decide(given, at(5)).rule == rule


@pytest.mark.parametrize(
    ("rule", "answered_by"),
    [
        ("pod_to_come", "pod_to_come"),
        ("waiting_pod", "cancelled"),
        ("running_pod", "cancelled"),
        ("ended_attempt", "ended_attempt"),
    ],
)
def test_cancel_stops_what_is_alive_and_leaves_the_ended_to_its_judge(rule: str, answered_by: str) -> None:
    assert decide(replace(ALIVE[rule], policy=cancel()), at(5)).rule == answered_by


def test_texts_of_others_never_outgrow_the_status() -> None:
    long = Why(Reason.INVALID_SPEC, "x" * 5000, "y" * 5000)
    for given in (
        seen(invalid=long),
        seen(running(), pod=waiting(waiting=long)),
        seen(running(), pod=waiting(waiting=long, scheduled_at=at(-999))),
        seen(running(), presence=Presence.UNPOSTED, refusal=replace(refusal(final=True), why=long)),
        seen(running(), pod=over(disruption=long), policy=Policy(max_disruptions=0)),
    ):
        after = decide(given, at(5)).status
        texts = [after.message, *(t for a in after.attempts for t in (a.message, a.cure))]
        texts += [after.error.message, after.error.cure] if after.error else []
        assert all(len(text or "") <= 1024 for text in texts)
