"""What a call sends is settled at the call: definitions of arguments once for all calls, globals as they were then."""

from __future__ import annotations

import hashlib
import threading
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import pytest
from tests.unit.sdk.backends.kubernetes.harness import FakeCluster, run_of

from podtask import Task, task_input_hash
from podtask.backends.kubernetes.backend import KubernetesBackend
from podtask.core.api.names import State
from podtask.core.api.runner_image import PUBLISHED
from podtask.core.api.status import Status
from podtask.core.gc import Marks
from podtask.core.storage.memory import MemoryStore
from podtask.model.task_run import TaskRun
from podtask.payloads.arguments import bind, prepare
from podtask.payloads.module_policy import policy_of
from podtask_runner.serialization.pickling import loads

RATE = 1
TEXT = "".join(f"{hashlib.sha256(str(n).encode()).hexdigest()}" for n in range(60))
"""Makes the class below some KB that do not shrink."""


@dataclass
class Row:
    """Goes by value, like a class of a script."""

    number: int

    def note(self) -> str:
        return TEXT


def price(row: Any) -> Any:
    return (row.number * RATE, row.note())


def call(backend: KubernetesBackend, task: Task[..., Any], *args: Any, number: str = "0", **options: Any) -> TaskRun:
    run = run_of(task, *args, backend=backend, number=number, **options)
    run.inputs = prepare(task.name, bind(task.signature, args, {}), lambda _: None, policy_of(task).packing())
    backend.submit(run)
    return run


@pytest.fixture
def store(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """A bucket that the cluster publishes, and that can be used from here."""
    made = MemoryStore()
    monkeypatch.setattr("podtask.core.storage.open_store", lambda *_, **__: made)
    cluster.published["team"] = {"bucket": "data", PUBLISHED: "numpy"}
    return made


def test_a_map_over_objects_of_a_script_carries_their_class_once(
    backend: KubernetesBackend, cluster: FakeCluster, store: MemoryStore
) -> None:
    task: Task[..., Any] = Task(price)
    for number in range(40):
        call(backend, task, Row(number), number=str(number))
    inputs = [len(b64decode(body["spec"]["inputs"]["inline"])) for body in cluster.posted]
    assert max(inputs) < 600
    last = cluster.posted[-1]["spec"]["task"]["code"]
    assert cluster.posted[-2]["spec"]["task"]["code"] == last
    assert len(store.get(f"team/blobs/{last['digest']}")) == last["size"] > len(TEXT) / 2
    marks = Marks()
    marks.add_run(cluster.posted[-1])
    assert last["digest"] in marks.digests


def test_arguments_can_be_opened_in_the_driver_without_the_code(
    backend: KubernetesBackend, cluster: FakeCluster
) -> None:
    call(backend, Task(price), Row(3))
    (row,), _ = loads(b64decode(cluster.posted[0]["spec"]["inputs"]["inline"]))
    assert type(row) is Row


def test_a_late_submission_sends_the_globals_of_the_call(
    backend: KubernetesBackend, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    task: Task[..., Any] = Task(price, cache_key_fn=task_input_hash)
    call(backend, task, Row(2), number="0")
    upstream = run_of(Task(price), Row(0), backend=object(), number="up")
    posted = threading.Event()
    create = cluster.create_run

    def noting(namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = create(namespace, body)
        posted.set()
        return answer

    monkeypatch.setattr(cluster, "create_run", noting)
    argument = Row(2)
    late_run = call(backend, task, argument, number="1", wait_for=(upstream,))
    monkeypatch.setitem(globals(), "RATE", 100)
    argument.number = 5
    upstream.report(Status(State.COMPLETED, finished_at=datetime(2026, 1, 2, tzinfo=timezone.utc)))
    assert posted.wait(10), late_run.state
    at_once, late = cluster.posted
    assert late["spec"]["task"]["code"] == at_once["spec"]["task"]["code"]
    assert late["spec"]["cache"] == at_once["spec"]["cache"]
    assert late["spec"]["inputs"] == at_once["spec"]["inputs"]
    digests = [body["spec"]["client"]["callDigest"] for body in cluster.posted]
    assert digests[0] == digests[1]
