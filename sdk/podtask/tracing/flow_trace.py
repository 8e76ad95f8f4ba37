"""The spans of one flow run: its own, one for the submission of each call, and of backends in this process the rest.

    flow hello
    └─ submit greet            until the backend has taken the call
       └─ task greet …         written by the operator, or here when a backend of this process is done with it

The context of `submit` travels in the TaskRun, so that all of it is one trace. Nothing is written twice: `flow` and
`submit` are written by the driver, `task` and what is below it by whoever decides about the attempts.
Imports OpenTelemetry. Before: `podtask.tracing.switch`. Pure part: `podtask.core.tracing`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, get_current_span
from opentelemetry.trace.propagation import set_span_in_context

from podtask.core import clock
from podtask.core.tracing.context import TraceContext, read
from podtask.core.tracing.spans import Subject, spans_of, text
from podtask_runner.tracing import ENV_TRACEPARENT, context_of

if TYPE_CHECKING:
    from podtask.context import FlowRunInfo
    from podtask.core.api.status import Status as TaskRunStatus
    from podtask.core.tracing.writer import SpanWriter
    from podtask.model.task_run import TaskRun
    from podtask.states import State


class FlowTrace:
    """One flow run. Used by the threads that submit, and by those that bring news of a run."""

    def __init__(self, writer: SpanWriter, info: FlowRunInfo, around: FlowTrace | None) -> None:
        self._writer = writer
        attributes = {
            "podtask.flow.name": text(info.flow_name),
            "podtask.flow_run.id": info.id,
            "podtask.flow_run.name": text(info.name),
        }
        within = _surroundings(around)
        self._span = writer.tracer.start_span(f"flow {text(info.flow_name)}", within, attributes=attributes)
        self._context = set_span_in_context(self._span, within)
        self._submitted: dict[str, datetime] = {}
        """When runs that have not ended were submitted, by their ids."""

    @contextmanager
    def current(self) -> Iterator[None]:
        """While the flow run lasts. The span ends with it, and says what ended it where that is no end of a flow."""
        token = attach(self._context)
        try:
            yield
        except BaseException as error:
            self._span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            detach(token)
            self._span.end()

    def settled(self, state: State[object]) -> None:
        """How the flow run ended."""
        self._span.set_attribute("podtask.flow_run.state", state.name)
        if not state.is_completed() and not state.is_cancelled():
            self._span.set_status(Status(StatusCode.ERROR, text(state.message or "")))

    def submitting(self, submit: Callable[[TaskRun], None]) -> Callable[[TaskRun], None]:
        """The same with a span around it, whose context the run carries from then on."""

        def traced(run: TaskRun) -> None:
            # A thread that the flow's code has started has no context; one that has a span keeps it.
            around = get_current() if _valid(get_current_span()) else self._context
            attributes = {"podtask.task_run.name": run.id, "podtask.task.name": text(run.task.name)}
            name = f"submit {text(run.task.name)}"
            with self._writer.tracer.start_as_current_span(name, around, SpanKind.PRODUCER, attributes) as span:
                self._submitted[run.id] = clock.now()
                run.traceparent = _named(span).traceparent
                submit(run)

        return traced

    def news(self, run: TaskRun, before: TaskRunStatus, after: TaskRunStatus) -> None:  # noqa: ARG002 - a listener
        """Of a backend in this process: the spans of a run that has ended."""
        if after.finished_at is None or run.traceparent is None:
            return
        subject = Subject(
            uid=run.uid or run.id,
            name=run.id,
            task=run.task.name,
            created_at=self._submitted.pop(run.id, after.finished_at),
            parent=read(run.traceparent),
            flow_run=run.flow.id,
            flow=run.flow.flow_name,
        )
        self._writer.write(subject, spans_of(subject, after))


def _surroundings(around: FlowTrace | None) -> Context:
    """Where a flow run belongs: below the user's span, the flow run around it, or what started this process."""
    if _valid(get_current_span()):
        return get_current()
    if around is not None:
        return around._context  # noqa: SLF001 - of the same class
    outer = read(os.environ.get(ENV_TRACEPARENT))
    return get_current() if outer is None else context_of(outer.traceparent)


def _valid(span: Span) -> bool:
    return span.get_span_context().is_valid


def _named(span: Span) -> TraceContext:
    context = span.get_span_context()
    return TraceContext(context.trace_id, context.span_id, context.trace_flags.sampled)
