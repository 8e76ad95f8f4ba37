"""The queue between the operator's loop and the thread that exports: bounded, and every span's fate is counted.

OpenTelemetry's processor drops what is older where its queue is full, and says so in its log only. Here nothing reaches
a full queue. Imports OpenTelemetry. Before: `tracing`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from podtask_operator.runtime import metrics

LIMIT: Final = 2048
"""Spans, as `OTEL_BSP_MAX_QUEUE_SIZE` has it where nothing is said."""


class SpanQueue(BatchSpanProcessor):
    """What does not fit is dropped at once."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._limit = _limit(os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE"))
        self._lock = threading.Lock()
        self._taken = 0
        self._counted = _Counted(exporter)
        super().__init__(self._counted, max_queue_size=self._limit, max_export_batch_size=min(512, self._limit))

    def on_end(self, span: ReadableSpan) -> None:
        """A span is to be exported. Never blocks."""
        with self._lock:
            full = self._taken - self._counted.done >= self._limit
            self._taken += not full
        if full:
            metrics.SPANS.labels("dropped").inc()
        else:
            super().on_end(span)


class _Counted(SpanExporter):
    """Counts what became of a batch."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.done = 0
        """Spans that have left the queue."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Called by one thread at a time."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self.done += len(spans)
            metrics.SPANS.labels("exported" if result is SpanExportResult.SUCCESS else "failed").inc(len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _limit(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and 0 < int(text) <= 1_000_000 else LIMIT
