"""Retry by hand: names, what the repeat keeps, what it leaves behind, and that it is a valid spec."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from podtask.core.api.names import LABEL_FLOW_RUN, LABEL_RETRY_OF, NAME_LIMIT
from podtask.core.api.resubmit import NotFinished, repeat, repeat_name
from podtask.core.api.spec import TaskRunSpec

LONG = "a" * NAME_LIMIT


def task_run(state: str = "Failed", *, name: str = "hello", **spec: Any) -> dict[str, Any]:
    ended = {} if state in ("Running", "") else {"finishedAt": "2026-01-02T03:04:05.000000Z"}
    return {
        "apiVersion": "podtask.dev/v1alpha1",
        "kind": "TaskRun",
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": "u1",
            "resourceVersion": "7",
            "labels": {LABEL_FLOW_RUN: "f1", "app.kubernetes.io/instance": "argo", "app": "etl"},
            "annotations": {"podtask.dev/run-name": "abc", "argocd.argoproj.io/tracking-id": "x"},
            "ownerReferences": [{"uid": "u0"}],
        },
        "spec": {"task": {"source": "def main(): ..."}, "retries": 2, **spec},
        "status": {"state": state, **ended} if state else {},
    }


@pytest.mark.parametrize(
    ("name", "repeated", "taken", "then"),
    [
        ("hello", False, (), "hello-r2"),
        ("hello-r2", True, (), "hello-r3"),
        ("hello-r9", True, (), "hello-r10"),
        ("hello", False, ("hello-r2", "hello-r3"), "hello-r4"),
        ("model-r2", False, (), "model-r2-r2"),  # the -r2 is the user's own
        ("hello-r02", True, (), "hello-r02-r2"),
        (LONG, False, (), "a" * 49 + "-r2"),
        ("a" * 49 + "-r9", True, (), "a" * 48 + "-r10"),
        ("a" * 48 + "-.bb", False, (), "a" * 48 + "-r2"),
        (LONG, False, ("a" * 49 + "-r2",), "a" * 49 + "-r3"),
    ],
)
def test_the_name_counts_on_and_fits(name: str, repeated: bool, taken: tuple[str, ...], then: str) -> None:
    assert repeat_name(name, repeated=repeated, taken=taken) == then
    assert len(then) <= NAME_LIMIT


def test_the_repeat_asks_for_the_same_and_names_the_old_run() -> None:
    client = {"callDigest": "abc"}
    old = task_run(
        podTemplate={"labels": {"a": "b"}}, suspend=True, cancel=True, ttlSecondsAfterFinished=60, client=client
    )
    before = copy.deepcopy(old)
    new = repeat(old)
    assert new == {
        "apiVersion": "podtask.dev/v1alpha1",
        "kind": "TaskRun",
        "metadata": {
            "name": "hello-r2",
            "namespace": "team",
            "labels": {LABEL_FLOW_RUN: "f1", "app": "etl", LABEL_RETRY_OF: "hello"},
        },
        "spec": {
            "task": {"source": "def main(): ..."},
            "retries": 2,
            "podTemplate": {"labels": {"a": "b"}},
            "ttlSecondsAfterFinished": 60,
        },
    }
    assert old == before
    TaskRunSpec.model_validate(new["spec"])


def test_a_repeat_belongs_to_the_flow_run_of_the_old_run_and_to_nothing_else() -> None:
    """It is cancelled and deleted with the flow run; an owner of another kind made the old run, and not this one."""
    flow_run = {"apiVersion": "podtask.dev/v1alpha1", "kind": "FlowRun", "name": "f1", "uid": "u9", "controller": False}
    old = task_run()
    old["metadata"]["ownerReferences"] = [{"kind": "CronJob", "uid": "u0"}, flow_run]
    assert repeat(old)["metadata"]["ownerReferences"] == [flow_run]


def test_a_repeat_of_a_repeat_names_the_last_one() -> None:
    second = repeat(task_run())
    second["status"] = {"state": "Cancelled", "finishedAt": "2026-01-02T03:04:05.000000Z"}
    third = repeat(second, taken=("hello", "hello-r2"))
    assert (third["metadata"]["name"], third["metadata"]["labels"][LABEL_RETRY_OF]) == ("hello-r3", "hello-r2")


@pytest.mark.parametrize(
    ("state", "cache", "then"),
    [
        ("Completed", {}, {"refresh": True}),
        ("Cached", {"key": "k"}, {"key": "k", "refresh": True}),
        ("Failed", {"key": "k"}, {"key": "k"}),
        ("Completed", None, None),
    ],
)
def test_only_a_run_that_has_a_result_ignores_its_own_entry(state: str, cache: Any, then: Any) -> None:
    spec = {} if cache is None else {"cache": cache}
    assert repeat(task_run(state, **spec))["spec"].get("cache") == then


def test_upstreams_that_were_repeated_are_taken_instead() -> None:
    upstream = [{"taskRun": "a"}, {"taskRun": "b"}, {"taskRun": "a", "parameter": "x"}, {"taskRun": "c-r2", "ref": "c"}]
    needs = {"upstream": upstream, "waitFor": [{"taskRun": "a"}]}
    new = repeat(task_run("NotReady", **needs), upstreams={"a": "a-r2", "c-r2": "c-r3"})
    assert new["spec"]["upstream"] == [
        {"taskRun": "a-r2", "ref": "a"},  # the pickled inputs know the name of the first one
        {"taskRun": "b"},
        {"taskRun": "a-r2", "parameter": "x"},
        {"taskRun": "c-r3", "ref": "c"},
    ]
    assert new["spec"]["waitFor"] == [{"taskRun": "a-r2"}]


def test_a_repeat_takes_the_runs_that_have_the_names_by_now() -> None:
    needs = {
        "upstream": [{"taskRun": "a", "uid": "u-a"}, {"taskRun": "b", "uid": "u-b"}],
        "waitFor": [{"taskRun": "b", "uid": "u-b", "allowFailure": True}, {"taskRun": "a", "uid": "u-a"}],
    }
    old = task_run("NotReady", **needs)
    before = copy.deepcopy(old)
    new = repeat(old, upstreams={"a": "a-r2"})["spec"]
    assert new["upstream"] == [{"taskRun": "a-r2", "ref": "a"}, {"taskRun": "b"}]
    assert new["waitFor"] == [{"taskRun": "b", "allowFailure": True}, {"taskRun": "a-r2"}]
    assert old == before


@pytest.mark.parametrize(("state", "told"), [("Running", "Running"), ("", "Pending")])
def test_a_run_that_is_under_way_is_not_repeated(state: str, told: str) -> None:
    with pytest.raises(NotFinished, match=rf"'hello' has not ended \(it is {told}\): wait for its end, or cancel"):
        repeat(task_run(state))


def test_the_flow_run_stays_the_owner_and_nobody_else_does() -> None:
    flow_run = {"apiVersion": "podtask.dev/v1alpha1", "kind": "FlowRun", "name": "f", "uid": "u", "controller": False}
    owners = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "v"}, flow_run]
    old = {
        "metadata": {"name": "hello", "ownerReferences": owners},
        "spec": {"task": {"source": "x"}},
        "status": {"state": "Failed", "finishedAt": "2026-01-02T03:04:05Z"},
    }
    assert repeat(old)["metadata"]["ownerReferences"] == [flow_run]
