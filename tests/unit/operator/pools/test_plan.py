"""Which idle pods go and how many are made: a table, and what holds whatever the pods are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podtask_operator.pools.plan import AT_ONCE, Idle, Plan, planned


def pods(*each: str | Idle) -> list[Idle]:
    return [Idle(one, 10, ready=True) if isinstance(one, str) else one for one in each]


def plan(*each: str | Idle, size: int = 2, may_create: bool = True) -> Plan:
    return planned(pods(*each), size, 600, may_create=may_create)


CASES: dict[str, tuple[Plan, Plan]] = {
    "an empty pool is filled, two at a time": (plan(size=5), Plan((), 2, 0)),
    "with two that start, it waits": (plan(Idle("a", 1), Idle("b", 1), size=5), Plan((), 0, 0)),
    "with one that starts, one is made": (plan(Idle("a", 1), size=5), Plan((), 1, 0)),
    "a full pool is left alone": (plan("a", "b"), Plan((), 0, 2)),
    "a pod that an attempt takes is replaced at once": (
        plan("a", Idle("b", 10, ready=True, chosen=True)),
        Plan((), 1, 1),
    ),
    "and never removed, whatever else is the matter": (
        plan(Idle("b", 9999, chosen=True, posted=False, alike=False, ended=True), size=0),
        Plan((), 0, 0),
    ),
    "one that ended is replaced": (plan("a", Idle("b", 10, ended=True)), Plan(("b",), 1, 1)),
    "one that nobody posted goes": (plan("a", "b", Idle("c", 1, ready=True, posted=False)), Plan(("c",), 0, 2)),
    "one that was chosen and not taken goes": (plan("a", Idle("b", 1, ready=True, spent=True)), Plan(("b",), 1, 1)),
    "too many: what does not wait yet goes first, then the oldest": (
        plan("a", Idle("b", 50, ready=True), Idle("c", 1), size=1),
        Plan(("c", "b"), 0, 1),
    ),
    "scaled to nothing all go": (plan("a", "b", size=0), Plan(("a", "b"), 0, 0)),
    "old ones go two at a time": (
        plan(*(Idle(name, 700, ready=True) for name in "abcd"), size=4),
        Plan(("a", "b"), 2, 2),
    ),
    "but not while others start": (
        plan(*(Idle(name, 700, ready=True) for name in "ab"), Idle("c", 1), Idle("d", 1), size=4),
        Plan((), 0, 2),
    ),
    "outdated ones go as old ones do": (
        plan(*(Idle(name, 1, ready=True, alike=False) for name in "abc"), size=3),
        Plan(("a", "b"), 2, 1),
    ),
    "nothing is made while that is refused": (plan("a", may_create=False), Plan((), 0, 1)),
}


@pytest.mark.parametrize("what", CASES)
def test_plan(what: str) -> None:
    got, wanted = CASES[what]
    assert got == wanted


IDLE = st.builds(
    Idle,
    name=st.uuids().map(str),
    age=st.floats(0, 2000),
    **{field: st.booleans() for field in ("ready", "ended", "posted", "alike", "chosen", "spent")},
)


@given(st.lists(IDLE, max_size=12), st.integers(0, 8), st.booleans())
def test_whatever_the_pods_are(pods: list[Idle], size: int, may_create: bool) -> None:
    plan = planned(pods, size, 600, may_create=may_create)
    by_name = {pod.name: pod for pod in pods}
    assert not any(by_name[name].chosen for name in plan.remove)
    assert len(set(plan.remove)) == len(plan.remove)
    left = [pod for pod in pods if not pod.chosen and pod.name not in plan.remove]
    assert len(left) + plan.create <= max(size, 0)
    assert plan.create <= AT_ONCE
    assert all(pod.posted and not pod.spent and not pod.ended for pod in left)


@given(st.lists(IDLE, max_size=8), st.integers(0, 5))
def test_step_by_step_the_pool_is_full_and_stays_so(pods: list[Idle], size: int) -> None:
    pods = [replace(pod, chosen=False) for pod in pods]
    count: Any = iter(range(1000))
    for _ in range(60):
        plan = planned(pods, size, 600, may_create=True)
        pods = [replace(pod, ready=not pod.ended) for pod in pods if pod.name not in plan.remove]
        pods += [Idle(f"new-{next(count)}", 0) for _ in range(plan.create)]
    assert planned(pods, size, 600, may_create=True) == Plan((), 0, size)
