"""What is kept of a TaskRun: measured before it is parsed, little while it lives, almost nothing after its end."""

from __future__ import annotations

import gc
import json
import tracemalloc
from typing import Any

import pytest
from tests.support.builders import SETTINGS, pod, run_object

from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.pods.validate import invalid
from podtask_operator.task_runs import held
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun, policy

LISTS = [[0]] * 300_000
"""1.2 MB of JSON, 29 MB parsed."""
SPEC = {
    "task": {"name": "greet", "code": {"inline": "A" * 4000}, "key": "module.greet", "python": "3.11"},
    "inputs": {"inline": "B" * 400},
    "retries": 2,
    "cache": {"components": {"code": "sha256:" + "a" * 64, "arguments": {"x": "c" * 64}}},
    "ttlSecondsAfterFinished": 604800,
}
ATTEMPT = {
    "number": 1,
    "recordedAt": "2026-01-02T03:30:00Z",
    "podUID": "0b9a1c1e-0000-4000-8000-0000000000aa",
    "node": "node-a",
    "startedAt": "2026-01-02T03:30:01Z",
}
CONDITION = {
    "type": "Complete",
    "status": "True",
    "reason": "Completed",
    "message": "The task completed.",
    "lastTransitionTime": "2026-01-02T03:30:03Z",
}
ENDED = {"finishedAt": "2026-01-02T03:30:03Z", "outcome": "Completed", "exitCode": 0, "reason": "Completed"}


def obj(number: int, *, finished: bool) -> dict[str, Any]:
    """A TaskRun of the SDK as a watch tells of it."""
    status: dict[str, Any] = {
        "state": "Completed" if finished else "Running",
        "attempt": "1/3",
        "attemptsTotal": 1,
        "startedAt": "2026-01-02T03:30:00Z",
        "specDigest": "d1:" + "e" * 64,
        "attempts": [{**ATTEMPT, **(ENDED if finished else {})}],
        "cache": {"key": f"sha256:{number:064d}", "outcome": "Miss", "missReason": "There is no entry for this key."},
        "conditions": [CONDITION, CONDITION],
    }
    if finished:
        result = {"digest": f"{number:064d}", "size": 9, "serializer": "json", "value": f'"{number}"', "attempt": 1}
        status |= {"finishedAt": ENDED["finishedAt"], "duration": "3s", "result": result}
    metadata = {
        "uid": f"0b9a1c1e-0000-4000-8000-0000000{number:05d}",
        "resourceVersion": str(1000 + number),
        "labels": {"podtask.dev/flow-run": "hello-097f473f", "podtask.dev/task": "greet"},
        "annotations": {"podtask.dev/run-name": "d" * 64, "other": "x" * 10_000},
        "managedFields": [{"manager": "x", "fieldsV1": {"f:spec": {}}}],
    }
    return run_object(SPEC, name=f"greet-{number:016d}", status=status, metadata=metadata)


def attempt_pod(number: int, *, finished: bool) -> dict[str, Any]:
    run = obj(number, finished=finished)["metadata"]
    owner = {"apiVersion": "podtask.dev/v1alpha1", "kind": "TaskRun", "controller": True}
    metadata = {"name": f"{run['name']}-1", "uid": f"pod-{run['uid']}", "resourceVersion": str(9000 + number)}
    metadata["ownerReferences"] = [{**owner, "name": run["name"], "uid": run["uid"]}]  # type: ignore[assignment]
    state = {"terminated": {"exitCode": 0, "message": "{" + " " * 300 + "}"}} if finished else {"running": {}}
    return pod({"phase": "Succeeded" if finished else "Running"}, state=state, metadata=metadata)


def bytes_held(count: int, *, finished: bool) -> float:
    """Per TaskRun with its pod, by what Python allocates."""
    cluster = ClusterCache()
    texts = [json.dumps([obj(n, finished=finished), attempt_pod(n, finished=finished)]) for n in range(count + 1)]

    def take(text: str) -> None:
        run, of_attempt = json.loads(text)
        key = cluster.put_run(run)
        assert key is not None
        cluster.put_pod(of_attempt)

    take(texts.pop())
    gc.collect()
    tracemalloc.start()
    try:
        for text in texts:
            take(text)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("finished", "most"), [(True, 2048), (False, 6144)])
def test_a_task_run_with_its_pod_takes_few_bytes(finished: bool, most: int) -> None:
    assert bytes_held(300, finished=finished) < most


