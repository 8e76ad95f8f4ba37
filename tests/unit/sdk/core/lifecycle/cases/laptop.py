"""What differs where the workers of one process run attempts: every phase is reported, and a new attempt is queued."""

from __future__ import annotations

from dataclasses import replace

from tests.support.lifecycle_builders import at, awaiting, over, pod, running, seen, upstream
from tests.unit.sdk.core.lifecycle.cases.case import CACHE, VIEW, Case

from podtask.core.api.names import Cause, Reason, State
from podtask.core.lifecycle.model import Launch, Policy, Why
from podtask_runner.protocol import Verdict

QUEUE = Why(Reason.QUEUED, "Waiting for a free worker of this process.")

CASES: dict[str, Case] = {
    "a new attempt waits for a worker": Case(
        seen(worker_queue=QUEUE, reports_at_once=True),
        1,
        "due",
        State.PENDING,
        Reason.QUEUED,
        effects=(Launch(1),),
        has={"message": "Waiting for a free worker of this process."},
    ),
    "a worker that takes it is reported as it does": Case(
        seen(running(), pod=pod(started_at=at(1)), reports_at_once=True),
        1,
        "running_pod",
        State.RUNNING,
        Reason.RUNNING,
        has={"message": None},
        last={"started_at": at(1)},
    ),
    "a worker that takes a retry is reported as such": Case(
        seen(replace(running(), retries_used=1), pod=pod(started_at=at(1)), reports_at_once=True),
        1,
        "running_pod",
        State.RETRYING,
        Reason.RUNNING,
    ),
    "the end of an attempt is reported before the next one, which has no delay": Case(
        seen(running(), policy=Policy(retries=2), pod=over(Verdict.FAILED), reports_at_once=True),
        2,
        "ended_attempt",
        State.AWAITING_RETRY,
        Reason.EXCEPTION,
        again=at(2),
        has={"attempts_total": 1, "retries_used": 1, "next_attempt_at": at(2)},
    ),
    "and the next one follows at the same moment": Case(
        seen(awaiting(2), policy=Policy(retries=2), worker_queue=QUEUE, reports_at_once=True),
        2,
        "due",
        State.RETRYING,
        Reason.QUEUED,
        effects=(Launch(2),),
        last={"number": 2, "cause": Cause.RETRY, "recorded_at": at(2)},
    ),
    "a run that waits for an upstream says so at once": Case(
        seen(upstreams=(upstream(state=State.RUNNING),), reports_at_once=True),
        0,
        "upstream",
        State.PENDING,
        Reason.WAITING_FOR_UPSTREAM,
        again=None,
    ),
    "a run that waits for an identical one says so at once": Case(
        seen(policy=Policy(cache=CACHE), cache=replace(VIEW, leader="first"), reports_at_once=True),
        0,
        "cached",
        State.PENDING,
        Reason.WAITING_FOR_CACHE,
        again=None,
    ),
}
