"""`podtask describe flow/NAME`: the page, its pictures, and what is in its tree."""

from __future__ import annotations

import sys

import pytest
from tests.unit.sdk.cli.conftest import Terminal
from tests.unit.sdk.cli.flow_objects import ID, INNER, LOST, flow, task_run

from podtask.cli.flows.flow_run import SeenFlow, clean
from podtask.cli.flows.tree import critical_path, inside
from podtask.inspection.task_run import SeenTaskRun


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


def test_the_longest_chain_and_circles() -> None:
    chain = [
        SeenTaskRun(task_run("a-1", "Completed", ended="03:04:10")),
        SeenTaskRun(task_run("b-1", "Completed", ID, "a-1", "x-1", ended="03:04:40")),
        SeenTaskRun(task_run("x-1", "Completed", ended="03:04:20")),
        SeenTaskRun(task_run("c-1", "Completed", ID, "b-1", "c-1", ended="03:04:50")),
    ]
    assert [one.name for one in critical_path(chain)] == ["x-1", "b-1", "c-1"]
    assert critical_path([SeenTaskRun(task_run("a-1", "Running"))]) == []
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
