"""flow/NAME in the commands that steer, wait for, watch, retry, and read logs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.sdk.cli.apiserver import Refuse
from tests.unit.sdk.cli.conftest import Terminal
from tests.unit.sdk.cli.flow_objects import ID, INNER, flow, task_run
from tests.unit.sdk.cli.runs import run

from podtask.cli.flows import steer


def test_cancel_writes_one_field_of_one_object(etl: Terminal) -> None:
    said = etl("cancel flow/7777")
    assert (said.status, said.out) == (0, "flowrun.podtask.dev/7777 cancelled\n")
    ((verb, _, body),) = etl.cluster.written()
    assert (verb, body) == ("PATCH", {"spec": {"cancel": True}})
    assert "has ended before (Failed)" in etl(f"cancel flow/{ID}").out
    assert len(etl.cluster.written()) == 1


def test_cancel_takes_flow_runs_and_task_runs_together(etl: Terminal) -> None:
    etl.cluster.add(task_run("alive-1", "Running"))
    said = etl("cancel flow/7777 ptr/alive-1")
    assert said.out.splitlines() == ["flowrun.podtask.dev/7777 cancelled", "taskrun.podtask.dev/alive-1 cancelled"]


def test_delete_removes_the_task_runs_first_and_all_of_them(etl: Terminal) -> None:
    said = etl("delete flow/etl-6f0ceff0")
    assert said.out == f"flowrun.podtask.dev/{ID} deleted, with 4 task runs\n"
    assert {name for _, name in etl.cluster.runs} == {"beside-1"}
    assert ("team", ID) not in etl.cluster.flow_runs.objects
    assert [verb for verb, *_ in etl.cluster.written()] == ["DELETE", "DELETE"]


def test_without_the_right_to_delete_many_the_garbage_collector_does_it(etl: Terminal) -> None:
    etl.cluster.refuse["delete taskruns"] = Refuse(403, "Forbidden", "no")
    said = etl(f"delete flow/{ID}")
    assert said.status == 0
    assert ("team", ID) not in etl.cluster.flow_runs.objects


@pytest.mark.parametrize(
    ("state", "status"), [("Completed", 0), ("Failed", 10), ("Crashed", 11), ("TimedOut", 12), ("Cancelled", 13)]
)
def test_wait_answers_with_the_outcome(podtask: Terminal, state: str, status: int) -> None:
    podtask.cluster.flow_runs.add(flow())
    real = podtask.cluster.flow_runs.answer

    def answer(method: str, path: Any, query: Any, body: Any) -> Any:
        if query.get("watch"):
            podtask.cluster.flow_runs.change(ID, {"status": {"state": state, "duration": "9s", "message": "so it is"}})
        return real(method, path, query, body)

    podtask.cluster.flow_runs.answer = answer  # type: ignore[method-assign]
    said = podtask("wait flow/@latest")
    assert (said.status, said.out) == (status, f"{ID} {state} after 9s\n")
    assert said.err == ("" if state == "Completed" else "podtask: etl-6f0ceff0: so it is\n")


def test_wait_has_a_timeout_and_notices_a_deletion(podtask: Terminal) -> None:
    podtask.cluster.flow_runs.add(flow())
    said = podtask(f"wait flow/{ID} --timeout 0s")
    assert (said.status, said.err) == (4, "podtask: Time is up; flow run 'etl-6f0ceff0' goes on.\n")
    real = podtask.cluster.flow_runs.answer

    def answer(method: str, path: Any, query: Any, body: Any) -> Any:
        if query.get("watch"):
            podtask.cluster.flow_runs.remove(ID)
        return real(method, path, query, body)

    podtask.cluster.flow_runs.answer = answer  # type: ignore[method-assign]
    said = podtask(f"wait flow/{ID}")
    assert (said.status, said.err) == (3, "podtask: Flow run 'etl-6f0ceff0' was deleted before it ended.\n")


def test_watch_shows_task_runs_until_the_flow_has_ended(podtask: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steer, "LOOK_SECONDS", 0.0)
    podtask.cluster.flow_runs.add(flow())
    podtask.cluster.add(task_run("load-1", "Running"))
    real = podtask.cluster.flow_runs.answer
    lists: list[int] = []

    def answer(method: str, path: Any, query: Any, body: Any) -> Any:
        lists.append(1)
        if len(lists) == 4:
            podtask.cluster.add(task_run("load-1", "Completed"), task_run("store-1", "Completed"))
            podtask.cluster.flow_runs.change(ID, {"status": {"state": "Completed"}})
        return real(method, path, query, body)

    podtask.cluster.flow_runs.answer = answer  # type: ignore[method-assign]
    said = podtask(f"watch flow/{ID}")
    assert said.status == 0
    assert said.out.splitlines() == ["load-1 Running", "load-1 Completed", "store-1 Completed", f"{ID} Completed"]


def test_retry_deletes_what_did_not_succeed_and_says_how_to_go_on(etl: Terminal) -> None:
    etl.cluster.flow_runs.change(ID, {"spec": {"cancel": True}})
    said = etl(f"retry flow/{ID}")
    assert said.out == f"flowrun.podtask.dev/{ID}: 2 task runs deleted, 2 kept\n"
    assert said.err == ("Next: start the program again on laptop: PODTASK_FLOW_RUN_ID='nightly 1' python etl.py\n")
    assert {name for _, name in etl.cluster.runs} == {"load-1", "inside-1", "beside-1"}
    assert etl.cluster.flow_runs.objects["team", ID]["spec"]["cancel"] is False


def test_retry_starts_the_driver_in_the_cluster_under_its_name(etl: Terminal) -> None:
    etl.cluster.flow_runs.change(ID, {"spec": {"driver": {"taskRun": "drive-1"}}})
    etl.cluster.add(run("drive-1", "Failed", labels={"podtask.dev/flow": "etl"}))
    said = etl(f"retry flow/{ID}")
    assert said.out.splitlines()[-1] == f"taskrun.podtask.dev/drive-1 created, drives {ID}"
    made = etl.cluster.runs["team", "drive-1"]
    assert "status" not in made
    assert made["spec"]["task"] == run("drive-1", "Failed")["spec"]["task"]


@pytest.mark.parametrize(
    ("name", "status", "sentence"),
    [
        (INNER, 1, f"is a subflow; retry the flow run around it: podtask retry flow/{ID}"),
        ("alive", 1, "still runs. Cancel it first: podtask cancel flow/alive"),
        ("done", 0, "has completed, so there is nothing to retry"),
    ],
)
def test_what_is_not_retried(etl: Terminal, name: str, status: int, sentence: str) -> None:
    etl.cluster.flow_runs.add(flow("alive"), flow("done", status={"state": "Completed"}))
    said = etl(f"retry flow/{name}")
    assert (said.status, sentence in said.err) == (status, True), said.err
    assert etl.cluster.written() == []


def test_logs_of_a_flow_run_are_those_of_its_tree(etl: Terminal) -> None:
    for name in ("load-1", "clean-1", "inside-1", "beside-1"):
        keys = etl.keys(f"uid-{name}")
        etl.store.put(f"{keys.log}000001", f"{name} says so\n".encode())
    said = etl(f"logs flow/{ID}")
    assert said.out.splitlines() == [f"[{name}/1] {name} says so" for name in ("clean-1", "inside-1", "load-1")]


def test_a_flow_run_without_task_runs_has_no_logs(etl: Terminal) -> None:
    said = etl("logs flow/7777")
    assert (said.status, said.err) == (3, "podtask: Flow run 'other-7777' has no task runs.\n")
