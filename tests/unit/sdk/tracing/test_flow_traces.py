"""Flows on the backends of this machine, against a receiver of OTLP: one trace, and nothing of it where nobody asks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.otlp import Receiver, receiver

DRIVER = Path(__file__).with_name("traced_driver.py")
OUTER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ATTEMPT = ["starting", "running"]
EXPECTED = sorted(
    [
        "flow outer",
        "flow outer > preparation",
        "flow outer > preparation > submit flaky",
        "flow outer > preparation > submit flaky > task flaky",
        "flow outer > preparation > submit flaky > task flaky > queued",
        *["flow outer > preparation > submit flaky > task flaky > attempt"] * 2,
        *["flow outer > preparation > submit flaky > task flaky > attempt > starting"] * 2,
        *["flow outer > preparation > submit flaky > task flaky > attempt > running"] * 2,
        *["flow outer > preparation > submit flaky > task flaky > attempt > work"] * 2,
        "flow outer > preparation > submit flaky > task flaky > retry delay",
        "flow outer > flow inner",
        "flow outer > flow inner > submit after",
        "flow outer > flow inner > submit after > task after",
        "flow outer > flow inner > submit after > task after > queued",
        "flow outer > flow inner > submit after > task after > attempt",
        "flow outer > flow inner > submit after > task after > attempt > starting",
        "flow outer > flow inner > submit after > task after > attempt > running",
        "flow outer > flow inner > submit after > task after > attempt > async work",
    ]
)


@pytest.fixture
def otlp() -> Iterator[Receiver]:
    with receiver() as there:
        yield there


def driven(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A driver that has ended, and with it every export."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TRACEPARENT"))}
    ours = {
        "PODTASK_HOME": str(tmp_path / "home"),
        "PODTASK_PROGRESS": "off",
        "OTEL_BSP_EXPORT_TIMEOUT": "60000",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "60",
    }
    done = subprocess.run(
        [sys.executable, DRIVER, *arguments],
        env={**kept, **ours, **environment},
        text=True,
        capture_output=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(("backend", "service"), [("local", "podtask-driver"), ("process", "podtask-task")])
def test_a_flow_is_one_trace_down_to_the_users_own_spans(
    backend: str, service: str, tmp_path: Path, otlp: Receiver
) -> None:
    mark = str(tmp_path / "mark")
    driven(tmp_path, "outer", mark, "", PODTASK_BACKEND=backend, OTEL_EXPORTER_OTLP_ENDPOINT=otlp.url)
    assert otlp.tree() == EXPECTED
    assert len({span.trace for span in otlp.spans.values()}) == 1
    assert {span.service for span in otlp.spans.values() if span.scope == "user"} == {"podtask-driver", service}
    assert {span.service for span in otlp.named("work")} == {service}
    (task,) = otlp.named("task flaky")
    assert task.attributes["podtask.task_run.state"] == "Completed"
    assert not task.failed
    first, second = (span for span in otlp.named("attempt") if span.parent == task.id)
    assert [(span.attributes["podtask.attempt.number"], span.failed) for span in (first, second)] == [
        (1, True),
        (2, False),
    ]
    assert "not yet" in first.description
    assert second.attributes["podtask.attempt.cause"] == "Retry"


def test_an_async_flow_with_a_provider_of_the_users_own(tmp_path: Path, otlp: Receiver) -> None:
    driven(tmp_path, "async", "x", "own provider", f"{otlp.url}/v1/traces", PODTASK_BACKEND="local")
    assert otlp.tree() == sorted(
        [
            "flow outer-async",
            "flow outer-async > submit after",
            "flow outer-async > submit after > task after",
            *(f"flow outer-async > submit after > task after > {each}" for each in ("queued", "attempt")),
            *(
                f"flow outer-async > submit after > task after > attempt > {each}"
                for each in ("starting", "running", "async work")
            ),
        ]
    )
    assert {span.service for span in otlp.spans.values()} == {"mine"}


def test_a_flow_joins_the_trace_of_what_started_its_process(tmp_path: Path, otlp: Receiver) -> None:
    environment = {"TRACEPARENT": OUTER, "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url, "OTEL_SERVICE_NAME": "nightly"}
    driven(tmp_path, "async", "x", "", PODTASK_BACKEND="local", **environment)
    (flow,) = otlp.named("flow outer-async")
    assert (flow.trace, flow.parent, flow.service) == (OUTER[3:35], OUTER[36:52], "nightly")


def test_a_trace_that_is_not_sampled_is_exported_nowhere(tmp_path: Path, otlp: Receiver) -> None:
    environment = {"OTEL_TRACES_SAMPLER": "always_off", "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url}
    driven(tmp_path, "outer", str(tmp_path / "mark"), "", PODTASK_BACKEND="process", **environment)
    assert otlp.batches == 0


@pytest.mark.parametrize("backend", ["local", "process"])
def test_off_nothing_of_opentelemetry_is_imported(backend: str, tmp_path: Path) -> None:
    task, driver = driven(tmp_path, "looking", "x", "", PODTASK_BACKEND=backend).stdout.split("] [")
    assert "opentelemetry" not in task
    assert ("podtask_runner.tracing" in task) is (backend == "local")  # only the driver asks whether it traces
    assert driver.strip() == "]"


@pytest.mark.parametrize(
    ("how", "environment", "heard"),
    [
        ("no packages", {}, ""),
        ("", {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "podtask exports no spans"),
    ],
)
def test_a_flow_runs_without_traces_where_they_cannot_be_had(
    how: str, environment: dict[str, str], heard: str, tmp_path: Path, otlp: Receiver
) -> None:
    there = {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url, **environment}
    done = driven(tmp_path, "looking", "x", how, PODTASK_BACKEND="local", **there)
    assert otlp.batches == 0
    assert done.stderr.count("\n") == bool(heard)
    assert heard in done.stderr


def test_a_collector_that_refuses_costs_a_flow_nothing_but_its_spans(tmp_path: Path, otlp: Receiver) -> None:
    otlp.status = 400
    mark = str(tmp_path / "mark")
    done = driven(tmp_path, "outer", mark, "", PODTASK_BACKEND="process", OTEL_EXPORTER_OTLP_ENDPOINT=otlp.url)
    assert done.stdout == "done\n"
    assert otlp.spans == {}
    assert otlp.batches > 0


BATCHED = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from podtask import flow, task

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)


@task
def step(x):
    with trace.get_tracer("mine").start_as_current_span("mine"):
        return x


@flow
def batched():
    return [future.result() for future in step.map([1, 2, 3, 4], batch_size=2)]


batched()
spans = exporter.get_finished_spans()
there = {span.context.span_id for span in spans}
print(*sorted(span.name for span in spans if span.name.startswith(("task", "mine"))), sep=",")
print([span.name for span in spans if span.parent and span.parent.span_id not in there])
"""


def test_a_batch_is_a_task_run_of_the_trace_and_its_items_spans_have_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "batched.py"
    script.write_text(BATCHED)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TRACEPARENT"))}
    done = subprocess.run(
        [sys.executable, script],
        env={**kept, "PODTASK_HOME": str(tmp_path / "home"), "PODTASK_BACKEND": "local", "PODTASK_PROGRESS": "off"},
        text=True,
        capture_output=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["mine,mine,mine,mine,task step,task step", "[]"]