def test_of_one_that_ended_is_kept_what_others_ask_for() -> None:
    cluster, key = ClusterCache(), Key("team", "hello")
    spec = {
        **SPEC,
        "podCleanup": "Delete",
        "tags": ["gpu"],
        "upstream": [{"taskRun": "up", "ref": "r", "uid": "u"}],
        "client": {"callDigest": "d" * 64},
        "waitFor": [{"taskRun": "before"}, {"taskRun": "up"}],
        "podTemplate": {"terminationGracePeriodSeconds": 120, "annotations": {"a": "b"}},
    }
    result = {"digest": "ab" * 32, "size": 3, "serializer": "json", "value": "[1]", "contentHash": "sha256:1"}
    status = {
        "state": "Completed",
        "finishedAt": ENDED["finishedAt"],
        "attempts": [{**ATTEMPT, **ENDED}],
        "attemptsTotal": 1,
        "result": {**result, "inline": "WzFd"},
        "error": {"type": "E", "message": "x" * 1000},
    }
    cluster.put_run(run_object(spec, status=status))
    run = cluster.runs[key]
    assert run.needs == ("up", "before")
    assert (run.spec.pod_cleanup, run.spec.tags, run.spec.ttl_seconds_after_finished) == ("Delete", ["gpu"], 604800)
    assert policy(run).grace_seconds == 100  # without the part that is the runner's
    assert run.status.result is not None
    assert (run.status.result.value, run.status.result.content_hash) == ("[1]", "sha256:1")
    assert run.status.latest is not None
    assert (run.status.latest.outcome, run.status.attempts_total) == ("Completed", 1)
    assert (run.status.error, run.status.result.inline, run.annotations, run.labels) == (None, None, {}, {})


def test_two_that_ended_alike_share_what_is_kept_of_their_specs() -> None:
    cluster = ClusterCache()
    for number in (1, 2):
        cluster.put_run(obj(number, finished=True))
    one, two = cluster.runs.values()
    assert one.spec_held is two.spec_held


TOO_LARGE: dict[str, dict[str, Any]] = {
    "parts": {"parameters": {"x": LISTS}},
    "parts of a podTemplate": {"podTemplate": {"affinity": LISTS}},
    "text": {"env": [{"name": f"A{n}", "value": "x" * 32768} for n in range(40)]},
    "text of four bytes a character": {"podTemplate": {"labels": {"a": "x" * 900_000 + "\N{GRINNING FACE}" * 9}}},
    "upstreams": {"upstream": [{"taskRun": "x" * 253, "ref": "y" * 253, "parameter": "z" * 250}] * 1400},
}


@pytest.mark.parametrize("spec", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_what_is_too_large_is_neither_parsed_nor_kept(spec: dict[str, Any]) -> None:
    large = run_object({**spec, "suspend": True}, metadata={"annotations": {"a": "b"}}, status={"state": "Pending"})
    raw = json.dumps(large).encode()
    cut = held.bounded(json.loads(raw)) if held.heavy(raw) else json.loads(raw)
    cluster = ClusterCache()
    assert cluster.put_run(cut) == Key("team", "hello")
    run = cluster.runs[Key("team", "hello")]
    assert len(run.spec_held) < 200
    assert run.spec.suspend
    why = invalid(run, SETTINGS)
    assert why is not None
    assert "at most" in why.message or "too many parts" in why.message


def test_a_stub_keeps_the_status_and_the_way_to_delete_it() -> None:
    status = {"state": "Completed", "finishedAt": ENDED["finishedAt"]}
    cut = held.bounded(run_object({"parameters": {"x": LISTS}, "ttlSecondsAfterFinished": 5}, status=status))
    run = held.kept(TaskRun.parse(held.projected(cut)), held.projected(cut))
    assert (run.status.finished, run.spec.ttl_seconds_after_finished) == (True, 5)


def test_what_fits_is_left_as_it_is() -> None:
    whole = run_object({"task": {"code": {"inline": "A" * 87384}, "bundle": {"inline": "A" * 87384}}})
    assert held.bounded(whole) is whole
    assert held.projected(whole)["spec"]["task"]["code"] == {}


def test_the_weight_is_no_less_than_what_python_takes() -> None:
    for value in (LISTS[:50_000], {f"k{n}": n + 1000.5 for n in range(20_000)}, "x" * 99_999 + "\N{GRINNING FACE}"):
        raw = json.dumps(value, ensure_ascii=False).encode()
        tracemalloc.start()
        parsed = json.loads(raw)
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert taken <= held.weight(raw), type(parsed)


def test_of_one_under_way_the_uids_of_its_upstreams_are_kept_and_what_is_the_clients_is_not() -> None:
    cluster, key = ClusterCache(), Key("team", "hello")
    spec = {"upstream": [{"taskRun": "up", "parameter": "x", "uid": "u-1"}], "client": {"callDigest": "d" * 64}}
    cluster.put_run(run_object({**SPEC, **spec}))
    held = cluster.runs[key].spec
    assert [need.uid for need in held.needs] == ["u-1"]
    assert held.client is None
