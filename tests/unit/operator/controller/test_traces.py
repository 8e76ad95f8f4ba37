"""The operator's part of a trace: what pods are told, and what is exported once a TaskRun has ended."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from tests.support.operator_world import World, reconciling

from podtask.core.api.names import ANNOTATION_TRACEPARENT
from podtask.core.tracing.context import span_id_of, trace_id_of
from podtask.core.tracing.writer import SpanWriter
from podtask_operator.controller.work_queue import Later
from podtask_operator.runtime.tracing import AGAIN, Traces
from podtask_operator.storage.objects import Objects
from podtask_operator.task_runs.trace import subject_of
from podtask_runner.protocol import Outcome, Result, Verdict, dump_outcome

DRIVER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = int(DRIVER[3:35], 16), int(DRIVER[36:52], 16)


class Collector:
    """A provider of the SDK, and what it was given."""

    def __init__(self, **options: Any) -> None:
        self._memory = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, **options)
        self.provider.add_span_processor(SimpleSpanProcessor(self._memory))

    def attach(self, world: World) -> Traces:
        """The world's process exports to it."""
        traces = Traces(self.provider, SpanWriter.of(self.provider))
        traces.serving(world.now)
        world.cluster.ended = lambda run, obj: traces.ended(subject_of(run, obj), run.status)
        world.reconciler._launcher._traces = traces
        return traces

    def names(self) -> list[str]:
        return [span.name for span in self._memory.get_finished_spans()]

    def ids(self) -> list[tuple[int, int, int | None]]:
        """Of trace, span and parent."""
        return [
            (span.context.trace_id, span.context.span_id, span.parent.span_id if span.parent else None)
            for span in self._memory.get_finished_spans()
            if span.context is not None
        ]


def running(world: World) -> None:
    """The watch shows that the pod runs."""
    state = {"running": {"startedAt": "2026-01-02T03:59:59Z"}}
    status = {"phase": "Running", "containerStatuses": [{"name": "task", "state": state}]}
    world.cluster.put_pod(world.api.touch_pod("hello-1", status))


def stores(world: World) -> None:
    """The runner stores its result."""
    result = Result(hashlib.sha256(b"1").hexdigest(), 1, "json", value="1")
    key = Objects(world.store, "prefix").bucket("team").attempt("uid-hello", 1).outcome
    world.store.put(key, dump_outcome(Outcome(Verdict.COMPLETED, result=result)))


def told(world: World, name: str) -> str | None:
    """What the grants of the first attempt say."""
    (secret,) = world.api.secrets.values()
    (data,) = secret["data"].values()
    said: dict[str, Any] = json.loads(base64.b64decode(data))
    assert said["task_run"] == name
    traceparent: str | None = said.get("traceparent")
    return traceparent


def add(world: World, name: str, traceparent: object, spec: dict[str, Any] | None = None) -> None:
    world.api.add(name, spec)
    world.api.runs[name]["metadata"]["annotations"] = {ANNOTATION_TRACEPARENT: traceparent}
    world.cluster.put_run(world.api.runs[name])


@reconciling
async def test_a_pod_is_told_the_span_of_its_attempt_which_is_exported_at_the_end(world: World) -> None:
    collector = Collector()
    collector.attach(world)
    add(world, "hello", DRIVER)
    await world.look("hello")
    await world.look("hello")
    attempt = span_id_of("uid-hello", "attempt/1")
    assert told(world, "hello") == f"00-{TRACE:032x}-{attempt:016x}-01"
    assert collector.names() == []
    running(world)
    await world.look("hello")
    stores(world)
    world.now += timedelta(seconds=5)
    world.ring("hello")
    await world.look("hello")
    assert world.status("hello")["state"] == "Completed"
    assert collector.names()[0] == "task hello"
    assert set(collector.names()) == {"task hello", "queued", "attempt", "running"}  # the container began in no time
    ids = collector.ids()
    assert {trace for trace, _, _ in ids} == {TRACE}
    assert ids[0][2] == SPAN
    assert (TRACE, attempt, ids[0][1]) in ids
    assert len(set(ids)) == len(ids)


@reconciling
async def test_an_operator_without_traces_hands_on_what_the_driver_says(world: World) -> None:
    add(world, "hello", DRIVER)
    await world.look("hello")
    await world.look("hello")
    assert told(world, "hello") == DRIVER


@pytest.mark.parametrize("traceparent", [None, 7, {"a": "b"}, "x" * 100_000, DRIVER.upper(), DRIVER + "\n"])
def test_an_annotation_that_is_no_context_makes_a_trace_of_its_own(traceparent: object) -> None:
    world, collector = World(), Collector()
    collector.attach(world)
    world.api.add("hello", {"cancel": True})
    world.api.runs["hello"]["metadata"]["annotations"] = {ANNOTATION_TRACEPARENT: traceparent}
    world.api.runs["hello"]["status"] = ended(world)
    world.cluster.put_run(world.api.runs["hello"])
    assert collector.ids()[0] == (trace_id_of("uid-hello"), span_id_of("uid-hello", "task-run"), None)


def ended(world: World, seconds: float = 0) -> dict[str, Any]:
    """A status of so many seconds ago."""
    return {"state": "Cancelled", "finishedAt": (world.now - timedelta(seconds=seconds)).isoformat()}


@reconciling
async def test_an_end_whose_answer_was_lost_is_exported_when_the_watch_shows_it_and_once(world: World) -> None:
    collector = Collector()
    collector.attach(world)
    world.add("hello", {"cancel": True})
    world.api.lost.add("status")
    with pytest.raises(Later):
        await world.look("hello")
    assert collector.names() == []
    for _ in range(2):
        world.cluster.put_run(world.api.runs["hello"])
        await world.look("hello")
    assert collector.names().count("task hello") == 1


@reconciling
async def test_after_a_restart_the_same_spans_once_more_but_only_of_what_has_just_ended(world: World) -> None:
    collector = Collector()
    collector.attach(world)
    world.add("old", {"cancel": True})
    await world.look("old")
    world.now += AGAIN
    world.add("new", {"cancel": True})
    await world.look("new")
    before = collector.ids()
    world.now += timedelta(seconds=1)
    world.start()
    collector.attach(world)
    for run in world.api.runs.values():
        world.cluster.put_run(run)
    again = collector.ids()[len(before) :]
    assert again == [each for each in before if each[0] == trace_id_of("uid-new")]
    assert again


@reconciling
async def test_what_is_not_sampled_is_told_to_the_pod_and_exported_nowhere(world: World) -> None:
    collector = Collector(sampler=ALWAYS_OFF)
    traces = collector.attach(world)
    assert (traces.attempt("uid-1", 1, None) or "")[-2:] == "00"
    world.add("hello", {"cancel": True})
    await world.look("hello")
    assert collector.names() == []
    assert (traces.attempt("uid-1", 1, DRIVER[:-1] + "0") or "")[-2:] == "00"


@reconciling
async def test_a_writer_that_fails_costs_the_spans_and_nothing_else(world: World) -> None:
    class Broken:
        def write(self, *_: object) -> None:
            raise OSError("no memory")

    writer: Any = Broken()
    traces = Traces(None, writer)
    traces.serving(world.now)
    world.cluster.ended = lambda run, obj: traces.ended(subject_of(run, obj), run.status)
    world.add("hello", {"cancel": True})
    await world.look("hello")
    assert world.status("hello")["state"] == "Cancelled"
