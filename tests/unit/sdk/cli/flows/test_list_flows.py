"""`podtask flows`, and command lines about flow runs that are wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.sdk.cli.apiserver import Refuse
from tests.unit.sdk.cli.conftest import Terminal
from tests.unit.sdk.cli.flow_objects import ENDED, ID, INNER


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
