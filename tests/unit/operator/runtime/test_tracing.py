"""The queue of spans is bounded, counts what becomes of each, and never holds anybody up; and when there is one."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from datetime import datetime, timezone

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from tests.support.otlp import receiver

from podtask.core.api.names import State
from podtask.core.api.status import Status
from podtask.core.tracing.spans import Subject
from podtask_operator.runtime import metrics
from podtask_operator.runtime.span_queue import SpanQueue
from podtask_operator.runtime.tracing import of_environment

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
RUN = Subject("uid-1", "hello", "hello", NOW)
ENDED = Status(State.COMPLETED, finished_at=NOW)


def counted() -> dict[str, float]:
    return {outcome: metrics.SPANS.labels(outcome)._value.get() for outcome in ("exported", "failed", "dropped")}


class Gate(SpanExporter):
    """Exports nothing before it is opened."""

    def __init__(self, result: SpanExportResult = SpanExportResult.SUCCESS) -> None:
        self.open, self.result = threading.Event(), result

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.open.wait()
        if self.result is SpanExportResult.FAILURE:
            raise OSError("no collector")
        return self.result


@pytest.mark.parametrize(
    ("result", "outcome"), [(SpanExportResult.SUCCESS, "exported"), (SpanExportResult.FAILURE, "failed")]
)
def test_what_finds_the_queue_full_is_dropped_and_everything_is_counted(
    result: SpanExportResult, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    gate, before = Gate(result), counted()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SpanQueue(gate))
    tracer = provider.get_tracer("test")
    for _ in range(10):  # comes back although nothing is exported
        tracer.start_span("one").end()
    gate.open.set()
    provider.force_flush()
    changed = {name: value - before[name] for name, value in counted().items()}
    assert changed == {"exported": 0, "failed": 0, outcome: 4, "dropped": 6}
    tracer.start_span("room again").end()
    provider.shutdown()
    assert counted()[outcome] - before[outcome] == 5


@pytest.mark.parametrize("text", ["", "0", "-1", "many", "9" * 20])
def test_a_size_that_is_none_is_the_default(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", text)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1000")
    gate = Gate()
    gate.open.set()
    queue = SpanQueue(gate)
    assert queue._limit == 2048
    queue.shutdown()


def test_off_without_the_standard_variables() -> None:
    assert of_environment({}).attempt("uid-1", 1, None) is None


@pytest.mark.parametrize(
    "mistake", [{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}]
)
def test_a_mistake_in_the_variables_costs_the_traces(mistake: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    traces = of_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", **mistake})
    assert traces.attempt("uid-1", 1, None) is None
    assert "http/protobuf" in caplog.text


def test_spans_leave_by_otlp_at_the_end_of_the_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with receiver() as there, caplog.at_level(logging.WARNING):
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        traces = of_environment(environment)
        traces.serving(NOW)
        traces.ended(RUN, ENDED)
        asyncio.run(traces.stop())
        (span,) = there.until(bool)
        assert (span.service, span.scope, span.name) == ("podtask-operator", "podtask.task_run", "task hello")
        assert span.start == span.end == int(NOW.timestamp()) * 1_000_000_000
    assert caplog.text == ""
