"""From a status to its spans: the table, and what holds for every status that anybody could write."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podtask.core.api.names import CacheOutcome, Cause, Ended, Reason, State
from podtask.core.api.status import Attempt, CacheInfo, Claim, ErrorInfo, Status
from podtask.core.tracing.context import TraceContext, span_id_of
from podtask.core.tracing.spans import TEXT_LIMIT, Span, Subject, spans_of

CREATED = datetime(2026, 1, 1, tzinfo=timezone.utc)
PARENT = TraceContext(0xABC, 0xDEF)
RUN = Subject("uid-1", "greet-1", "greet", CREATED, PARENT, "flow-run-1", "hello", "team")


def at(seconds: float) -> datetime:
    return CREATED + timedelta(seconds=seconds)


def attempt(number: int, recorded: float, started: float | None, finished: float, **more: object) -> Attempt:
    began = None if started is None else at(started)
    done = Attempt(number, recorded_at=at(recorded), started_at=began, finished_at=at(finished))
    return replace(done, **{"outcome": Ended.COMPLETED, **more})  # type: ignore[arg-type]


def ended(state: State, finished: float, *attempts: Attempt, **more: object) -> Status:
    first = attempts[0].recorded_at if attempts else None
    made = Status(state, attempts=attempts, started_at=first, finished_at=at(finished), attempts_total=len(attempts))
    return replace(made, **more)  # type: ignore[arg-type]


def rows(spans: tuple[Span, ...]) -> list[tuple[str, str, float, float, bool]]:
    """Name, name of the parent, seconds from and to, failed."""
    names = {span.span_id: span.name for span in spans}

    def since(moment: datetime) -> float:
        return round((moment - CREATED).total_seconds(), 6)

    return [
        (span.name, names.get(span.parent_id or 0, "-"), since(span.start), since(span.end), span.failed)
        for span in spans
    ]


FAILED = {"outcome": Ended.FAILED, "reason": Reason.EXCEPTION, "message": "ValueError: no"}
TABLE = {
    "one attempt": (
        ended(State.COMPLETED, 9, attempt(1, 2, 4, 9)),
        [
            ("task greet", "-", 0.999999, 9, False),
            ("queued", "task greet", 0.999999, 2, False),
            ("attempt", "task greet", 2, 9, False),
            ("starting", "attempt", 2, 4, False),
            ("running", "attempt", 4, 9, False),
        ],
    ),
    "a retry": (
        ended(State.COMPLETED, 20, attempt(1, 0.5, 1, 5, **FAILED), attempt(2, 15, 16, 20, cause=Cause.RETRY)),
        [
            ("task greet", "-", 0.5, 20, False),  # the API server says 0, and the attempt began within that second
            ("attempt", "task greet", 0.5, 5, True),
            ("starting", "attempt", 0.5, 1, False),
            ("running", "attempt", 1, 5, False),
            ("retry delay", "task greet", 5, 15, False),
            ("attempt", "task greet", 15, 20, False),
            ("starting", "attempt", 15, 16, False),
            ("running", "attempt", 16, 20, False),
        ],
    ),
    "no retry left": (
        ended(State.FAILED, 5, attempt(1, 2, 3, 5, **FAILED), message="ValueError: no"),
        [
            ("task greet", "-", 0.999999, 5, True),
            ("queued", "task greet", 0.999999, 2, False),
            ("attempt", "task greet", 2, 5, True),
            ("starting", "attempt", 2, 3, False),
            ("running", "attempt", 3, 5, False),
        ],
    ),
    "no container ever started": (
        ended(State.CRASHED, 900, attempt(1, 2, None, 900, outcome=Ended.CRASHED)),
        [
            ("task greet", "-", 0.999999, 900, True),
            ("queued", "task greet", 0.999999, 2, False),
            ("attempt", "task greet", 2, 900, True),
            ("starting", "attempt", 2, 900, False),
        ],
    ),
    "an idle pod, whose container started long before": (
        ended(State.COMPLETED, 9, attempt(1, 2, -300, 9, claim=Claim("pool-x", "uid-p"))),
        [
            ("task greet", "-", 0.999999, 9, False),
            ("queued", "task greet", 0.999999, 2, False),
            ("attempt", "task greet", 2, 9, False),
            ("running", "attempt", 2, 9, False),
        ],
    ),
    "a container start of whole seconds lies before the record": (
        ended(State.COMPLETED, 3, attempt(1, 2.7, 2, 3)),
        [
            ("task greet", "-", 0.999999, 3, False),
            ("queued", "task greet", 0.999999, 2.7, False),
            ("attempt", "task greet", 2.7, 3, False),
            ("running", "attempt", 2.7, 3, False),
        ],
    ),
    "cached": (
        ended(State.CACHED, 0.25),
        [("task greet", "-", 0.25, 0.25, False)],
    ),
    "an upstream failed after a while": (
        ended(State.NOT_READY, 30, message="upstream failed"),
        [("task greet", "-", 0.999999, 30, True), ("queued", "task greet", 0.999999, 30, False)],
    ),
    "cancelled while it ran": (
        ended(State.CANCELLED, 5, attempt(1, 2, 3, 5, outcome=Ended.CANCELLED)),
        [
            ("task greet", "-", 0.999999, 5, False),
            ("queued", "task greet", 0.999999, 2, False),
            ("attempt", "task greet", 2, 5, False),
            ("starting", "attempt", 2, 3, False),
            ("running", "attempt", 3, 5, False),
        ],
    ),
    "the result was stored, so the end of the pod was not waited for": (
        ended(State.COMPLETED, 4, replace(attempt(1, 2, 3, 5), finished_at=None, outcome=None)),
        [
            ("task greet", "-", 0.999999, 4, False),
            ("queued", "task greet", 0.999999, 2, False),
            ("attempt", "task greet", 2, 4, False),
            ("starting", "attempt", 2, 3, False),
            ("running", "attempt", 3, 4, False),
        ],
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_the_table(case: str) -> None:
    status, expected = TABLE[case]
    assert rows(spans_of(RUN, status)) == expected


def test_a_run_that_has_not_ended_has_no_spans() -> None:
    assert spans_of(RUN, Status(State.RUNNING, attempts=(attempt(1, 2, 3, 4),))) == ()


def test_attributes_of_run_and_attempt() -> None:
    status = ended(
        State.FAILED,
        5,
        attempt(1, 2, 3, 5, **FAILED, pod_uid="uid-p", node="node-1", exit_code=1),
        message="ValueError: no",
        error=ErrorInfo("builtins.ValueError", "no"),
        cache=CacheInfo(outcome=CacheOutcome.MISS),
    )
    run, _, first, *_ = spans_of(RUN, status)
    assert run.attributes == {
        "podtask.task_run.name": "greet-1",
        "podtask.task_run.uid": "uid-1",
        "podtask.task_run.state": "Failed",
        "podtask.task_run.attempts": 1,
        "podtask.task.name": "greet",
        "podtask.flow_run.id": "flow-run-1",
        "podtask.flow.name": "hello",
        "podtask.cache.outcome": "Miss",
        "k8s.namespace.name": "team",
        "error.type": "builtins.ValueError",
    }
    assert run.description == "ValueError: no"
    assert first.attributes == {
        "podtask.attempt.number": 1,
        "podtask.attempt.cause": "First",
        "podtask.attempt.outcome": "Failed",
        "error.type": "Exception",
        "process.exit.code": 1,
        "k8s.namespace.name": "team",
        "k8s.pod.name": "greet-1-1",
        "k8s.pod.uid": "uid-p",
        "k8s.node.name": "node-1",
    }


def test_the_trace_is_the_drivers_or_one_of_its_own() -> None:
    status = ended(State.COMPLETED, 9, attempt(1, 2, 4, 9))
    assert RUN.trace_id == 0xABC
    assert spans_of(RUN, status)[0].parent_id == 0xDEF
    alone = replace(RUN, parent=None)
    assert alone.trace_id not in (0, 0xABC)
    assert spans_of(alone, status)[0].parent_id is None


def test_the_span_of_an_attempt_is_the_one_that_its_pod_was_told() -> None:
    status = ended(State.COMPLETED, 20, attempt(1, 2, 3, 5, **FAILED), attempt(2, 15, 16, 20))
    ids = [span.span_id for span in spans_of(RUN, status) if span.name == "attempt"]
    assert ids == [span_id_of("uid-1", "attempt/1"), span_id_of("uid-1", "attempt/2")]


def test_what_a_tenant_wrote_is_one_bounded_line() -> None:
    wild = replace(RUN, task="a\x1b[31m\nb\x00" + "x" * 10_000, flow="\ud800flow")
    run = spans_of(wild, ended(State.FAILED, 5, message="line\r\nline " + "y" * 10_000))[0]
    assert run.name == "task a [31m b " + "x" * (TEXT_LIMIT - 9)
    assert len(run.description) <= TEXT_LIMIT
    assert run.description.startswith("line  line y")
    assert run.attributes["podtask.flow.name"] == "flow"
    for text in (run.name, run.description, *map(str, run.attributes.values())):
        assert text.isprintable()
        assert text.encode()


MOMENTS = st.none() | st.integers(-10_000, 10_000).map(lambda tenth: at(tenth / 10))
OUTCOMES = st.none() | st.sampled_from(Ended)
ATTEMPTS = st.builds(
    Attempt, st.integers(1, 40), recorded_at=MOMENTS, started_at=MOMENTS, finished_at=MOMENTS, outcome=OUTCOMES
)


@given(
    st.lists(ATTEMPTS, max_size=5, unique_by=lambda attempt: attempt.number),
    st.sampled_from([state for state in State if state.finished]),
    MOMENTS,
    st.integers(-10_000, 10_000),
)
def test_whatever_the_times_a_span_neither_ends_before_it_starts_nor_leaves_its_parent(
    attempts: list[Attempt], state: State, started: datetime | None, finished: int
) -> None:
    status = Status(state, attempts=tuple(attempts), started_at=started, finished_at=at(finished / 10))
    spans = spans_of(RUN, status)
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    assert spans
    for span in spans:
        assert span.start <= span.end
        parent = by_id.get(span.parent_id or 0)
        assert (parent is None) == (span is spans[0])
        assert parent is None or (parent.start <= span.start and span.end <= parent.end)
