"""Runs without a flow, and a cluster that does as it is told; neither is a mock of the client library."""

from __future__ import annotations

import hashlib
import json
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from podtask import Task
from podtask.context import FlowRunInfo
from podtask.engine.task_result import load
from podtask.kube.errors import ClusterRefused
from podtask.model.task_run import RunKey, TaskRun
from podtask.payloads.arguments import bind, prepare

FLOW_RUN = "6f0ceff0-3aa5-4c21-bd05-90280060aaf5"
ENDED = {"state": "Completed", "attemptsTotal": 1, "finishedAt": "2026-01-02T03:04:09.500000Z"}
ATTEMPT = {"number": 1, "startedAt": "2026-01-02T03:04:06Z"}


def sum_key(context: Any, parameters: dict[str, Any]) -> str:
    """A key function of a user's."""
    return f"sum-{parameters['x']}"


def no_key(context: Any, parameters: dict[str, Any]) -> str:
    """One that wants no caching."""
    return ""


def broken_key(context: Any, parameters: dict[str, Any]) -> str:
    """One that fails."""
    raise ZeroDivisionError("no key")


def run_of(
    task: Task[..., Any],
    *args: Any,
    backend: Any = None,
    number: str = "0",
    wait_for: tuple[TaskRun, ...] = (),
    tags: frozenset[str] = frozenset(),
    **kwargs: Any,
) -> TaskRun:
    """One call of a task, as a flow makes it."""
    inputs = prepare(task.name, bind(task.signature, args, kwargs), lambda _: None)
    flow = FlowRunInfo(FLOW_RUN, "etl-6f0ceff0", "etl")
    key = RunKey(FLOW_RUN, task.task_key, number)
    may_fail = frozenset(up.id for up in inputs.upstreams) - inputs.must_complete
    return TaskRun(
        key,
        task,
        inputs,
        flow=flow,
        backend=backend,
        load=load,
        wait_for=wait_for,
        may_fail=may_fail,
        tags=tags | task.tags,
    )


def result(value: str) -> dict[str, Any]:
    """A completed status with a small JSON value."""
    digest = hashlib.sha256(value.encode()).hexdigest()
    info = {"digest": digest, "size": len(value), "serializer": "json", "value": value, "attempt": 1}
    return {**ENDED, "result": info}


class FakeCluster:
    """TaskRuns in a dict, events in a queue; what is refused, logged or published is said by the test."""

    namespace = "team"

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.posted: list[dict[str, Any]] = []
        self.refusals: list[Exception] = []
        self.cancelled: list[str] = []
        self.asked: list[str] = []
        self.logs: dict[str, str] = {}
        self.published: dict[str, dict[str, str]] = {}
        self.statuses: dict[str, dict[str, Any]] = {}
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._version = 100

    def create_run(self, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append("POST")
        if self.refusals:
            raise self.refusals.pop(0)
        name = body["metadata"]["name"]
        if name in self.runs:
            raise ClusterRefused(f"{name} already exists", 409, "AlreadyExists")
        self.posted.append(body)
        self.runs[name] = {**body, "metadata": {**body["metadata"], "uid": f"uid-of-{name}", **self._stamp()}}
        if name in self.statuses:
            self.tell(name, self.statuses[name])
        return {**body, "metadata": self.runs[name]["metadata"]}

    def get_run(self, namespace: str, name: str) -> dict[str, Any] | None:
        self.asked.append("GET")
        return self.runs.get(name)

    def cancel_run(self, namespace: str, name: str) -> None:
        self.asked.append("PATCH")
        if self.refusals:
            raise self.refusals.pop(0)
        self.cancelled.append(name)

    def ask(self, *_: Any, **__: Any) -> dict[str, Any]:
        """The list of all."""
        self.asked.append("LIST")
        return {"items": list(self.runs.values()), "metadata": {"resourceVersion": str(self._version)}}

    @contextmanager
    def asking(self, *_: Any, **__: Any) -> Iterator[FakeCluster]:
        """A watch of all."""
        self.asked.append("WATCH")
        yield self

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        """What the watch says."""
        while (event := self._events.get(timeout=30)) is not None:
            yield json.dumps(event).encode() + b"\n"

    def pod_log(self, namespace: str, pod: str, since: str | None, limit_bytes: int, seconds: float) -> str:
        return self.logs.get(pod, "")

    def config_map(self, namespace: str, name: str) -> dict[str, str] | None:
        return self.published.get(namespace)

    def close(self) -> None:
        self._events.put(None)

    def tell(self, name: str, status: dict[str, Any]) -> None:
        """The operator writes a status."""
        obj = self.runs[name]
        self.runs[name] = {**obj, "metadata": {**obj["metadata"], **self._stamp()}, "status": status}
        self._events.put({"type": "MODIFIED", "object": self.runs[name]})

    def _stamp(self) -> dict[str, str]:
        self._version += 1
        return {"resourceVersion": str(self._version), "creationTimestamp": "2026-01-02T03:04:05Z"}
