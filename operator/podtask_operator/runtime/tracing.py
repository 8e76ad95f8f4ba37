"""Spans of TaskRuns that have ended, by OTLP; off unless the standard variables ask for it (`OTEL_EXPORTER_OTLP_…`).

    reconciler: an end was seen ──> ended ──> a bounded queue ──> the exporter's own thread ──OTLP──> collector

Exporting never holds up a reconcile and never fails one: what finds the queue full is dropped and counted
(`metrics.SPANS`). The ids follow from UID and attempt, so that a pod is told the span of its attempt before that is
written, and what is exported once more after a restart is the same span. Pure part: `podtask.core.tracing`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from podtask.core.api.status import Status
from podtask.core.tracing.context import read
from podtask.core.tracing.spans import Subject, spans_of
from podtask_runner import tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from podtask.core.tracing.writer import SpanWriter

log = logging.getLogger(__name__)

SERVICE: Final = "podtask-operator"
"""`service.name`, where `OTEL_SERVICE_NAME` gives no other."""
AGAIN: Final = timedelta(seconds=60)
"""What ended so shortly before this operator began to serve is exported once more: the one before may have died with it
in its queue."""
LAST_SECONDS: Final = 5.0
"""How long the end of the process waits for the collector."""


class Traces:
    """The exporter of an operator, or none."""

    def __init__(self, provider: TracerProvider | None = None, writer: SpanWriter | None = None) -> None:
        self._provider = provider
        self._writer = writer
        self._since: datetime | None = None

    def serving(self, now: datetime) -> None:
        """From now on this operator is the one that exports."""
        self._since = now - AGAIN

    def attempt(self, uid: str, number: int, traceparent: str | None) -> str | None:
        """What a pod is told: the span of its attempt; where this operator exports none, the span of the driver."""
        parent = read(traceparent)
        if self._writer is None:
            return parent.traceparent if parent is not None else None
        return self._writer.attempt(uid, number, parent).traceparent

    def ended(self, subject: Subject, status: Status) -> None:
        """The end of a TaskRun was seen. Never raises."""
        if self._writer is None or status.finished_at is None:
            return
        if self._since is None or status.finished_at < self._since:
            return
        try:
            self._writer.write(subject, spans_of(subject, status))
        except Exception:
            log.exception("the spans of a TaskRun are lost")

    async def stop(self) -> None:
        """The last spans leave, within a bound."""
        if self._provider is not None:
            await asyncio.to_thread(tracing.flush_within, self._provider, LAST_SECONDS)


def of_environment(environ: Mapping[str, str]) -> Traces:
    """As the variables say. A mistake in them costs the traces, never the operator."""
    if not tracing.wanted(environ):
        return Traces()
    refused = tracing.refused_protocol(environ)
    if refused is not None:
        log.warning(refused)
        return Traces()
    try:
        from podtask.core.tracing.writer import SpanWriter
        from podtask_operator.runtime.span_queue import SpanQueue

        provider = tracing.provider_of_environment(SERVICE, SpanQueue)
        return Traces(provider, SpanWriter.of(provider))
    except ImportError:
        log.warning("No spans are exported: OpenTelemetry is missing in this image. Install podtask[operator,otel].")
    except Exception as error:  # noqa: BLE001 - see above
        log.warning("No spans are exported: %s", error)
    return Traces()
