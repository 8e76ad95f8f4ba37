"""What commands read and keep of TaskRuns that are not shown: no code, no arguments."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.unit.sdk.cli.conftest import Terminal
from tests.unit.sdk.cli.runs import run

from podtask.inspection.cluster import Cluster
from podtask.inspection.without_payloads import without_payloads

PAYLOADS: dict[str, Any] = {
    "task": {"code": {"inline": "QUJD"}, "name": "load", "bundle": {"digest": "ab" * 32}},
    "inputs": {"inline": "QUJD"},
    "parameters": {"x": "QUJD"},
    "env": [{"name": "A", "value": "QUJD"}],
    "podTemplate": {"annotations": {"a": "QUJD"}},
}


@pytest.mark.parametrize(
    ("line", "status"),
    [("describe @latest", 0), ("describe -L", 0), ("describe nwe", 3), ("retry old", 0), ("result nwe", 3)],
)
def test_other_runs_are_read_by_their_names_alone(podtask: Terminal, line: str, status: int) -> None:
    podtask.cluster.add(run("old", "Failed", minute=3), run("new", "Completed", minute=9))
    said = podtask(line)
    assert said.status == status
    assert podtask.cluster.listed == 0
    assert "did you mean 'new'?" in said.err or status == 0


def test_a_run_that_is_gone_before_it_is_read_is_said_to_be(podtask: Terminal) -> None:
    podtask.cluster.add(run("new", "Completed"))
    podtask.cluster.other["/apis/podtask.dev/v1alpha1/namespaces/team/taskruns"] = lambda _: {
        "items": [{"metadata": run("gone", "Completed", minute=30)["metadata"]}],
        "metadata": {},
    }
    said = podtask("describe -L")
    assert (said.status, "There is no TaskRun 'gone'" in said.err) == (3, True)


def test_a_run_that_was_not_ready_is_repeated_with_its_upstreams_which_are_read_one_by_one(podtask: Terminal) -> None:
    podtask.cluster.add(
        run("first", "Failed"),
        run("second", "NotReady", spec={"upstream": [{"taskRun": "first", "parameter": "x"}]}),
        run("other", "Failed"),
    )
    said = podtask("retry second")
    assert (said.status, podtask.cluster.listed) == (0, 0)
    assert said.out.count("created, repeats") == 2


@pytest.mark.parametrize("status", [{}, {"state": "Running"}])
def test_what_is_kept_has_the_status_and_no_payload(status: dict[str, Any]) -> None:
    obj = run("load", labels={"a": "b"}, spec={**PAYLOADS, "tags": ["gpu"], "retries": 3}, status=status)
    obj["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "QUJD"}
    before = copy.deepcopy(obj)
    kept = without_payloads(obj)
    assert obj == before
    assert "QUJD" not in str(kept)
    assert kept["spec"] == {"task": {"name": "load"}, "tags": ["gpu"], "retries": 3}
    assert kept["metadata"]["labels"] == {"a": "b"}
    assert kept.get("status") == obj.get("status")


@pytest.mark.parametrize(
    ("line", "shows"), [("list", False), ("list -o wide", False), ("list -o json", True), ("list -o yaml", True)]
)
def test_only_a_list_that_prints_whole_objects_keeps_them(
    podtask: Terminal, monkeypatch: pytest.MonkeyPatch, line: str, shows: bool
) -> None:
    kept: list[str] = []
    for name in ("runs", "runs_without_payloads"):
        read = getattr(Cluster, name)

        def noted(self: Cluster, *asked: Any, read: Any = read, **how: Any) -> Any:
            items, version = read(self, *asked, **how)
            kept.extend(map(str, items))
            return items, version

        monkeypatch.setattr(Cluster, name, noted)
    podtask.cluster.add(run("load", "Completed", spec=PAYLOADS))
    said = podtask(line)
    assert (said.status, "load" in said.out) == (0, True)
    assert ("QUJD" in said.out, "QUJD" in "".join(kept)) == (shows, shows)
