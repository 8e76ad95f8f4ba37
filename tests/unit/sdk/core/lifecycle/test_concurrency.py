"""Concurrency limits: who holds a slot, whose turn it is, never one too many, and nobody left waiting for nothing."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test
from tests.support.lifecycle_builders import T0

from podtask.core.lifecycle import concurrency
from podtask.core.lifecycle.concurrency import Limits, Most, Name, Slots

GPU, DB, TEAM = Name("tag", "gpu"), Name("tag", "db"), Name("namespace", "team")


def slots(**tags: int) -> Slots[str]:
    return Slots(Limits(tags={tag: Most(most) for tag, most in tags.items()}))


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
        ({"tags": {"gpu": {"all": 4}}}, "team", ["gpu"], (GPU,)),
        ({"tags": {"gpu": {"all": 4, "perNamespace": 2}}}, "team", ["gpu"], (GPU, Name("tag", "gpu", "team"))),
    ],
)
def test_a_run_falls_under_the_limits_of_its_namespace_and_its_tags(
    told: dict[str, Any], namespace: str, tags: list[str], over: tuple[Name, ...]
) -> None:
    assert Limits.read(told).over(namespace, tags) == over


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"tag": {}}, "there is no limit tag; known are namespace, tags, resources"),
        ({"namespace": {"team": 5}}, "there is no limit namespace.team; known are default, names"),
        ({"tags": {"gpu": -1}}, "gpu must be a whole number, 0 or more, not -1"),
        ({"tags": {"gpu": True}}, "gpu must be a whole number, 0 or more, not True"),
        ({"tags": ["gpu"]}, "tags must be an object of names and numbers"),
        ({"tags": {"gpu": {"most": 4}}}, "there is no limit gpu.most; known are all, perNamespace"),
        ({"tags": {"gpu": {"perNamespace": 4}}}, "gpu.all must be a whole number, 0 or more, not None"),
        (
            {"resources": {"gpu": {"all": 1, "perNamespace": -1}}},
            "gpu.perNamespace must be a whole number, 0 or more, not -1",
        ),
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
    assert (line._needs, line._lines) == ({}, {})


def test_a_limit_of_a_resource_is_met_by_whoever_asks_for_it_and_by_nobody_else() -> None:
    limits = Limits.read({"resources": {"nvidia.com/gpu": {"all": 4, "perNamespace": 3}}})
    every, part = Name("resource", "nvidia.com/gpu"), Name("resource", "nvidia.com/gpu", "team")
    assert limits.over("team", ["nvidia.com/gpu"], ["cpu"]) == ()
    assert limits.over("team", [], ["nvidia.com/gpu", "cpu"]) == (every, part)
    assert (limits.allowed(every), limits.allowed(part)) == (4, 3)
    assert str(part) == "resource 'nvidia.com/gpu' in namespace 'team'"


def test_no_namespace_takes_more_than_its_part() -> None:
    line: Slots[str] = Slots(Limits.read({"tags": {"gpu": {"all": 4, "perNamespace": 2}}}))
    needs = {space: line.limits.over(space, ["gpu"]) for space in ("evil", "victim")}
    for key in ("a", "b"):
        line.hold(key, needs["evil"], "evil")
    (whole, part) = line.seen_by("c", age(0), "c", needs["evil"], "evil")
    assert (whole.full, part.full) == (False, True)
    line.wait("c", age(0), "c", needs["evil"], "evil")
    assert not any(limit.full for limit in line.seen_by("v", age(9), "v", needs["victim"], "victim"))


def test_of_two_namespaces_that_wait_the_one_with_fewer_slots_is_first_however_old_the_others_are() -> None:
    line = slots(gpu=4)
    for number in range(4):
        line.hold(f"held{number}", (GPU,), "evil")
    for number in range(100):
        line.wait(f"evil{number}", age(number), f"evil{number}", (GPU,), "evil")
    for number in range(3):
        line.wait(f"victim{number}", age(1000 + number), f"victim{number}", (GPU,), "victim")
    line.next()
    for number in range(3):
        line.release(f"held{number}")
    assert line.next() == ["victim0", "evil0", "victim1"]
    (limit,) = line.seen_by("evil1", age(1), "evil1", (GPU,), "evil")
    assert (limit.held, limit.ahead, limit.full) == (1, 3, True)


def steps(work: Callable[[], object]) -> int:
    """Lines of the module that are run."""
    count = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename != concurrency.__file__:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def full_line(length: int, *, blocked: bool) -> Slots[str]:
    """So many wait in three namespaces; where `blocked`, for something else that is full as well."""
    line = slots(gpu=2, db=0)
    needs = (DB, GPU) if blocked else (GPU,)
    line.hold("held", (GPU,), "one")
    for number in range(length):
        line.wait(f"k{number}", age(number), f"k{number}", needs, ("one", "two", "three")[number % 3])
    return line


@pytest.mark.parametrize("blocked", [False, True])
def test_no_step_costs_more_the_longer_the_line_is(blocked: bool) -> None:
    costs = []
    for length in (300, 3000):
        line = full_line(length, blocked=blocked)
        line.release("held")
        turns = steps(line.next)
        looks = steps(lambda line=line: line.seen_by("new", age(9999), "new", (GPU,), "two"))  # type: ignore[misc]
        waits = steps(lambda line=line: line.wait("new", age(9999), "new", (GPU,), "two"))  # type: ignore[misc]
        leaves = steps(lambda line=line: line.leave("k0"))  # type: ignore[misc]
        costs.append((turns, looks, waits - waits % 20, leaves - leaves % 20))
    assert costs[0] == costs[1]


class Line(RuleBasedStateMachine):
    """Runs come, wait, are served, end. A model that walks the whole line each time says whose turn it is."""

    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        tags = {"gpu": Most(1), "db": Most(2, 1), "off": Most(0), "large": Most(4, 3)}
        self.slots: Slots[int] = Slots(Limits(default=3, tags=tags))
        self.needs: dict[int, tuple[Name, ...]] = {}
        self.spaces: dict[int, str] = {}
        self.held: set[int] = set()
        self.waiting: set[int] = set()

    @rule(
        target=runs, tags=st.sets(st.sampled_from(["gpu", "db", "off", "free", "large"])), space=st.sampled_from("ab")
    )
    def comes(self, tags: set[str], space: str) -> int:
        key = len(self.needs)
        self.needs[key], self.spaces[key] = self.slots.limits.over(space, tags), space
        return key

    @rule(key=runs)
    def looks(self, key: int) -> None:
        """What a reconcile does: take the slots or a place in the line."""
        if key in self.held:
            return
        seen = self.slots.seen_by(key, age(key), str(key), self.needs[key], self.spaces[key])
        if any(limit.full for limit in seen):
            assert key not in self.turn({*self.waiting, key})
            self.slots.wait(key, age(key), str(key), self.needs[key], self.spaces[key])
            self.waiting.add(key)
        else:
            assert key in self.turn({*self.waiting, key})
            self.slots.hold(key, self.needs[key], self.spaces[key])
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
        shares = Counter(self.spaces[key] for key in self.held if any(name.shared for name in self.needs[key]))
        served: set[int] = set()
        while True:
            able = [
                key
                for key in waiting - served
                if all(taken.count(name) < self.slots.limits.allowed(name) for name in self.needs[key])
            ]
            if not able:
                return served
            first = min(able, key=lambda key: (shares[self.spaces[key]], age(key), str(key)))
            served.add(first)
            taken += self.needs[first]
            shares[self.spaces[first]] += any(name.shared for name in self.needs[first])

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
