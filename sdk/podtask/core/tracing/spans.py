"""From the status of an ended TaskRun to its spans. Pure: no clock, no network, no OpenTelemetry.

    task greet                              created ───────────────────────────────> ended
    ├─ queued                               created ─> first attempt recorded
    ├─ attempt                              recorded ─────────> judged
    │  ├─ starting                          recorded ─> container started
    │  └─ running                           container started ─> judged
    ├─ retry delay                          judged ─> next attempt recorded
    └─ attempt …

All of it is written at once, when the end is known: nothing has to be remembered over a restart, and the status is the
only source. Times are those of the status, put in order: a span neither ends before it starts nor leaves its parent.
Written by `podtask.core.tracing.writer`. Asked by the operator and by `podtask.tracing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from podtask.core.api.names import CacheOutcome, Ended, State
from podtask.core.api.status import Attempt, Status, pod_name
from podtask.core.tracing.context import TraceContext, attempt_part, span_id_of, trace_id_of

TEXT_LIMIT: Final = 256
"""Characters of an attribute or a description. What tenants write goes into them."""
RUN: Final = "task-run"
"""The `part` of the outermost span of a TaskRun."""
_ALMOST_A_SECOND: Final = timedelta(microseconds=999_999)

Attribute = str | int


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose spans they are."""

    uid: str
    name: str
    task: str
    created_at: datetime
    parent: TraceContext | None = None
    """The span that made the TaskRun; None: the TaskRun begins a trace of its own."""
    flow_run: str = ""
    flow: str = ""
    namespace: str = ""
    """Of a TaskRun on a cluster: it has pods."""

    @property
    def trace_id(self) -> int:
        """The trace of all its spans."""
        return self.parent.trace_id if self.parent is not None else trace_id_of(self.uid)


@dataclass(frozen=True, slots=True)
class Span:
    """One span; the trace is the subject's."""

    name: str
    span_id: int
    parent_id: int | None
    start: datetime
    end: datetime
    attributes: Mapping[str, Attribute]
    failed: bool = False
    description: str = ""
    """Of a span that failed: what happened."""


def spans_of(subject: Subject, status: Status) -> tuple[Span, ...]:
    """All spans of an ended TaskRun, parents first; none of one that has not ended."""
    ended = status.finished_at
    if ended is None:
        return ()
    first = status.started_at
    created = min(_created(subject, first or ended), first or ended, ended)
    root = span_id_of(subject.uid, RUN)
    failed = not status.state.succeeded and status.state is not State.CANCELLED
    run = Span(
        f"task {text(subject.task)}",
        root,
        subject.parent.span_id if subject.parent is not None else None,
        created,
        ended,
        _of_run(subject, status, failed=failed),
        failed,
        text(status.message or "") if failed else "",
    )
    queued = _phase(subject, "queued", "queued", root, created, _within(first or ended, created, ended))
    return (run, *queued, *_attempts(subject, status, root, created, ended))


def _created(subject: Subject, latest: datetime) -> datetime:
    """The API server keeps whole seconds: the latest moment that this may be, so that no wait is shown which was none.

    A time with a fraction is of this process, and exact.
    """
    created = subject.created_at
    return created if created.microsecond else min(created + _ALMOST_A_SECOND, max(created, latest))


def _attempts(subject: Subject, status: Status, root: int, created: datetime, ended: datetime) -> Iterator[Span]:
    before: Attempt | None = None
    at = created
    for attempt in status.attempts:
        recorded = _within(attempt.recorded_at or at, at, ended)
        if before is not None:
            part = f"retry delay/{attempt.number}"
            yield from _phase(subject, "retry delay", part, root, at, recorded)
        over = _within(attempt.finished_at or ended, recorded, ended)
        yield from _attempt(subject, attempt, root, recorded, over)
        before, at = attempt, over


def _attempt(subject: Subject, attempt: Attempt, root: int, recorded: datetime, over: datetime) -> Iterator[Span]:
    part = attempt_part(attempt.number)
    own = span_id_of(subject.uid, part)
    failed = attempt.outcome not in (None, Ended.COMPLETED, Ended.CANCELLED)
    description = text(attempt.message or "") if failed else ""
    yield Span("attempt", own, root, recorded, over, _of_attempt(subject, attempt, failed=failed), failed, description)
    started = over if attempt.started_at is None else _within(attempt.started_at, recorded, over)
    yield from _phase(subject, "starting", f"{part}/starting", own, recorded, started)
    if attempt.started_at is not None:
        yield from _phase(subject, "running", f"{part}/running", own, started, over)


def _phase(subject: Subject, name: str, part: str, parent: int, start: datetime, end: datetime) -> Iterator[Span]:
    """A phase that took no time is no span."""
    if end > start:
        yield Span(name, span_id_of(subject.uid, part), parent, start, end, {})


def _within(moment: datetime, earliest: datetime, latest: datetime) -> datetime:
    return max(earliest, min(moment, latest))


def _of_run(subject: Subject, status: Status, *, failed: bool) -> dict[str, Attribute]:
    cache = status.cache
    return _set(
        {
            "podtask.task_run.name": subject.name,
            "podtask.task_run.uid": subject.uid,
            "podtask.task_run.state": str(status.state),
            "podtask.task_run.attempts": status.attempts_total,
            "podtask.task.name": subject.task,
            "podtask.flow_run.id": subject.flow_run,
            "podtask.flow.name": subject.flow,
            "podtask.cache.outcome": str(cache.outcome) if cache and cache.outcome is not CacheOutcome.OFF else "",
            "k8s.namespace.name": subject.namespace,
            "error.type": (status.error.type if status.error else str(status.reason or "")) if failed else "",
        }
    )


def _of_attempt(subject: Subject, attempt: Attempt, *, failed: bool) -> dict[str, Attribute]:
    pod: dict[str, Attribute | None] = {}
    if subject.namespace:
        pod = {
            "k8s.namespace.name": subject.namespace,
            "k8s.pod.name": pod_name(subject.name, attempt),
            "k8s.pod.uid": attempt.pod_uid,
            "k8s.node.name": attempt.node,
        }
    return _set(
        {
            "podtask.attempt.number": attempt.number,
            "podtask.attempt.cause": str(attempt.cause),
            "podtask.attempt.outcome": str(attempt.outcome) if attempt.outcome is not None else "",
            "error.type": str(attempt.reason or attempt.outcome) if failed else "",
            "process.exit.code": attempt.exit_code,
            **pod,
        }
    )


def _set(attributes: Mapping[str, Attribute | None]) -> dict[str, Attribute]:
    """Those that have a value."""
    bounded = {name: text(value) if isinstance(value, str) else value for name, value in attributes.items()}
    return {name: value for name, value in bounded.items() if value is not None and value != ""}


def text(value: str) -> str:
    """One line of bounded length that every receiver takes."""
    cut = value[:TEXT_LIMIT]
    return "".join(sign if sign.isprintable() else " " for sign in cut).strip()
