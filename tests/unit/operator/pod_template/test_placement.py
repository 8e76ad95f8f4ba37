"""Where attempts run after disruptions: decided by the spec and the recorded attempts alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.builders import SETTINGS, run

from podtask_operator.pod_template.placement import avoiding
from podtask_operator.pods.build import build
from podtask_operator.settings import Settings

SPOT: dict[str, Any] = {
    "maxDisruptions": 2,
    "nodeSelector": {"pool": "spot"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "podTemplate": {"priorityClassName": "batch"},
    "onDisruption": {
        "avoidNode": True,
        "lastAttempt": {"nodeSelector": {"pool": "steady"}, "tolerations": [], "priorityClassName": "urgent"},
    },
}
PLACED = ("nodeSelector", "tolerations", "priorityClassName", "affinity")
AT_FIRST = {"nodeSelector": {"pool": "spot"}, "tolerations": SPOT["tolerations"], "priorityClassName": "batch"}
AT_LAST = {"nodeSelector": {"pool": "steady"}, "priorityClassName": "urgent"}


def preferring(*nodes: str) -> dict[str, Any]:
    """The affinity that avoids these nodes."""
    fields = [{"key": "metadata.name", "operator": "NotIn", "values": [node]} for node in nodes]
    term = {"weight": 100, "preference": {"matchFields": fields}}
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}


def history(*ends: tuple[str, str | None], used: int | None = None) -> dict[str, Any]:
    """The status once one more attempt than these is recorded: (outcome, node) of each."""
    ended = [
        {"number": n, "outcome": outcome, **({"node": node} if node else {})}
        for n, (outcome, node) in enumerate(ends, start=1)
    ]
    disruptions = sum(outcome == "Disruption" for outcome, _ in ends) if used is None else used
    total = len(ends) + 1
    return {"attempts": [*ended, {"number": total}][-20:], "attemptsTotal": total, "disruptionsUsed": disruptions}


def placed(
    status: dict[str, Any] | None, spec: dict[str, Any] | None = None, settings: Settings = SETTINGS
) -> dict[str, Any]:
    """Where the pod of the newest attempt may run."""
    number = (status or {}).get("attemptsTotal", 1)
    pod = build(run(SPOT if spec is None else spec, status=status), number, settings)["spec"]
    return {name: pod[name] for name in PLACED if name in pod}


def test_the_first_attempt_is_where_the_spec_says() -> None:
    assert placed(None) == AT_FIRST
    assert placed(history()) == AT_FIRST


def test_the_next_one_avoids_the_node_and_the_last_one_is_elsewhere() -> None:
    evicted = history(("Disruption", "node-a"))
    assert placed(evicted) == {**AT_FIRST, "affinity": preferring("node-a")}
    twice = history(("Disruption", "node-a"), ("Disruption", "node-b"))
    assert placed(twice) == {**AT_LAST, "affinity": preferring("node-a", "node-b")}


def test_a_failure_of_the_task_neither_moves_it_nor_is_forgotten_in_between() -> None:
    retried = history(("Failed", "node-a"), ("Disruption", "node-b"), ("Failed", "node-c"))
    assert placed(retried) == {**AT_FIRST, "affinity": preferring("node-b")}
    assert placed(history(("Failed", "node-a"))) == AT_FIRST


def test_a_retry_after_the_last_disruption_is_where_the_last_attempt_was() -> None:
    status = history(("Disruption", "node-a"), ("Disruption", "node-b"), ("Failed", "node-c"))
    assert placed(status)["nodeSelector"] == {"pool": "steady"}


def test_a_run_without_free_disruptions_is_where_the_last_attempt_belongs_from_the_start() -> None:
    assert placed(history(), {**SPOT, "maxDisruptions": 0}) == AT_LAST


@pytest.mark.parametrize(("default", "last"), [(1, True), (2, False), (None, False)])
def test_the_charts_default_says_which_attempt_is_the_last(default: int | None, last: bool) -> None:
    settings = replace(SETTINGS, task_defaults={} if default is None else {"maxDisruptions": default})
    spec = {name: value for name, value in SPOT.items() if name != "maxDisruptions"}
    found = placed(history(("Disruption", "node-a")), spec, settings)
    assert found["nodeSelector"] == {"pool": "steady" if last else "spot"}


def test_what_cost_no_disruption_does_not_bring_the_last_attempt_nearer() -> None:
    lost = history(("Disruption", None), ("Disruption", None), ("Disruption", None), used=0)
    assert placed(lost) == AT_FIRST, "attempts without a pod: no node to avoid, nothing used"


def test_a_node_is_named_once_and_the_attempts_that_the_status_keeps_count() -> None:
    spec = {**SPOT, "maxDisruptions": 100}
    assert placed(history(*[("Disruption", "node-a")] * 5), spec)["affinity"] == preferring("node-a")
    many = history(*[("Disruption", f"node-{n}") for n in range(30)])
    assert placed(many, spec)["affinity"] == preferring(*(f"node-{n}" for n in range(11, 30)))


def test_each_field_of_the_last_attempt_replaces_its_own_and_no_other() -> None:
    status = history(("Disruption", "a"), ("Disruption", "b"))
    for name, value, shown in (
        ("nodeSelector", {}, None),
        ("tolerations", [{"key": "steady"}], [{"key": "steady"}]),
        ("priorityClassName", "urgent", "urgent"),
    ):
        found = placed(status, {**SPOT, "onDisruption": {"lastAttempt": {name: value}}})
        assert found == {key: item for key, item in {**AT_FIRST, name: shown}.items() if item is not None}


def test_defaults_of_the_chart_stay() -> None:
    defaults = {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "tasks"}],
        "priorityClassName": "standard",
    }
    settings = replace(SETTINGS, task_defaults=defaults)
    found = placed(history(("Disruption", "a"), ("Disruption", "b")), settings=settings)
    assert found["nodeSelector"] == {"kubernetes.io/os": "linux", "pool": "steady"}
    assert (found["tolerations"], found["priorityClassName"]) == ([{"key": "tasks"}], "urgent")


@pytest.mark.parametrize("asked", [None, {"avoidNode": False}, {"lastAttempt": {"tolerations": []}}])
def test_without_avoid_node_no_node_is_avoided(asked: dict[str, Any] | None) -> None:
    spec = {**SPOT, "onDisruption": asked}
    assert "affinity" not in placed(history(("Disruption", "node-a")), spec)


AFFINITY: dict[str, Any] = {
    "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []},
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": []}]},
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {"matchExpressions": []}}],
    },
}


def test_the_affinity_of_the_template_stays() -> None:
    before = repr(AFFINITY)
    found = placed(history(("Disruption", "a")), {**SPOT, "podTemplate": {"affinity": AFFINITY}})["affinity"]
    ours = preferring("a")["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    node, preferred = AFFINITY["nodeAffinity"], "preferredDuringSchedulingIgnoredDuringExecution"
    assert found == {**AFFINITY, "nodeAffinity": {**node, preferred: [*node[preferred], *ours]}}
    assert repr(AFFINITY) == before


@pytest.mark.parametrize("nothing", [None, {}, {"nodeAffinity": None}, {"nodeAffinity": {}}])
def test_an_affinity_that_says_nothing_is_none(nothing: Any) -> None:
    assert avoiding(nothing, ["a"]) == preferring("a")


@pytest.mark.parametrize(
    "odd",
    [
        {"nodeAffinity": "none"},
        {"nodeAffinity": ["x"]},
        {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": "x"}},
        {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 1}}},
    ],
)
def test_a_malformed_affinity_is_left_to_the_api_server(odd: Any) -> None:
    assert avoiding(odd, ["a"]) == odd


def test_another_operator_builds_the_same_pod() -> None:
    status = history(("Disruption", "node-a"), ("Failed", "node-b"))
    assert build(run(SPOT, status=status), 3, SETTINGS) == build(run(SPOT, status=status), 3, SETTINGS)
