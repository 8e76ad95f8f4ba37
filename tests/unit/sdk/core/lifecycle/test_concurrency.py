"""Concurrency limits: who holds a slot, whose turn it is, never one too many, and nobody left waiting for nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test
from tests.support.lifecycle_builders import T0

from podtask.core.lifecycle.concurrency import Limits, Name, Slots

GPU, DB, TEAM = Name("tag", "gpu"), Name("tag", "db"), Name("namespace", "team")


def slots(**tags: int) -> Slots[str]:
    return Slots(Limits(tags=tags))


def age(number: int) -> datetime:
    return T0 + timedelta(seconds=number)


def view(line: Slots[str], key: str, needs: tuple[Name, ...], number: int = 99) -> list[tuple[int, int, int]]:
    return [(limit.allowed, limit.held, limit.ahead) for limit in line.seen_by(key, age(number), key, needs)]


def line_of(line: Slots[str], **waiting: tuple[Name, ...]) -> None:
    """Runs that wait, oldest first."""
    for number, (key, needs) in enumerate(waiting.items()):
        line.wait(key, age(number), key, needs)


def test_a_run_under_no_limit_sees_none_however_many_wait() -> None:
    line = slots(gpu=0)
    line_of(line, a=(GPU,), b=(GPU,))
    assert line.seen_by("c", age(9), "c", ()) == ()


@pytest.mark.parametrize(
    ("told", "namespace", "tags", "over"),
    [
        ({}, "team", ["gpu"], ()),
        ({"tags": {"gpu": 4}}, "team", ["x", "gpu", "gpu"], (GPU,)),
        ({"tags": {"gpu": 4, "db": 1}, "namespace": {"default": 9}}, "team", ["gpu", "db"], (TEAM, DB, GPU)),
        ({"namespace": {"names": {"other": 1}}}, "team", [], ()),
        ({"namespace": {"names": {"team": 0}}}, "team", [], (TEAM,)),
        ({"namespace": None, "tags": None}, "team", ["gpu"], ()),
        ({"namespace": {"default": None}}, "team", [], ()),
    ],
)
def test_a_run_falls_under_the_limits_of_its_namespace_and_its_tags(
    told: dict[str, Any], namespace: str, tags: list[str], over: tuple[Name, ...]
) -> None:
    assert Limits.read(told).over(namespace, tags) == over


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"tag": {}}, "there is no limit tag; known are namespace, tags"),
        ({"namespace": {"team": 5}}, "there is no limit namespace.team; known are default, names"),
        ({"tags": {"gpu": -1}}, "gpu must be a whole number, 0 or more, not -1"),
        ({"tags": {"gpu": True}}, "gpu must be a whole number, 0 or more, not True"),
        ({"tags": ["gpu"]}, "tags must be an object of names and numbers"),
        ({"namespace": {"default": "5"}}, "namespace.default must be a whole number, 0 or more, not '5'"),
    ],
)
def test_limits_that_make_no_sense_are_refused_with_a_sentence(told: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match="^" + sentence.replace(".", "[.]") + "$"):
        Limits.read(told)


def test_a_namespace_of_its_own_number_does_not_use_the_default() -> None:
    limits = Limits.read({"namespace": {"default": 9, "names": {"team": 2}}})
    assert (limits.allowed(TEAM), limits.allowed(Name("namespace", "other"))) == (2, 9)


def test_a_run_does_not_count_against_itself() -> None:
    line = slots(gpu=1)
    line.hold("a", (GPU,))
    assert view(line, "a", (GPU,)) == [(1, 0, 0)]
    assert view(line, "b", (GPU,)) == [(1, 1, 0)]


def test_a_slot_that_is_free_belongs_to_the_oldest_who_waits() -> None:
    line = slots(gpu=1)
    line.hold("a", (GPU,))
    line_of(line, old=(GPU,), young=(GPU,))
    line.next()
    line.release("a")
    assert line.next() == ["old"]
    assert view(line, "young", (GPU,), 1) == [(1, 0, 1)]
    assert view(line, "old", (GPU,), 0) == [(1, 0, 0)]
    assert view(line, "newcomer", (GPU,)) == [(1, 0, 1)]


def test_who_waits_is_asked_once_per_change() -> None:
    line = slots(gpu=2)
    line.hold("a", (GPU,))
    line_of(line, b=(GPU,))
    assert line.next() == ["b"]
    assert line.next() == []


def test_who_also_waits_for_another_limit_that_is_full_holds_nobody_up() -> None:
    line = slots(gpu=2, db=1)
    line.hold("holder", (DB,))
    line_of(line, **{f"db{number}": (GPU, DB) for number in range(5)}, young=(GPU,))
    assert line.next() == ["young"]
    assert view(line, "young", (GPU,), 5) == [(2, 0, 0)]
    line.release("holder")
    assert line.next() == ["db0", "young"]
    assert view(line, "young", (GPU,), 5) == [(2, 0, 1)]


def test_who_leaves_the_line_makes_room() -> None:
    line = slots(gpu=1)
    line_of(line, old=(GPU,), young=(GPU,))
    line.leave("old")
    assert line.next() == ["young"]


def test_a_limit_of_zero_serves_nobody_and_holds_nobody_up() -> None:
    line = slots(gpu=0, db=1)
    line_of(line, never=(DB, GPU), other=(DB,))
    line.hold("x", ())
    assert view(line, "other", (DB,), 1) == [(1, 0, 0)]
    assert view(line, "never", (DB, GPU), 0) == [(1, 0, 0), (0, 0, 0)]


def test_runs_under_no_limit_are_not_kept() -> None:
    line = slots(gpu=1)
    line.hold("a", ())
    line.wait("b", T0, "b", ())
    assert (line._needs, line._line) == ({}, [])


class Line(RuleBasedStateMachine):
    """Runs come, wait, are served, end. A model that walks the whole line each time says whose turn it is."""

    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.slots: Slots[int] = Slots(Limits(default=3, tags={"gpu": 1, "db": 2, "off": 0}))
        self.needs: dict[int, tuple[Name, ...]] = {}
        self.held: set[int] = set()
        self.waiting: set[int] = set()

    @rule(target=runs, tags=st.sets(st.sampled_from(["gpu", "db", "off", "free"])))
    def comes(self, tags: set[str]) -> int:
        key = len(self.needs)
        self.needs[key] = self.slots.limits.over("team", tags)
        return key

    @rule(key=runs)
    def looks(self, key: int) -> None:
        """What a reconcile does: take the slots or a place in the line."""
        if key in self.held:
            return
        seen = self.slots.seen_by(key, age(key), str(key), self.needs[key])
        if any(limit.full for limit in seen):
            self.slots.wait(key, age(key), str(key), self.needs[key])
            self.waiting.add(key)
        else:
            assert key in self.turn({*self.waiting, key})
            self.slots.hold(key, self.needs[key])
            self.held.add(key)
            self.waiting.discard(key)

    @rule(key=runs)
    def ends(self, key: int) -> None:
        self.slots.release(key)
        self.held.discard(key)

    @rule(key=consumes(runs))
    def goes(self, key: int) -> None:
        self.slots.release(key)
        self.slots.leave(key)
        self.held.discard(key)
        self.waiting.discard(key)

    @rule()
    def those_whose_turn_it_is_are_woken(self) -> None:
        for key in self.slots.next():
            self.looks(key)

    def turn(self, waiting: set[int]) -> set[int]:
        taken = [name for key in self.held for name in self.needs[key]]
        served = set()
        for key in sorted(waiting, key=lambda key: (age(key), str(key))):
            if all(taken.count(name) < self.slots.limits.allowed(name) for name in self.needs[key]):
                served.add(key)
                taken += self.needs[key]
        return served

    @invariant()
    def no_limit_is_overrun(self) -> None:
        taken = [name for key in self.held for name in self.needs[key]]
        assert all(taken.count(name) <= self.slots.limits.allowed(name) for name in taken)

    def teardown(self) -> None:
        """Nobody whose turn it is stays asleep."""
        self.those_whose_turn_it_is_are_woken()
        assert self.turn(self.waiting) == set()


def test_the_line_against_a_model() -> None:
    run_state_machine_as_test(Line, settings=settings(max_examples=150, stateful_step_count=40))
