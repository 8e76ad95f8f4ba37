"""Batches as TaskRuns: what is posted, what items know of the end, and what goes to tasks that need an item."""

from __future__ import annotations

import base64
import queue
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.sdk.backends.kubernetes.harness import ENDED, FLOW_RUN, FakeCluster

from podtask import Task, TaskFuture, allow_failure
from podtask.backends.kubernetes.backend import KubernetesBackend
from podtask.context import FlowRunInfo
from podtask.core.storage.memory import MemoryStore
from podtask.engine.flow_run import FlowRun
from podtask.model.task_run import TaskRun
from podtask.payloads.code import batch as code_of
from podtask.task_runners import ConcurrentTaskRunner
from podtask_runner.attempt.batch import Rules, Running
from podtask_runner.attempt.checkpoint_object import written
from podtask_runner.attempt.execute import completed, raised, value_of
from podtask_runner.attempt.in_memory import MemorySink
from podtask_runner.batch_entries import unpacked
from podtask_runner.pickled_names import stands_for_failure
from podtask_runner.serialization.pickling import loads

SECONDS = 30.0
"""Bound on waiting for another thread; never reached."""
BUDGET = SimpleNamespace(retries_left=0, retries_used=0)


def inverse(x: Any) -> Any:
    return 1 / x


INVERSE = Task(inverse, timeout_seconds=10)


@pytest.fixture
def flow_run(backend: KubernetesBackend) -> FlowRun:
    return FlowRun(FlowRunInfo(FLOW_RUN, "etl-6f0ceff0", "etl"), backend, ConcurrentTaskRunner())


