"""`podtask flows`, and flow/NAME wherever a name is taken."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from tests.unit.sdk.cli.apiserver import Refuse
from tests.unit.sdk.cli.conftest import Terminal
from tests.unit.sdk.cli.runs import run

from podtask.cli.flows import steer
from podtask.cli.flows.flow_run import SeenFlow, clean
from podtask.cli.flows.tree import critical_path, inside
from podtask.inspection.task_run import Seen

ID = "6f0ceff0-3aa5-4c21-bd05-90280060aaf5"
INNER = "0000aaaa-3aa5-4c21-bd05-90280060aaf5"
ENDED = {
    "state": "Failed",
    "message": "1/3 states failed.",
    "tasks": "3/3",
    "startedAt": "2026-01-02T03:04:05Z",
    "finishedAt": "2026-01-02T03:05:10Z",
    "duration": "1m5s",
}
LOST = {"type": "DriverLost", "status": "True", "reason": "HeartbeatMissed", "message": "No sign of life."}


def flow(name: str = ID, *, minute: int = 4, title: str = "etl-6f0ceff0", status: Any = None, **spec: Any) -> Any:
    """A FlowRun of namespace `team`."""
    root = spec["parent"]["name"] if "parent" in spec else name
    meta = {
        "name": name,
        "namespace": "team",
        "uid": f"uid-{name}",
        "creationTimestamp": f"2026-01-02T03:{minute:02}:05Z",
        "resourceVersion": "7",
        "labels": {"podtask.dev/root-flow-run": root},
        "managedFields": [{"manager": "podtask"}],
    }
    driver = {"id": "a", "host": "laptop", "program": "etl.py", "sdkVersion": "0.1.0", "python": "3.11.7"}
    full = {"flow": "etl", "title": title, "driver": driver, "pin": "nightly 1", "tags": ["a", "b"], **spec}
    return {"metadata": meta, "spec": full, "status": {"state": "Running"} if status is None else status}


def task_run(name: str, state: str, flow_run: str = ID, *needs: str, ended: str = "03:05:05", **more: Any) -> Any:
    status = {"finishedAt": f"2026-01-02T{ended}Z", **more} if state != "Running" else more
    spec = {"upstream": [{"taskRun": need} for need in needs]} if needs else {}
    spec["task"] = {"name": name.partition("-")[0], "source": "def main(): pass"}
    return run(name, state, labels={"podtask.dev/flow-run": flow_run}, status=status, spec=spec)


@pytest.fixture
def etl(podtask: Terminal) -> Terminal:
    """A failed flow run of three tasks with a subflow of one, and another flow run."""
    inner = {"parent": {"name": ID, "uid": f"uid-{ID}"}}
    podtask.cluster.flow_runs.add(
        flow(
            status=ENDED,
            parameters=[{"name": "x", "value": "1"}, {"name": "password", "type": "str", "omitted": "Hidden"}],
        ),
        flow(INNER, title="inner-0000aaaa", status={"state": "Completed", "duration": "9s"}, **inner),
        flow("7777", minute=9, title="other-7777", status={"state": "Running", "conditions": [LOST]}),
    )
    podtask.cluster.add(
        task_run("load-1", "Completed", ended="03:04:20"),
        task_run("clean-1", "Failed", ID, "load-1", ended="03:04:50"),
        task_run("store-1", "NotReady", ID, "clean-1", ended="03:04:51"),
        task_run("inside-1", "Completed", INNER),
        task_run("beside-1", "Completed", "another"),
    )
    return podtask


def test_a_list_is_newest_first_and_has_outermost_runs_only(etl: Terminal) -> None:
    said = etl("flows")
    assert said.out.splitlines() == [
        "NAME                                   FLOW   STATE                   TASKS   DURATION   AGE",
        "7777                                   etl    Running (driver lost)                      5m",
        f"{ID}   etl    Failed                  3/3     1m5s       10m",
    ]
    assert etl("flows --subflows -o name").out.splitlines() == [
        f"flowrun.podtask.dev/{name}" for name in ("7777", INNER, ID)
    ]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("--state failed", [ID]),
        ("--state failed,running", ["7777", ID]),
        ("--flow other", []),
        ("--tag a --tag b --since 6m", ["7777"]),
        ("--tag c", []),
        ("--older-than 8m", [ID]),
        (f"-l podtask.dev/root-flow-run={ID}", [ID]),
        ("-A", ["7777", ID]),
        ("-n elsewhere", []),
    ],
)
def test_filters(etl: Terminal, options: str, found: list[str]) -> None:
    lines = etl(f"flows {options} -o name").out.splitlines()
    assert [line.rpartition("/")[2] for line in lines] == found


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("flows --state melted", "There is no state 'melted' of a flow run; the states are Running, Completed"),
        ("flows --watch -o json", "--watch prints lines of a table"),
        ("flows --local -A", "--local is this machine"),
        ("describe -L flow/x", "leave -L out"),
        ("describe --local", "podtask flows --local shows which there are"),
        ("describe load-1 -o svg", "-o svg draws a flow run: flow/NAME."),
        ("wait flow/a flow/b", "flow/NAME is one flow run"),
        ("wait flow/a hello", "flow/NAME is one flow run"),
        ("watch flow/a --all", "flow/NAME is one flow run"),
        ("retry flow/a --wait", "podtask wait flow/a"),
        ("logs flow/a --attempt 1", "leave -L and --attempt out"),
        ("suspend flow/a", "podtask suspend takes TaskRuns"),
    ],
)
def test_command_lines_that_are_wrong(etl: Terminal, line: str, sentence: str) -> None:
    said = etl(line)
    assert (said.status, sentence in said.err) == (2, True), said.err
    assert etl.cluster.written() == []


def test_json_is_the_object_as_kubectl_prints_it(etl: Terminal) -> None:
    items = json.loads(etl("flows -o json").out)["items"]
    assert [(one["kind"], "managedFields" in one["metadata"]) for one in items] == [("FlowRun", False)] * 2
    assert items[1]["status"] == ENDED


def test_changes_come_as_lines_and_a_heartbeat_is_none(etl: Terminal) -> None:
    flows = etl.cluster.flow_runs
    real = flows.answer
    steps = iter(
        [
            lambda: flows.change(ID, {"status": {"heartbeat": 5}}),
            lambda: flows.change("7777", {"status": {"state": "Completed", "tasks": "1/1"}}),
        ]
    )

    def answer(method: str, path: Any, query: Any, body: Any) -> Any:
        if query.get("watch"):
            step = next(steps, None)
            if step is None:
                raise Refuse(403, "Forbidden", "enough")
            step()
        return real(method, path, query, body)

    flows.answer = answer  # type: ignore[method-assign]
    lines = etl("flows --watch").out.splitlines()
    assert len(lines) == 4
    assert lines[3].split() == ["7777", "etl", "Completed", "1/1", "5m"]


@pytest.mark.parametrize("name", [ID, "6f0c", "etl-6f0ceff0"])
def test_a_page_about_a_flow_run(etl: Terminal, name: str) -> None:
    said = etl(f"describe flow/{name}")
    assert (said.status, said.err) == (0, "")
    for line in (
        f"Name:          {ID}",
        "Flow:          etl (etl-6f0ceff0)",
        "State:         Failed, as the driver reports",
        "Parameters:    x=1, password=(str) (hidden)",
        "Driver:        laptop, etl.py, podtask 0.1.0, Python 3.11.7",
        "Task runs:     4: 2 Completed, 1 Failed, 1 NotReady",
        "  load-1    load    Completed   14s",
        f"  {INNER}   etl   Completed   9s",
        "    inside-1   inside   Completed   59s",
        "Failed first:  clean-1 Failed 9m15s ago: ValueError: no luck",
        f"Next: see why the first one failed: podtask describe clean-1; then podtask retry flow/{ID}",
    ):
        assert line in said.out.splitlines(), said.out
    assert "beside-1" not in said.out


def test_many_task_runs_are_counted_by_task(podtask: Terminal) -> None:
    podtask.cluster.flow_runs.add(flow())
    podtask.cluster.add(*(task_run(f"load-{number}", "Completed") for number in range(60)))
    said = podtask("describe flow/@latest")
    assert "  load   60 of 60   60 Completed" in said.out.splitlines()


def test_a_lost_driver_comes_with_its_cure(etl: Terminal) -> None:
    said = etl("describe flow/7777")
    assert "Driver lost:   No sign of life." in said.out
    assert "Next: on laptop: PODTASK_FLOW_RUN_ID='nightly 1' python etl.py" in said.out


@pytest.mark.parametrize(
    ("name", "status", "sentence"),
    [
        ("nothing", 3, "There is no flow run 'nothing' in namespace 'team': 'podtask flows' shows which there are."),
        ("Not/A Name", 3, "There is no flow run"),
        ("etl", 3, "that is the name of a flow, whose newest run is flow/other-7777."),
        ("etl-same", 2, "'etl-same' may be any of 2 flow runs: b2, b1. Say more of its name."),
    ],
)
def test_names_that_mean_nothing_or_too_much(etl: Terminal, name: str, status: int, sentence: str) -> None:
    etl.cluster.flow_runs.add(flow("b1", title="etl-same"), flow("b2", minute=5, title="etl-same"))
    said = etl(f"describe 'flow/{name}'")
    assert said.status == status
    assert sentence in said.err


def test_what_a_driver_wrote_cannot_move_the_cursor(podtask: Terminal) -> None:
    bad = "\x1b[2J\x07\u202e$(rm)\n"
    podtask.cluster.flow_runs.add(
        flow(
            title=bad,
            flow=bad,
            tags=[bad],
            pin=bad,
            parameters=[{"name": bad, "value": bad, "type": bad}],
            driver={"id": "1", "host": bad, "program": bad},
            status={
                "state": "Running",
                "message": bad,
                "tasks": bad,
                "result": bad,
                "conditions": [{**LOST, "message": bad}],
            },
        )
    )
    for line in (f"describe flow/{ID}", "flows -o wide", f"cancel flow/{ID}", f"retry flow/{ID}", f"delete flow/{ID}"):
        said = podtask(line)
        for sign in ("\x1b", "\x07", "\u202e"):
            assert sign not in said.out + said.err, line
        assert (
            "'\\x1b[2J\\x07\\u202e$(rm)\\n'" in said.out + said.err or "PODTASK_FLOW_RUN_ID" not in said.out + said.err
        )


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


def test_the_longest_chain_and_circles() -> None:
    chain = [
        Seen(task_run("a-1", "Completed", ended="03:04:10")),
        Seen(task_run("b-1", "Completed", ID, "a-1", "x-1", ended="03:04:40")),
        Seen(task_run("x-1", "Completed", ended="03:04:20")),
        Seen(task_run("c-1", "Completed", ID, "b-1", "c-1", ended="03:04:50")),
    ]
    assert [one.name for one in critical_path(chain)] == ["x-1", "b-1", "c-1"]
    assert critical_path([Seen(task_run("a-1", "Running"))]) == []
    circle = [SeenFlow(flow(name, parent={"name": other, "uid": "u"})) for name, other in (("a", "b"), ("b", "a"))]
    assert [one.name for one in inside(circle[0], circle)] == ["a", "b"]


def test_text_is_shown_as_it_is_where_it_is_harmless() -> None:
    assert clean("Grüße, 世界") == "Grüße, 世界"
    assert clean(None) == ""
    assert clean("a\tb\x00") == "a\\tb\\x00"


@pytest.mark.parametrize(("form", "begin"), [("svg", "<svg xmlns="), ("mermaid", "### etl etl-6f0ceff0: Failed")])
def test_a_picture_of_a_flow_run_with_what_is_inside_of_it(etl: Terminal, form: str, begin: str) -> None:
    said = etl(f"describe flow/6f0c -o {form}")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(begin)
    for name in ("load", "clean", "store", "inside"):
        assert name in said.out
    assert "beside" not in said.out


def test_a_picture_needs_the_extra(etl: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("podtask.ui")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    said = etl("describe flow/6f0c -o svg")
    assert (said.status, "pip install 'podtask[ui]'" in said.err) == (1, True)
