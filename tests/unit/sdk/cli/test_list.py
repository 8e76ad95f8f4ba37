"""`podtask list`: columns, filters, forms of output."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from tests.unit.sdk.cli.apiserver import Refuse
from tests.unit.sdk.cli.conftest import Terminal
from tests.unit.sdk.cli.runs import run

from podtask.inspection.durations import span

FLOW_RUN = "6f0ceff0-3aa5-4c21-bd05-90280060aaf5"


@pytest.fixture
def some(podtask: Terminal) -> Terminal:
    """Four runs of two namespaces."""
    of_flow = {"podtask.dev/flow": "etl", "podtask.dev/flow-run": FLOW_RUN, "team": "red"}
    podtask.cluster.add(
        run("old", "Failed", minute=4, spec={"tags": ["nightly", "big"]}),
        run("young", "Completed", minute=9, labels=of_flow, spec={"task": {"name": "load", "source": "x"}}),
        run("new", None, minute=14, spec={"tags": ["nightly"]}),
        run("elsewhere", "Running", minute=10, namespace="other"),
    )
    return podtask


def names(podtask: Terminal, line: str) -> list[str]:
    """What the command would show."""
    said = podtask(f"list -o name {line}")
    assert said.status == 0, said.err
    return [name.removeprefix("taskrun.podtask.dev/") for name in said.out.split()]


def test_the_newest_comes_first_and_what_nobody_looked_at_is_pending(some: Terminal) -> None:
    assert some("list").out == (
        "NAME    STATE       ATTEMPT   CACHE   DURATION   AGE\n"
        "new     Pending                                  0s\n"
        "young   Completed   1/1               59s        5m\n"
        "old     Failed      1/1               59s        10m\n"
    )


def test_wide_shows_where_and_what_it_was_part_of(some: Terminal) -> None:
    assert some("list young -o wide").out == (
        "NAME    STATE       ATTEMPT   CACHE   DURATION   AGE   REASON      NODE   TASK   FLOW   FLOWRUN"
        "                                TAGS\n"
        "young   Completed   1/1               59s        5m    Completed   dev    load   etl"
        f"    {FLOW_RUN}\n"
    )


def test_all_namespaces_have_a_column_of_their_own_and_names_of_columns_can_be_left_out(some: Terminal) -> None:
    assert some("list -A --state running --no-headers").out == "other   elsewhere   Running   1/1         4m\n"


@pytest.mark.parametrize(
    ("line", "shown"),
    {
        "everything of the namespace": ("", ["new", "young", "old"]),
        "another namespace": ("-n other", ["elsewhere"]),
        "one state, asked of the server": ("--state failed", ["old"]),
        "several states": ("--state Failed,pending", ["new", "old"]),
        "the first state is also that of runs nobody looked at": ("--state pending", ["new"]),
        "a label": ("-l team=red", ["young"]),
        "a flow": ("--flow etl", ["young"]),
        "a flow run": (f"--flow-run {FLOW_RUN}", ["young"]),
        "a tag": ("--tag nightly", ["new", "old"]),
        "all of several tags": ("--tag nightly --tag big", ["old"]),
        "young ones": ("--since 5m", ["new", "young"]),
        "old ones": ("--older-than 300", ["young", "old"]),
        "names, with or without their kind": ("ptr/old taskrun.podtask.dev/new", ["new", "old"]),
    }.values(),
)
def test_what_is_shown(some: Terminal, line: str, shown: list[str]) -> None:
    assert names(some, line) == shown


def test_json_is_a_list_as_kubectls_and_a_named_one_is_itself(some: Terminal) -> None:
    some.cluster.runs["team", "old"]["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    listed = json.loads(some("list -o json").out)
    assert (listed["kind"], [item["metadata"]["name"] for item in listed["items"]]) == ("List", ["new", "young", "old"])
    alone = json.loads(some("list old -o json").out)
    assert (alone["kind"], alone["apiVersion"], alone["status"]["state"]) == (
        "TaskRun",
        "podtask.dev/v1alpha1",
        "Failed",
    )
    assert "managedFields" not in alone["metadata"]


def test_yaml_writes_source_as_a_block(some: Terminal) -> None:
    some.cluster.add(run("block", None, spec={"task": {"source": "def main():\n    return 1\n"}}))
    assert "    source: |\n      def main():\n          return 1\n" in some("list block -o yaml").out


def test_nothing_found_is_said_on_stderr_and_is_no_error(podtask: Terminal) -> None:
    said = podtask("list")
    assert (said.status, said.out, said.err) == (0, "", "No TaskRuns found in namespace 'team'.\n")
    assert podtask("list -A").err == "No TaskRuns found in any namespace.\n"
    assert json.loads(podtask("list -o json").out)["items"] == []


def test_a_name_that_is_not_there_is_an_error(some: Terminal) -> None:
    said = some("list old gone")
    assert (said.status, said.out) == (3, "")
    assert said.err == "podtask: There is no TaskRun 'gone' in namespace 'team' that this would show.\n"


def test_watch_prints_a_line_for_each_change_until_it_is_refused(some: Terminal) -> None:
    some.cluster.news = [
        ("MODIFIED", run("new", "Completed", minute=14)),
        ("MODIFIED", run("old", "Failed", minute=4, status={"message": "shown nowhere in the table"})),
        ("DELETED", run("young", "Completed", minute=9)),
    ]
    some.cluster.after_news = Refuse(403, "Forbidden", "no more of it")
    said = some("list --watch")
    assert said.out.splitlines()[4:] == ["new     Completed   1/1               59s        0s"]
    assert (said.status, said.err) == (
        1,
        "podtask: The API server answered 403 Forbidden (watch taskruns team): no more of it\n",
    )


def test_ages_are_written_as_kubectl_does() -> None:
    spans = {
        "a moment": (0.4, "0s"),
        "up to two minutes in seconds": (119, "119s"),
        "minutes with seconds": (190, "3m10s"),
        "whole minutes": (240, "4m"),
        "more minutes": (25 * 60 + 9, "25m"),
        "hours with minutes": (2 * 3600 + 300, "125m"),
        "three hours": (3 * 3600 + 300, "3h5m"),
        "many hours": (30 * 3600, "30h"),
        "days with hours": (timedelta(days=3, hours=4).total_seconds(), "3d4h"),
        "days": (timedelta(days=20, hours=4).total_seconds(), "20d"),
        "years": (timedelta(days=760).total_seconds(), "2y30d"),
        "many years": (timedelta(days=4000).total_seconds(), "10y"),
        "a clock that is behind": (-5, "0s"),
    }
    assert {name: span(seconds) for name, (seconds, _) in spans.items()} == {
        name: text for name, (_, text) in spans.items()
    }
