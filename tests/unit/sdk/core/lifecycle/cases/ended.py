"""An attempt that ended: what follows from its judgement (how it is judged: test_judge)."""

from __future__ import annotations

from dataclasses import replace

from tests.support.lifecycle_builders import DIGEST, at, attempt, ended, over, running, said_, seen, status
from tests.unit.sdk.core.lifecycle.cases.case import CACHE, DEADLINE, GROWING, Case, killed, limit

from podtask.core.api.names import CacheOutcome, Cause, Ended, Reason, State
from podtask.core.api.status import CacheInfo, ErrorInfo, ResultInfo
from podtask.core.lifecycle.memory import MemoryGrowth
from podtask.core.lifecycle.model import CachePolicy, Launch, Policy, Presence, Publish, Why
from podtask_runner.protocol import Result, Verdict

CASES: dict[str, Case] = {
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
    "a result that differs from what its key says is not published, and the status says why": Case(
        seen(
            status(attempt(), cache=CacheInfo("k1:abc", CacheOutcome.MISS, miss_reason="There is no entry.")),
            policy=Policy(cache=CACHE),
            pod=over(replace(said_(Verdict.COMPLETED), result=Result(DIGEST, 5, "json", uncached="conf.X differs"))),
        ),
        2,
        "ended_attempt",
        State.COMPLETED,
        effects=(),
        has={
            "cache": CacheInfo(
                "k1:abc", CacheOutcome.MISS, miss_reason="There is no entry. Not published: conf.X differs."
            )
        },
    ),
    "a run that is not cached does not care what its key would be made of": Case(
        seen(
            status(attempt()),
            pod=over(replace(said_(Verdict.COMPLETED), result=Result(DIGEST, 5, "json", uncached="conf.X differs"))),
        ),
        2,
        "ended_attempt",
        State.COMPLETED,
        effects=(),
        has={"cache": None},
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
    # more memory after an out-of-memory kill
    "out of memory with a budget of its own gets more memory at once, and no retry is used": Case(
        seen(running(), policy=GROWING, pod=over(oom_killed=True)),
        2,
        "ended_attempt",
        State.RETRYING,
        effects=(Launch(2),),
        has={"retries_used": 0, "disruptions_used": 0, "out_of_memory_used": 1},
        last={"cause": Cause.OUT_OF_MEMORY, "memory": "1Gi"},
    ),
    "the second kill gets still more": Case(
        seen(status(killed(1), attempt(2), out_of_memory_used=1), policy=GROWING, pod=over(oom_killed=True)),
        2,
        "ended_attempt",
        effects=(Launch(3),),
        has={"out_of_memory_used": 2},
        last={"memory": "2Gi"},
    ),
    "memory stops at its maximum, with the sentence and the cure": Case(
        seen(status(killed(2), attempt(3), out_of_memory_used=2), policy=GROWING, pod=over(oom_killed=True)),
        2,
        "ended_attempt",
        State.FAILED,
        Reason.OUT_OF_MEMORY,
        has={
            "message": "The task used more than its 2Gi of memory and was killed. "
            "That is spec.onOutOfMemory.maxMemory already.",
            "retries_used": 0,
        },
        last={"cure": "Raise spec.onOutOfMemory.maxMemory, or let the task use less."},
    ),
    "attempts with more memory are counted": Case(
        seen(
            status(killed(1), attempt(2), out_of_memory_used=1),
            policy=Policy(retries=9, on_out_of_memory=MemoryGrowth(1.5, 2**40, 1, 2**29)),
            pod=over(oom_killed=True),
        ),
        2,
        "ended_attempt",
        State.FAILED,
        Reason.OUT_OF_MEMORY,
        has={
            "message": "The task used more than its 768Mi of memory and was killed. "
            "It was the last of 1 with more memory (spec.onOutOfMemory.maxAttempts)."
        },
    ),
    "a retry after a growth keeps the memory and uses a retry": Case(
        seen(status(killed(1), attempt(2), out_of_memory_used=1), policy=GROWING, pod=over(Verdict.FAILED)),
        2,
        "ended_attempt",
        effects=(Launch(3),),
        has={"retries_used": 1, "out_of_memory_used": 1},
        last={"cause": Cause.RETRY, "memory": "1Gi"},
    ),
    # the deadline of the whole run
    "an attempt that was stopped for the deadline ends the run, whatever retries are left": Case(
        seen(
            running(reason=Reason.DEADLINE_EXCEEDED),
            policy=replace(DEADLINE, retries=3),
            pod=over(Verdict.INTERRUPTED, deadline_exceeded=True),
        ),
        31,
        "ended_attempt",
        State.TIMED_OUT,
        Reason.DEADLINE_EXCEEDED,
        last={"outcome": Ended.TIMED_OUT, "reason": Reason.DEADLINE_EXCEEDED},
    ),
    "a result that was stored before the stop took effect has won": Case(
        seen(running(reason=Reason.DEADLINE_EXCEEDED), policy=DEADLINE, pod=over(Verdict.COMPLETED)),
        31,
        "ended_attempt",
        State.COMPLETED,
    ),
    "a pod that the kubelet ended after the deadline, while the operator was away": Case(
        seen(running(), policy=replace(DEADLINE, retries=3), pod=over(deadline_exceeded=True)),
        99,
        "ended_attempt",
        State.TIMED_OUT,
        Reason.DEADLINE_EXCEEDED,
        last={"reason": Reason.DEADLINE_EXCEEDED},
    ),
    "no retry is planned that would be due after the deadline: the failure is the end": Case(
        seen(running(), policy=replace(DEADLINE, retries=3, retry_delays=(20,)), pod=over(Verdict.FAILED)),
        15,
        "ended_attempt",
        State.FAILED,
        Reason.EXCEPTION,
        has={
            "retries_used": 0,
            "message": "ValueError: boom No further attempt: it would start after deadlineSeconds (30).",
            "error": ErrorInfo("ValueError", "boom", attempt=1),
        },
    ),
    "a retry of a suspended run is planned all the same: the clock stands still from the end of the attempt": Case(
        seen(
            running(), policy=replace(DEADLINE, retries=3, retry_delays=(20,), suspend=True), pod=over(Verdict.FAILED)
        ),
        15,
        "ended_attempt",
        State.AWAITING_RETRY,
        again=at(15),
        has={"retries_used": 1, "next_attempt_at": at(35), "suspended_at": at(15)},
    ),
    "a failure of a suspended run that is seen after the deadline ends it": Case(
        seen(running(), policy=replace(DEADLINE, retries=3, suspend=True), pod=over(Verdict.FAILED)),
        30,
        "ended_attempt",
        State.TIMED_OUT,
    ),
    "a failure that is seen after the deadline ends the run as TimedOut and keeps its error": Case(
        seen(running(), policy=replace(DEADLINE, retries=3), pod=over(Verdict.FAILED)),
        30,
        "ended_attempt",
        State.TIMED_OUT,
        Reason.DEADLINE_EXCEEDED,
        has={"error": ErrorInfo("ValueError", "boom", attempt=1)},
        last={"outcome": Ended.FAILED},
    ),
    "a last failure is its own end, deadline or not": Case(
        seen(running(), policy=DEADLINE, pod=over(Verdict.FAILED)), 99, "ended_attempt", State.FAILED, Reason.EXCEPTION
    ),
    # slots
    "a retry without a delay keeps its slot": Case(
        seen(running(), policy=Policy(retries=2), pod=over(Verdict.FAILED), limits=(limit(held=1),)),
        2,
        "ended_attempt",
        effects=(Launch(2),),
    ),
    "a retry without a delay lets an older run go first": Case(
        seen(running(), policy=Policy(retries=2), pod=over(Verdict.FAILED), limits=(limit(held=1, ahead=1),)),
        2,
        "ended_attempt",
        State.AWAITING_RETRY,
        again=at(2),
        has={"attempts_total": 1, "retries_used": 1},
    ),
    # a lost node
    "a pod that was removed by force is a lost node, never a retry": Case(
        seen(
            running(reason=Reason.NODE_LOST, message="its node is lost", cure="Look.", pod_uid="pod-1"),
            presence=Presence.ABSENT,
        ),
        80,
        "ended_attempt",
        effects=(Launch(2),),
        has={"disruptions_used": 1, "retries_used": 0},
    ),
    "an outcome that the runner stored before its node was lost counts": Case(
        seen(
            running(reason=Reason.NODE_LOST, pod_uid="pod-1"),
            presence=Presence.ABSENT,
            stored=said_(Verdict.FAILED),
        ),
        80,
        "ended_attempt",
        State.FAILED,
        Reason.EXCEPTION,
    ),
}
