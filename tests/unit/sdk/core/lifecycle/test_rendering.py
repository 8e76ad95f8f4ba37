"""What is read off a status: conditions, texts, Events; and the status as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydantic import TypeAdapter, ValidationError
from tests.support.lifecycle_builders import DIGEST, T0, at, attempt, awaiting, ended, running, status

from podtask.core.api.names import CacheOutcome, Cause, Ended, Reason, State
from podtask.core.api.status import (
    ATTEMPTS_KEPT,
    Attempt,
    CacheInfo,
    ErrorInfo,
    ResolvedInput,
    ResultInfo,
    Status,
    camel_case,
)
from podtask.core.lifecycle.model import Policy
from podtask.core.lifecycle.rendering import (
    Event,
    StatusView,
    attempt_text,
    conditions,
    duration_text,
    events,
    rendered,
)

ADAPTER: TypeAdapter[StatusView] = TypeAdapter(StatusView)
FULL = Status(
    state=State.COMPLETED,
    reason=Reason.COMPLETED,
    message="The task completed.",
    attempts=(
        ended(1, exit_code=1, cure="Do this."),
        attempt(2, cause=Cause.RETRY, pod_uid="u", node="n", started_at=at(1.5), outcome=Ended.COMPLETED),
    ),
    attempts_total=2,
    retries_used=1,
    disruptions_used=0,
    inputs=(ResolvedInput("up", "uid-up", 1, DIGEST, 5, "json", "h1:x", "uid-source"),),
    result=ResultInfo(DIGEST, 5, "json", "h1:x", '"hello ada"', "aGk=", 2, "uid-source"),
    error=ErrorInfo("E", "m", "tb", DIGEST, 5, "aGk=", 1, "cure"),
    cache=CacheInfo("k1:abc", CacheOutcome.MISS, "earlier", at(50), "no entry"),
    started_at=T0,
    finished_at=at(190),
    next_attempt_at=at(3),
)

ENDS = {
    State.COMPLETED: "True",
    State.CACHED: "True",
    State.FAILED: "False",
    State.CRASHED: "False",
    State.TIMED_OUT: "False",
    State.CANCELLED: "False",
    State.NOT_READY: "False",
}


@pytest.mark.parametrize("state", list(State))
def test_conditions_say_how_it_ended_and_that_it_did(state: State) -> None:
    at_end = at(9) if state.finished else None
    succeeded, finished = conditions(Status(state=state, finished_at=at_end, message="why"), T0)
    assert (succeeded.type, succeeded.status) == ("Succeeded", ENDS.get(state, "Unknown"))
    assert (finished.type, finished.status) == ("Finished", "True" if state.finished else "False")
    assert state.finished is (state in ENDS)
    for condition in (succeeded, finished):
        assert condition.reason
        assert condition.message == "why"
        assert condition.last_transition_time == (at_end or T0)


@pytest.mark.parametrize(
    ("given", "retries", "text"),
    [
        (Status(), 3, None),
        (running(), 0, "1/1"),
        (running(), 3, "1/4"),
        (awaiting(60), 3, "2/4"),
        (status(attempt(5), disruptions_used=4), 3, "1/4"),
    ],
)
def test_the_attempt_column_counts_user_attempts(given: Status, retries: int, text: str | None) -> None:
    assert attempt_text(given, Policy(retries=retries)) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.9, "0s"), (7, "7s"), (190, "3m10s"), (3600, "1h0m"), (7500, "2h5m"), (90000, "25h0m")]
)
def test_durations_read_like_ages(seconds: float, text: str) -> None:
    assert duration_text(Status(started_at=T0, finished_at=at(seconds))) == text


def test_there_is_no_duration_before_the_end_or_without_an_attempt() -> None:
    assert duration_text(Status(started_at=T0)) is None
    assert duration_text(Status(finished_at=at(5))) is None


STORIES: dict[str, tuple[Status, Status, tuple[Event, ...]]] = {
    "nothing happened": (running(), running(), ()),
    "the first attempt": (Status(), running(), (Event("Normal", "AttemptStarted", "Attempt 1 (First)."),)),
    "a failure and its retry in one write": (
        running(),
        status(ended(), attempt(2, cause=Cause.RETRY), state=State.RETRYING),
        (
            Event("Warning", "AttemptFailed", "Attempt 1: boom"),
            Event("Normal", "AttemptStarted", "Attempt 2 (Retry)."),
        ),
    ),
    "a failure that waits": (running(), awaiting(60), (Event("Warning", "AttemptFailed", "Attempt 1: boom"),)),
    "success": (
        running(),
        replace(FULL, attempts=(attempt(outcome=Ended.COMPLETED),)),
        (Event("Normal", "Completed", "The task completed."),),
    ),
    "the last failure": (
        running(),
        status(ended(), state=State.FAILED, finished_at=at(10), message="boom"),
        (Event("Warning", "AttemptFailed", "Attempt 1: boom"), Event("Warning", "Failed", "boom")),
    ),
    "a hit": (
        Status(),
        Status(state=State.CACHED, finished_at=T0, message="The result of 'a' was used."),
        (Event("Normal", "Cached", "The result of 'a' was used."),),
    ),
    "a new reason to wait": (
        Status(),
        Status(reason=Reason.QUOTA, message="exceeded quota"),
        (Event("Normal", "Quota", "exceeded quota"),),
    ),
    "the same reason in other words": (
        Status(reason=Reason.QUOTA, message="1 of 2"),
        Status(reason=Reason.QUOTA, message="2 of 2"),
        (),
    ),
    "more memory after a kill": (
        status(ended(1, Ended.OUT_OF_MEMORY, Reason.OUT_OF_MEMORY)),
        status(
            ended(1, Ended.OUT_OF_MEMORY, Reason.OUT_OF_MEMORY),
            attempt(2, cause=Cause.OUT_OF_MEMORY, memory="2Gi"),
        ),
        (Event("Normal", "AttemptStarted", "Attempt 2 (OutOfMemory), with 2Gi of memory."),),
    ),
    "a place in the line": (
        Status(),
        Status(reason=Reason.QUEUED, message="Waiting for a slot: the limit of tag 'gpu' (4) is reached."),
        (Event("Normal", "Queued", "Waiting for a slot: the limit of tag 'gpu' (4) is reached."),),
    ),
    "the end of the whole run's time": (
        awaiting(60),
        replace(awaiting(60), state=State.TIMED_OUT, finished_at=at(30), message="Not done within 30 s."),
        (Event("Warning", "TimedOut", "Not done within 30 s."),),
    ),
    "running": (running(), replace(running(), state=State.RUNNING, reason=Reason.RUNNING), ()),
    "the end is told once": (FULL, FULL, ()),
}


@pytest.mark.parametrize("sentence", STORIES)
def test_events(sentence: str) -> None:
    before, after, told = STORIES[sentence]
    assert events(before, after) == told


def test_the_status_survives_json_and_names_its_fields_as_kubernetes_does() -> None:
    view = rendered(FULL, Policy(retries=3), T0, 7)
    text = ADAPTER.dump_json(view, by_alias=True, exclude_none=True)
    assert ADAPTER.validate_json(text) == view
    written = json.loads(text)
    assert written["attempts"][1]["podUID"] == "u"
    assert written["result"]["sourceUID"] == "uid-source"
    assert written["result"]["value"] == '"hello ada"'
    assert {"attemptsTotal", "retriesUsed", "nextAttemptAt", "observedGeneration", "finishedAt"} <= written.keys()
    assert (written["attempt"], written["duration"], written["observedGeneration"]) == ("2/4", "3m10s", 7)
    assert written["startedAt"].startswith("2026-01-02T03:04:05.678901")
    assert not any("_" in name for name in _keys(written))


def test_what_was_read_is_rendered_again_without_what_was_derived() -> None:
    read = ADAPTER.validate_json(ADAPTER.dump_json(rendered(FULL, Policy(), T0, 1), by_alias=True))
    again = rendered(replace(read, state=State.FAILED), Policy(retries=1), T0, 2)
    assert again.conditions[0].status == "False"
    assert (again.attempt, again.observed_generation) == ("2/2", 2)


def test_unknown_fields_of_a_newer_operator_are_ignored_and_odd_ones_are_not() -> None:
    assert ADAPTER.validate_python({"attempts": [{"number": 1, "newer": 1}], "newer": 1}).attempts == (Attempt(1),)
    with pytest.raises(ValidationError):
        ADAPTER.validate_python({"attempts": [{"number": "one"}]})


def test_names_on_the_wire() -> None:
    assert [camel_case(name) for name in ("pod_uid", "started_at", "uid", "state")] == [
        "podUID",
        "startedAt",
        "uid",
        "state",
    ]


def test_only_the_newest_attempts_are_kept_and_the_counter_goes_on() -> None:
    given = Status()
    for number in range(1, 31):
        given = given.with_new(ended(number))
    assert [a.number for a in given.attempts] == list(range(31 - ATTEMPTS_KEPT, 31))
    assert given.attempts_total == 30


def _keys(value: object) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for item in value.values() for key in _keys(item))]
    return [key for item in value for key in _keys(item)] if isinstance(value, list) else []
