"""What the standard variables ask for, and the bound on the last flush."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from podtask_runner import tracing

URL = "http://collector:4318"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": URL}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": URL}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL, "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL, "OTEL_SDK_DISABLED": "false"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL, "OTEL_TRACES_EXPORTER": "console, otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL, "OTEL_TRACES_EXPORTER": ""}, True),
    ],
)
def test_what_asks_for_traces(environ: dict[str, str], expected: bool) -> None:
    assert tracing.wanted(environ) is expected


def test_another_protocol_is_refused_with_its_cure() -> None:
    assert tracing.refused_protocol({}) is None
    assert tracing.refused_protocol({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}) is None
    special = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}
    assert "4318" in (tracing.refused_protocol(special) or "")


def test_a_flush_that_never_ends_is_left_behind() -> None:
    class Stuck:
        def __init__(self) -> None:
            self.begun, self.go = threading.Event(), threading.Event()

        def force_flush(self) -> None:
            self.begun.set()
            self.go.wait()

    provider: Any = Stuck()
    tracing.flush_within(provider, 0.01)  # comes back although nobody lets the flush go on
    assert provider.begun.wait(60)
    provider.go.set()


def test_a_flush_that_fails_is_no_failure_of_the_attempt() -> None:
    class Broken:
        def force_flush(self) -> None:
            raise OSError("no collector")

    provider: Any = Broken()
    tracing.flush_within(provider, 60)
