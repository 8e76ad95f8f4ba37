"""Writes spans with ids of our own through a tracer provider of the OpenTelemetry SDK.

    spans (pure) ──> write ──> the provider's sampler, processors and exporter ──OTLP──> collector

Nothing of a provider that is somebody else's is changed: the ids are those of a tracer that only this module has.
Imports OpenTelemetry; imported only where somebody traces.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace import TracerProvider as AnyTracerProvider
from opentelemetry.trace.propagation import set_span_in_context

from podtask.core.tracing.context import TraceContext, of_attempt, trace_id_of
from podtask.core.tracing.spans import Span, Subject

SCOPE: Final = "podtask"
"""The instrumentation scope of spans that begin and end in the process that writes them."""
FIXED: Final = "podtask.task_run"
"""The instrumentation scope of those that are written afterwards. A provider has one tracer for each scope."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


class SpanWriter:
    """One provider."""

    def __init__(self, provider: TracerProvider, fixed: Tracer) -> None:
        self.tracer = provider.get_tracer(SCOPE)
        self._sampler = provider.sampler
        self._fixed = fixed
        if not isinstance(fixed.id_generator, _FixedIds):
            fixed.id_generator = _FixedIds()
        self._ids = fixed.id_generator

    @classmethod
    def of(cls, provider: AnyTracerProvider) -> SpanWriter | None:
        """None where the provider is not the SDK's, or is switched off: nothing else lets a span have a fixed id."""
        fixed = provider.get_tracer(FIXED)
        return cls(provider, fixed) if isinstance(provider, TracerProvider) and isinstance(fixed, Tracer) else None

    def attempt(self, uid: str, number: int, parent: TraceContext | None) -> TraceContext:
        """What the spans inside an attempt are children of. `parent`: of the TaskRun, see `Subject`."""
        trace_id = trace_id_of(uid) if parent is None else parent.trace_id
        return of_attempt(uid, trace_id, number, sampled=self._sampled(trace_id, parent))

    def write(self, subject: Subject, spans: Iterable[Span]) -> None:
        """Give the spans of a TaskRun, parents first, to the provider. A trace that is not sampled is not written."""
        if self._sampled(subject.trace_id, subject.parent):
            for span in spans:
                self._write(subject.trace_id, span)

    def _sampled(self, trace_id: int, parent: TraceContext | None) -> bool:
        """The same answer as often as it is asked: samplers decide by the trace id."""
        if parent is not None:
            return parent.sampled
        return self._sampler.should_sample(Context(), trace_id, SCOPE).decision is Decision.RECORD_AND_SAMPLE

    def _write(self, trace_id: int, span: Span) -> None:
        around = Context()
        if span.parent_id is not None:
            around = set_span_in_context(NonRecordingSpan(_remote(TraceContext(trace_id, span.parent_id))), around)
        with self._ids.fixed(trace_id, span.span_id):
            written = self._fixed.start_span(
                span.name, around, SpanKind.INTERNAL, dict(span.attributes), start_time=nanoseconds(span.start)
            )
        if span.failed:
            written.set_status(Status(StatusCode.ERROR, span.description or None))
        written.end(nanoseconds(span.end))


def nanoseconds(moment: datetime) -> int:
    """Since 1970, exactly."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def _remote(context: TraceContext) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT)
    return SpanContext(context.trace_id, context.span_id, is_remote=True, trace_flags=flags)


class _FixedIds(IdGenerator):
    """The ids of the span that a thread starts now."""

    def __init__(self) -> None:
        self._now = threading.local()
        self._chance = RandomIdGenerator()

    @contextmanager
    def fixed(self, trace_id: int, span_id: int) -> Iterator[None]:
        """For what is started within."""
        self._now.ids = (trace_id, span_id)
        try:
            yield
        finally:
            self._now.ids = None

    def generate_trace_id(self) -> int:
        ids: tuple[int, int] | None = getattr(self._now, "ids", None)
        return self._chance.generate_trace_id() if ids is None else ids[0]

    def generate_span_id(self) -> int:
        ids: tuple[int, int] | None = getattr(self._now, "ids", None)
        return self._chance.generate_span_id() if ids is None else ids[1]
