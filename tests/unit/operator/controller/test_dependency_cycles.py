"""Circles of runs that wait for each other: which graphs have one, who is told, and when."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from tests.support.builders import run_object

from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.dependency_cycles import ASK_AFTER, Circles, tangled, way_round
from podtask_operator.task_runs.key import Key

CASES: dict[str, tuple[dict[str, list[str]], dict[str, tuple[str, ...]]]] = {
    "nothing": ({}, {}),
    "a chain": ({"a": ["b"], "b": ["c"], "c": []}, {}),
    "a diamond": ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, {}),
    "a name that nobody has": ({"a": ["ghost"]}, {}),
    "itself": ({"a": ["a"]}, {"a": ("a", "a")}),
    "two": ({"a": ["b"], "b": ["a"]}, {"a": ("a", "b", "a"), "b": ("b", "a", "b")}),
    "a circle and one that only waits for it": (
        {"a": ["b"], "b": ["a"], "later": ["a"]},
        {"a": ("a", "b", "a"), "b": ("b", "a", "b")},
    ),
    "a bridge between two circles is in none": (
        {"a": ["a", "bridge"], "bridge": ["z"], "z": ["z"]},
        {"a": ("a", "a"), "z": ("z", "z")},
    ),
    "the shortest way is told": (
        {"a": ["b", "c"], "b": ["c"], "c": ["a"]},
        {"a": ("a", "c", "a"), "b": ("b", "c", "a", "b"), "c": ("c", "a", "c")},
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_circles_are_found_and_nothing_else(what: str) -> None:
    needs, expected = CASES[what]
    left = tangled(needs)
    assert {name: way for name in needs if (way := way_round(name, left))} == expected


def test_a_long_chain_and_a_long_circle_need_no_recursion() -> None:
    chain = {str(n): [str(n + 1)] for n in range(20000)}
    assert tangled({**chain, "20000": []}) == {}
    assert len(way_round("0", tangled({**chain, "20000": ["0"]}))) == 20002


CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def held(**needs: str) -> ClusterCache:
    cluster = ClusterCache()
    for name, other in needs.items():
        cluster.put_run(waits(name, other))
    return cluster


def waits(name: str, other: str, **metadata: Any) -> dict[str, Any]:
    return run_object({"waitFor": [{"taskRun": other}]}, name=name, metadata={"uid": f"uid-{name}", **metadata})


def test_a_circle_is_told_with_its_names_and_a_cure() -> None:
    why = Circles(held(a="b", b="a")).invalid(Key("team", "a"), CREATED, CREATED + ASK_AFTER)
    assert why is not None
    assert why.message == "The run waits for itself: a → b → a."
    assert why.cure is not None
    assert why.cure.startswith("Break the circle")


def test_a_run_is_not_asked_about_at_once() -> None:
    circles = Circles(held(a="b", b="a"))
    assert circles.invalid(Key("team", "a"), CREATED, CREATED + ASK_AFTER - timedelta(milliseconds=1)) is None


def test_runs_of_other_namespaces_are_other_runs() -> None:
    cluster = held(a="b")
    cluster.put_run(waits("b", "a", namespace="other"))
    assert Circles(cluster).invalid(Key("team", "a"), CREATED, CREATED + ASK_AFTER) is None


def test_a_circle_that_a_younger_run_closes_is_found_although_the_namespace_was_searched_before() -> None:
    cluster = held(a="b")
    circles = Circles(cluster)
    assert circles.invalid(Key("team", "a"), CREATED, CREATED + ASK_AFTER) is None
    younger = CREATED + timedelta(seconds=30)
    cluster.put_run(waits("b", "a"))
    assert circles.invalid(Key("team", "b"), younger, younger + ASK_AFTER) is not None
    assert circles.invalid(Key("team", "a"), CREATED, younger + ASK_AFTER) is not None


def test_a_circle_is_found_although_the_operators_clock_is_ahead_and_the_namespace_was_searched_before() -> None:
    cluster, ahead = held(a="b"), timedelta(minutes=1)
    circles = Circles(cluster)
    assert circles.invalid(Key("team", "a"), CREATED, CREATED + ASK_AFTER + ahead) is None
    younger = CREATED + timedelta(seconds=30)
    cluster.put_run(waits("b", "a"))
    assert circles.invalid(Key("team", "b"), younger, younger + ASK_AFTER + ahead) is not None


def test_a_circle_that_was_broken_since_the_search_is_none() -> None:
    cluster = held(a="b", b="a")
    circles = Circles(cluster)
    now = CREATED + timedelta(seconds=10)
    assert circles.invalid(Key("team", "a"), CREATED, now) is not None
    cluster.put_run(waits("b", "free", uid="uid-new", resourceVersion="8"))
    assert circles.invalid(Key("team", "a"), CREATED, now) is None


def test_a_long_circle_is_told_in_short() -> None:
    names = [f"run-{n}" for n in range(30)]
    ring = dict(zip(names, [*names[1:], names[0]], strict=True))
    why = Circles(held(**ring)).invalid(Key("team", "run-0"), CREATED, CREATED + ASK_AFTER)
    assert why is not None
    assert "run-0 → run-1 →" in why.message
    assert "… (23 more) → run-29 → run-0." in why.message
