"""Every verdict of `podtask.core.lifecycle.judge`, who wins where two could speak, and what no pod can claim."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.support.lifecycle_builders import (
    DIGEST,
    at,
    attempt,
    over,
    running,
    said_,
    seen,
)

from podtask.core.api.names import Ended, Reason, State
from podtask.core.api.reasons import Budget
from podtask.core.api.status import Claim
from podtask.core.lifecycle import decide
from podtask.core.lifecycle.judge import VERDICTS, judge, judge_refusal, judge_suspended
from podtask.core.lifecycle.model import Observed, Policy, Presence, Why
from podtask_runner.names import OUT_OF_MEMORY
from podtask_runner.protocol import Error, Outcome, Result, Verdict, load_outcome

GONE = {"presence": Presence.ABSENT}
EVICTED = Why(Reason.EVICTED, "The node ran out of disk.")
TIMED = attempt(reason=Reason.TIMED_OUT)
PENDED = attempt(reason=Reason.PENDING_TIMEOUT, message="It did not start in time: no node")
KNOWN = attempt(pod_uid="pod-1")
IDLE = Claim("fast-1a2b3c4d", "pod-1")


def of(said: Verdict | Outcome | None = None, **more: Any) -> Observed:
    return seen(running(), pod=over(said, **more))


CASES: dict[str, tuple[Observed, Any, Ended, State, Reason, Budget]] = {
    "a stored result is success": (
        of(Verdict.COMPLETED), attempt(), Ended.COMPLETED, State.COMPLETED, Reason.COMPLETED, Budget.NONE,
    ),
    "a result in the store is success though the pod said nothing": (
        seen(running(), pod=over(), stored=said_(Verdict.COMPLETED)),
        attempt(), Ended.COMPLETED, State.COMPLETED, Reason.COMPLETED, Budget.NONE,
    ),
    "a result in the store is success though the pod is gone": (
        seen(running(), **GONE, stored=said_(Verdict.COMPLETED)),
        KNOWN, Ended.COMPLETED, State.COMPLETED, Reason.COMPLETED, Budget.NONE,
    ),
    "exit code 0 without a word is a crash": (
        of(exit_code=0), attempt(), Ended.CRASHED, State.CRASHED, Reason.CRASHED, Budget.NONE,
    ),
    "Completed without a result is a crash": (
        of(Outcome(Verdict.COMPLETED)), attempt(), Ended.CRASHED, State.CRASHED, Reason.CRASHED, Budget.NONE,
    ),
    "cancelled": (
        seen(running(), policy=Policy(cancel=True), pod=over(Verdict.INTERRUPTED)),
        attempt(), Ended.CANCELLED, State.CANCELLED, Reason.CANCELLED, Budget.NONE,
    ),
    "the runner ended it in time": (
        of(Verdict.TIMED_OUT), attempt(), Ended.TIMED_OUT, State.TIMED_OUT, Reason.TIMED_OUT, Budget.RETRY,
    ),
    "the kubelet ended it while the operator was away": (
        of(deadline_exceeded=True), attempt(), Ended.TIMED_OUT, State.TIMED_OUT, Reason.TIMED_OUT, Budget.RETRY,
    ),
    "the operator ended it, whatever the code made of SIGTERM": (
        of(Verdict.FAILED), TIMED, Ended.TIMED_OUT, State.TIMED_OUT, Reason.TIMED_OUT, Budget.RETRY,
    ),
    "the operator ended it and then the pod went": (
        seen(running(), **GONE), TIMED, Ended.TIMED_OUT, State.TIMED_OUT, Reason.TIMED_OUT, Budget.RETRY,
    ),
    "its pod was deleted by us because it did not start in time": (
        seen(running(), **GONE), PENDED, Ended.DISRUPTION, State.CRASHED, Reason.PENDING_TIMEOUT, Budget.DISRUPTION,
    ),
    "it was given up, started after all and raised: that is a failure of the code": (
        of(Verdict.FAILED), PENDED, Ended.FAILED, State.FAILED, Reason.EXCEPTION, Budget.RETRY,
    ),
    "it was given up, started after all and was deleted": (
        of(Verdict.INTERRUPTED), PENDED, Ended.DISRUPTION, State.CRASHED, Reason.INTERRUPTED, Budget.DISRUPTION,
    ),
    "evicted": (
        of(disruption=EVICTED), attempt(), Ended.DISRUPTION, State.CRASHED, Reason.EVICTED, Budget.DISRUPTION,
    ),
    "interrupted": (
        of(Verdict.INTERRUPTED),
        attempt(), Ended.DISRUPTION, State.CRASHED, Reason.INTERRUPTED, Budget.DISRUPTION,
    ),
    "the store was away": (
        of(Verdict.STORE_UNAVAILABLE),
        attempt(), Ended.DISRUPTION, State.CRASHED, Reason.STORE_UNAVAILABLE, Budget.DISRUPTION,
    ),
    "a known pod vanished": (
        seen(running(), **GONE), KNOWN, Ended.DISRUPTION, State.CRASHED, Reason.POD_DELETED, Budget.DISRUPTION,
    ),
    "a pod this process knew vanished": (
        seen(running(), **GONE, known_uid="pod-1"),
        attempt(), Ended.DISRUPTION, State.CRASHED, Reason.POD_DELETED, Budget.DISRUPTION,
    ),
    "nobody ever knew a pod": (
        seen(running(), **GONE), attempt(), Ended.DISRUPTION, State.CRASHED, Reason.LOST, Budget.FREE,
    ),
    "finished work is not repeated: a stored failure is judged though the pod is gone": (
        seen(running(), **GONE, stored=said_(Verdict.FAILED)),
        attempt(), Ended.FAILED, State.FAILED, Reason.EXCEPTION, Budget.RETRY,
    ),
    "out of memory": (
        of(oom_killed=True), attempt(), Ended.OUT_OF_MEMORY, State.FAILED, Reason.OUT_OF_MEMORY, Budget.RETRY,
    ),
    "out of memory, though the container reports exit code 0": (
        of(oom_killed=True, exit_code=0),
        attempt(), Ended.OUT_OF_MEMORY, State.FAILED, Reason.OUT_OF_MEMORY, Budget.RETRY,
    ),
    "out of memory of the child alone, told by its supervisor": (
        of(said_(Verdict.CRASHED, type=OUT_OF_MEMORY)),
        attempt(), Ended.OUT_OF_MEMORY, State.FAILED, Reason.OUT_OF_MEMORY, Budget.RETRY,
    ),
    "an exception": (
        of(Verdict.FAILED), attempt(), Ended.FAILED, State.FAILED, Reason.EXCEPTION, Budget.RETRY,
    ),
    "an exception that the task's own condition does not retry": (
        of(said_(Verdict.FAILED, retryable=False)),
        attempt(), Ended.FAILED, State.FAILED, Reason.EXCEPTION, Budget.NONE,
    ),
    "the interpreter died": (
        of(Verdict.CRASHED), attempt(), Ended.CRASHED, State.CRASHED, Reason.CRASHED, Budget.NONE,
    ),
    "an invalid spec": (
        of(Verdict.INVALID_SPEC), attempt(), Ended.INVALID_SPEC, State.FAILED, Reason.INVALID_SPEC, Budget.NONE,
    ),
    "an idle pod that ended before its attempt began costs nothing": (
        seen(running(claim=IDLE), pod=over(Verdict.NEVER_STARTED)),
        attempt(claim=IDLE), Ended.DISRUPTION, State.CRASHED, Reason.LOST, Budget.FREE,
    ),
    "of a pod that never was idle the same word is none": (
        of(Verdict.NEVER_STARTED), attempt(), Ended.CRASHED, State.CRASHED, Reason.CRASHED, Budget.NONE,
    ),
    "another Python": (
        of(Verdict.ENVIRONMENT_MISMATCH),
        attempt(), Ended.ENVIRONMENT_MISMATCH, State.FAILED, Reason.ENVIRONMENT_MISMATCH, Budget.NONE,
    ),
    "a corrupted input": (
        of(Verdict.INPUT_CORRUPTED),
        attempt(), Ended.INPUT_CORRUPTED, State.FAILED, Reason.INPUT_CORRUPTED, Budget.NONE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("sentence", CASES)
def test_judge(sentence: str) -> None:
    given, running_attempt, ended, state, reason, budget = CASES[sentence]
    judged = judge(given, running_attempt)
    assert (judged.ended, judged.state, judged.why.reason, judged.budget) == (ended, state, reason, budget)
    assert (judged.result is not None) is (ended is Ended.COMPLETED)
    assert judged.why.message


def test_every_verdict_of_the_runner_and_every_judge_has_a_case() -> None:
    said = {given.pod.outcome.outcome for given, *_ in CASES.values() if given.pod and given.pod.outcome}
    assert said == set(Verdict)
    answered = set()
    for given, running_attempt, *_ in CASES.values():
        answered.add(judge(given, running_attempt).ended)
    assert answered == set(Ended)


PRECEDENCE: dict[str, dict[str, Any]] = {
    "stored result": {"said": Verdict.COMPLETED},
    "cancel": {"cancel": True},
    "a stop for time": {"deadline_exceeded": True},
    "disruption": {"disruption": EVICTED},
    "out of memory": {"oom_killed": True},
    "the runner's outcome": {"said": Verdict.FAILED},
}
ENDED = dict(
    zip(
        PRECEDENCE,
        (Ended.COMPLETED, Ended.CANCELLED, Ended.TIMED_OUT, Ended.DISRUPTION, Ended.OUT_OF_MEMORY, Ended.FAILED),
        strict=True,
    )
)


def test_the_order_of_verdicts_is_the_design() -> None:
    assert [verdict.__name__ for verdict in VERDICTS] == [
        "completed", "cancelled", "stopped", "pending_timeout", "never_started", "disrupted", "vanished",
        "out_of_memory", "failed", "timed_out", "refused_by_runner", "crashed",
    ]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(PRECEDENCE, 2)))
def test_of_two_verdicts_the_earlier_one_counts(first: str, second: str) -> None:
    facts = {**PRECEDENCE[second], **PRECEDENCE[first]}
    said, cancel = facts.pop("said", None), facts.pop("cancel", False)
    given = seen(running(), policy=Policy(cancel=cancel), pod=over(said, **facts))
    assert judge(given, attempt()).ended is ENDED[first]


@pytest.mark.parametrize("word", [Verdict.FAILED, Verdict.TIMED_OUT, Verdict.CRASHED, Verdict.INVALID_SPEC])
@pytest.mark.parametrize(
    ("facts", "ended"), [({"disruption": EVICTED}, Ended.DISRUPTION), ({"oom_killed": True}, Ended.OUT_OF_MEMORY)]
)
def test_what_the_cluster_did_counts_before_what_the_runner_says(word: Verdict, facts: Any, ended: Ended) -> None:
    assert judge(of(word, **facts), attempt()).ended is ended


@pytest.mark.parametrize("word", [Verdict.FAILED, Verdict.INTERRUPTED, Verdict.CRASHED, None])
def test_our_own_stop_is_no_disruption_and_no_failure(word: Verdict | None) -> None:
    assert judge(of(word, deadline_exceeded=True), attempt()).ended is Ended.TIMED_OUT


def test_the_words_of_the_runner_are_kept() -> None:
    said = said_(Verdict.FAILED, traceback="tail", digest=DIGEST, size=7, inline="aGk=", cure="Do this.")
    judged = judge(of(said), attempt(3))
    assert judged.why == Why(Reason.EXCEPTION, "ValueError: boom", "Do this.")
    error = judged.error
    assert error is not None
    assert (error.type, error.message, error.traceback, error.digest, error.size, error.inline, error.attempt) == (
        "ValueError", "boom", "tail", DIGEST, 7, "aGk=", 3,
    )  # fmt: skip


def test_a_refusal_for_ever_is_an_invalid_spec() -> None:
    judged = judge_refusal(Why(Reason.QUOTA, "spec.volumes: unknown", "Correct it."))
    assert (judged.ended, judged.why.reason, judged.budget) == (Ended.INVALID_SPEC, Reason.INVALID_SPEC, Budget.NONE)
    assert judged.error is not None
    assert judged.error.cure == "Correct it."


def test_a_pod_that_never_was_is_given_up_for_nothing() -> None:
    assert judge_suspended().budget is Budget.FREE


ODD_RESULTS: dict[str, dict[str, Any]] = {
    "a key instead of a digest": {"digest": "../../other/runs/uid/1/result"},
    "a digest in upper case": {"digest": "AB" * 32},
    "no text as digest": {"digest": 5},
    "a negative size": {"size": -1},
    "a size that is no number": {"size": "5"},
    "a size that is a truth": {"size": True},
    "a size beyond 64 bits": {"size": 2**70},
    "a serializer that is no text": {"serializer": ["json"]},
    "an endless serializer": {"serializer": "x" * 5000},
}


@pytest.mark.parametrize("oddity", ODD_RESULTS)
def test_a_result_that_cannot_be_is_no_success(oddity: str) -> None:
    result = Result(**{"digest": DIGEST, "size": 5, "serializer": "json", **ODD_RESULTS[oddity]})
    assert judge(of(Outcome(Verdict.COMPLETED, result)), attempt()).ended is Ended.CRASHED


def test_payloads_too_long_for_a_status_are_left_to_the_store() -> None:
    result = Result(DIGEST, 5, "json", contentHash="h" * 999, value="x" * 9000, inline="y" * 9000)
    judged = judge(of(Outcome(Verdict.COMPLETED, result)), attempt()).result
    assert judged is not None
    assert (judged.content_hash, judged.value, judged.inline) == (None, None, None)


ODD_ERRORS: dict[str, dict[str, Any]] = {
    "texts that are numbers": {"type": 1, "message": 2, "traceback": 3, "cure": 4},
    "endless texts": {"type": "t" * 5000, "message": "m" * 5000, "traceback": "b" * 90000, "cure": "c" * 5000},
    "a digest that is none": {"digest": "x", "size": "y", "inline": ["z"]},
    "lists and objects": {"type": [], "message": {}, "retryable": "no"},
}


@pytest.mark.parametrize("oddity", ODD_ERRORS)
@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.COMPLETED])
def test_no_error_makes_a_decision_raise_or_a_status_too_big(verdict: Verdict, oddity: str) -> None:
    error = Error(**{"type": "T", "message": "m", **ODD_ERRORS[oddity]})
    after = decide(of(Outcome(verdict, error=error)), at(5)).status
    told = after.error
    starts_again = verdict in (Verdict.INTERRUPTED, Verdict.STORE_UNAVAILABLE)
    assert (told is None) is starts_again
    if told is not None:
        assert isinstance(told.type, str)
        assert len(told.type) <= 1024
        assert len(told.message) <= 1024
        assert len(told.traceback or "") <= 8192
        assert len(told.cure or "") <= 1024
        assert told.digest is None or len(told.digest) == 64
        assert told.size is None or isinstance(told.size, int)


@pytest.mark.parametrize(
    "delay",
    [1e308, float("nan"), float("inf"), -5, "30", None, True, [], {}, 10**400],
    ids=lambda delay: repr(delay)[:9],
)
def test_no_delay_of_a_task_makes_a_decision_raise(delay: Any) -> None:
    said = replace(said_(Verdict.FAILED), timings={"delay": delay})
    after = decide(seen(running(), policy=Policy(retries=1), pod=over(said)), at(5)).status
    assert after.retries_used == 1


@pytest.mark.parametrize("timings", [[], "x", 5, None, {"delay": {"a": 1}}])
def test_no_timings_make_a_decision_raise(timings: Any) -> None:
    message = {"outcome": "Failed", "error": {"type": "E", "message": "m"}, "timings": timings}
    said = load_outcome(json.dumps(message).encode())
    assert decide(seen(running(), policy=Policy(retries=1), pod=over(said)), at(5)).status.retries_used == 1


@pytest.mark.parametrize("timings", [{"run": "x"}, {"run": 10**400, "load": None}, {"run": float("nan")}, [], None])
def test_no_timings_of_a_stored_result_make_a_decision_raise(timings: Any) -> None:
    """Of an attempt that had ended before anybody saw it run: when it began is told by its timings."""
    said = replace(said_(Verdict.COMPLETED), timings=timings)
    after = decide(seen(running(), pod=over(started_at=None), stored=said), at(5)).status
    assert after.state is State.COMPLETED


STOPPED = said_(Verdict.INTERRUPTED, type="Interrupted", message="SIGTERM", cure="Nothing to do: it is tried again.")
OVER = {
    "somebody gave its pod a deadline": (Policy(), attempt(), "activeDeadlineSeconds on pods"),
    "its own time, while the operator was away": (
        Policy(timeout_seconds=60), attempt(), "Raise spec.timeoutSeconds",
    ),
    "its own time": (Policy(timeout_seconds=60), TIMED, "Raise spec.timeoutSeconds"),
    "the time of the run": (
        Policy(deadline_seconds=60), attempt(reason=Reason.DEADLINE_EXCEEDED), "Raise spec.deadlineSeconds",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OVER)
def test_the_cure_of_a_stop_is_not_that_of_a_runner_that_cannot_know_why(case: str) -> None:
    """A runner of an older image promises another attempt; a final end is not tried again."""
    policy, stopped_attempt, cure = OVER[case]
    observed = seen(running(), policy=policy, pod=over(STOPPED, deadline_exceeded=True))
    judged = judge(observed, stopped_attempt)
    assert judged.ended is Ended.TIMED_OUT
    assert judged.error is not None
    for text in (judged.why.cure, judged.error.cure):
        assert text is not None
        assert cure in text