@pytest.fixture
def store(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    made = MemoryStore()
    monkeypatch.setattr("podtask.core.storage.open_store", lambda *_, **__: made)
    cluster.published["team"] = {"bucket": "data"}
    return made


def mapped(flow_run: FlowRun, task: Task[..., Any], *values: Any) -> list[TaskRun]:
    return flow_run.submit_batches(task, [[((value,), {}) for value in values]], None)


def arguments(body: dict[str, Any], **upstream: Any) -> Any:
    """What the pod is called with."""
    args, _ = loads(base64.b64decode(body["spec"]["inputs"]["inline"]), resolve=upstream.__getitem__)
    return args


def attempt(task: Task[..., Any], calls: Any) -> dict[str, Any]:
    """The status after an attempt that was executed with these calls."""
    sink = MemorySink()
    rules, budget = Rules(value_of, completed, raised), BUDGET
    try:
        outcome = completed(Running(code_of(task), rules, budget, None, 1, sink.tell)(*calls), sink)  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001 - as in a pod
        said = raised(error, None, budget, sink, {}).error  # type: ignore[arg-type]
        assert said is not None
        assert sink.error.data is not None
        inline = base64.b64encode(sink.error.data).decode()
        text = f"{said.type}: {said.message}"
        kept = {"type": said.type, "message": said.message, "digest": said.digest, "size": said.size, "attempt": 1}
        return {**ENDED, "state": "Failed", "reason": "Exception", "message": text, "error": {**kept, "inline": inline}}
    found = outcome.result
    assert found is not None
    assert sink.result.data is not None
    inline = base64.b64encode(sink.result.data).decode()
    info = {"digest": found.digest, "size": found.size, "serializer": found.serializer, "attempt": 1, "inline": inline}
    return {**ENDED, "result": info}


def ends(items: list[TaskRun]) -> list[str]:
    assert all(item.wait(SECONDS) for item in items)
    return [item.state.name for item in items]


def test_a_batch_is_one_taskrun_with_checkpoints_and_the_times_of_its_items(
    flow_run: FlowRun, cluster: FakeCluster
) -> None:
    items = mapped(flow_run, INVERSE, 1, 2, 4)
    (body,) = cluster.posted
    spec = body["spec"]
    assert (spec["checkpoints"], spec["timeoutSeconds"]) == (True, 30)
    assert spec["task"]["name"] == f"inverse-{INVERSE.task_key[:8]}-0..2"
    assert [name for _, name, _ in arguments(body)[1]] == [item.name for item in items]
    assert {item.part_of.id for item in items if item.part_of} == {body["metadata"]["name"]}
    cluster.tell(body["metadata"]["name"], attempt(INVERSE, arguments(body)))
    assert ends(items) == ["Completed"] * 3
    assert [item.load() for item in items] == [1.0, 0.5, 0.25]


def test_items_of_a_batch_that_failed_have_their_own_ends(flow_run: FlowRun, cluster: FakeCluster) -> None:
    items = mapped(flow_run, INVERSE, 1, 0)
    (body,) = cluster.posted
    cluster.tell(body["metadata"]["name"], attempt(INVERSE, arguments(body)))
    assert ends(items) == ["Completed", "Failed"]
    assert items[0].load() == 1.0
    with pytest.raises(ZeroDivisionError):
        items[1].load()
    assert (items[1].status.reason, items[1].status.message) == ("Exception", "ZeroDivisionError: division by zero")


def test_the_upstream_of_an_item_may_fail_without_the_batch(flow_run: FlowRun, cluster: FakeCluster) -> None:
    first, second = (flow_run.submit(INVERSE, (x,), {}, None) for x in (1, 2))
    mapped(flow_run, INVERSE, TaskFuture(first), TaskFuture(second))
    body = cluster.posted[2]
    expected = [{"taskRun": run.id, "uid": f"uid-of-{run.id}", "allowFailure": True} for run in (first, second)]
    assert body["spec"]["upstream"] == expected
    calls, _ = arguments(body, **{first.id: "a", second.id: "b"})
    assert [(call[1], call[2]) for call in calls] == [(["a"], ("a",)), (["b"], ("b",))]


def test_what_an_item_gave_goes_to_the_next_task_by_value(
    flow_run: FlowRun, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    items = mapped(flow_run, INVERSE, 2, 0)
    futures = [TaskFuture(item) for item in items]
    one = flow_run.submit(Task(lambda x: x, name="one"), (futures[0],), {}, None)
    lost = flow_run.submit(Task(lambda x: x, name="lost"), (futures[1],), {}, None)
    both = mapped(flow_run, Task(lambda x: x, name="both"), *futures, allow_failure(futures[1]))
    assert len(cluster.posted) == 1  # they wait in the driver
    body, create = cluster.posted[0], cluster.create_run
    monkeypatch.setattr(cluster, "create_run", lambda space, body: (create(space, body), posted.put(body))[0])
    cluster.tell(body["metadata"]["name"], attempt(INVERSE, arguments(body)))
    assert ends([lost]) == ["NotReady"]
    assert both[0].part_of is not None
    late = [posted.get(timeout=SECONDS) for _ in range(2)]
    bodies = {body["metadata"]["name"]: body for body in late}
    assert all("upstream" not in body["spec"] for body in late)
    (value,), _ = loads(base64.b64decode(bodies[one.id]["spec"]["inputs"]["inline"]))
    assert value == 0.5
    calls, _ = arguments(bodies[both[0].part_of.id])
    assert [(call[1], [stands_for_failure(one) for one in call[1]]) for call in calls[:1]] == [([0.5], [False])]
    assert [stands_for_failure(needed) for needed in calls[1][1]] == [True]
    assert (calls[2][1], repr(calls[2][2][0])) == ([], "ZeroDivisionError('division by zero')")


def test_what_was_saved_counts_where_a_batch_ended_without_a_word(
    flow_run: FlowRun, backend: KubernetesBackend, cluster: FakeCluster, store: MemoryStore, tmp_path: Any
) -> None:
    items = mapped(flow_run, INVERSE, 1, 2, 4)
    (body,) = cluster.posted
    name, calls = body["metadata"]["name"], arguments(body)
    attempt_of = Running(code_of(INVERSE), Rules(value_of, completed, raised), BUDGET, None, 1, print)  # type: ignore[arg-type]
    entries = unpacked(attempt_of(*calls))
    for where, saved in (("1/1", entries), ("2/0", {0: entries[0]}), ("2/1", {0: entries[0], 1: entries[1]})):
        written(saved, tmp_path / "saved", int(where[-1]) + 1)
        store.put(f"team/runs/uid-of-{name}/checkpoints/{where}", (tmp_path / "saved").read_bytes())
    error = {"type": "OutOfMemory", "message": "The container used more memory than its limit."}
    status = {**ENDED, "state": "Failed", "reason": "OutOfMemory", "message": error["message"], "attemptsTotal": 2}
    cluster.tell(name, {**status, "error": error})
    assert ends(items) == ["Completed", "Completed", "Failed"]
    assert [item.load() for item in items[:2]] == [1.0, 0.5]
    assert items[2].status.reason == "OutOfMemory"
    assert "is not known" in str(items[2].state.exception())
    assert backend.saved(items[0]) is None  # an item itself has no TaskRun


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda _: b"", lambda data: b"x" * len(data)])
def test_what_is_damaged_counts_for_nothing(
    flow_run: FlowRun, cluster: FakeCluster, store: MemoryStore, tmp_path: Any, damage: Any
) -> None:
    items = mapped(flow_run, INVERSE, 1, 2)
    name = cluster.posted[0]["metadata"]["name"]
    written({0: (b"{}", b"")}, tmp_path / "saved", 1)
    store.put(f"team/runs/uid-of-{name}/checkpoints/1/0", damage((tmp_path / "saved").read_bytes()))
    cluster.tell(name, {**ENDED, "state": "Crashed", "reason": "Crashed", "message": "gone"})
    assert ends(items) == ["Crashed"] * 2


def test_without_a_bucket_the_end_of_the_batch_is_what_is_known(flow_run: FlowRun, cluster: FakeCluster) -> None:
    items = mapped(flow_run, INVERSE, 1, 2)
    cluster.tell(cluster.posted[0]["metadata"]["name"], {**ENDED, "state": "TimedOut", "message": "too long"})
    assert ends(items) == ["TimedOut"] * 2
    assert "What became of this item is not known" in (items[0].status.message or "")


def test_cancelling_the_flow_cancels_batches(flow_run: FlowRun, cluster: FakeCluster) -> None:
    items = mapped(flow_run, INVERSE, 1, 2)
    name = cluster.posted[0]["metadata"]["name"]
    assert [run.id for run in flow_run.unfinished()] == [name]
    flow_run.cancel()
    assert cluster.cancelled == [name]
    cluster.tell(name, {**ENDED, "state": "Cancelled", "reason": "Cancelled", "message": "Cancelled by spec.cancel."})
    assert ends(items) == ["Cancelled"] * 2
