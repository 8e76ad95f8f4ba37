"""What a flow's return value makes of its state, parameters that are coerced, and maps (task-semantics §§2, 6)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from podtask import MappingError, flow, tags, task, task_input_hash, unmapped
from podtask.states import Completed, Failed

RETURNED = {
    # what is returned of (good, bad): the name of the flow's state, and its message
    "a good future": (lambda good, bad: good, "Completed", "All states completed."),
    "a bad future": (lambda good, bad: bad, "Failed", "1/1 states failed."),
    "a list of good ones": (lambda good, bad: [good, good], "Completed", "All states completed."),
    "a list with a bad one": (lambda good, bad: [good, bad, good], "Failed", "1/3 states failed."),
    "a tuple with two bad ones": (lambda good, bad: (bad, good, bad), "Failed", "2/3 states failed."),
    "a set of both": (lambda good, bad: {good, bad}, "Failed", "1/2 states failed."),
    "a good state": (lambda good, bad: good.wait(), "Completed", "All states completed."),
    "a bad state": (lambda good, bad: bad.wait(), "Failed", "1/1 states failed."),
    "a state and a future": (lambda good, bad: [good.wait(), bad], "Failed", "1/2 states failed."),
    "a dict of futures": (lambda good, bad: {"a": good, "b": bad}, "Completed", None),
    "futures and a value": (lambda good, bad: [good, bad, 5], "Completed", None),
    "lists of futures in a list": (lambda good, bad: [[good], [bad]], "Completed", None),
    "an empty list": (lambda good, bad: [], "Completed", None),
    "a value": (lambda good, bad: good.result(), "Completed", None),
    "nothing": (lambda good, bad: None, "Failed", "1/2 states failed."),
    "a result that is nothing": (lambda good, bad: bad.result(raise_on_failure=False) and None, "Failed", "1/2 states"),
    "a completed state made by hand": (lambda good, bad: Completed(5, message="mine"), "Completed", "mine"),
    "a failed state made by hand": (lambda good, bad: Failed("mine"), "Failed", "mine"),
}


@pytest.mark.usefixtures("backend")
class TestReturned:
    @pytest.mark.parametrize("what", RETURNED)
    def test_what_a_flow_returns_decides_its_state(self, what: str) -> None:
        choose, name, message = RETURNED[what]

        @task
        def ending(fails):
            if fails:
                raise ValueError("bad")
            return 1

        @flow
        def returning():
            return choose(ending(False), ending(True))

        state = returning(return_state=True)
        assert state.name == name
        assert (state.message or "").startswith(message or "")
        assert (message is None) == (state.message is None)

    def test_a_subflow_counts_as_a_task_does(self) -> None:
        @task
        def bad():
            raise ValueError("bad")

        @flow
        def inner():
            bad()

        @flow
        def outer():
            inner(return_state=True)

        assert outer(return_state=True).message == "1/1 states failed."

    def test_every_combination_of_sync_and_async_flows_and_tasks_gives_the_value(self) -> None:
        @task
        def plain(x):
            return x

        @task
        async def later(x):
            return x

        @flow
        def plain_flow():
            return [plain(1), later(2)]

        @flow
        async def async_flow():
            return [plain(1), await later(2)]

        assert plain_flow() == asyncio.run(async_flow()) == [1, 2]


@dataclass
class Point:
    x: int


@pytest.mark.usefixtures("backend")
class TestParameters:
    def test_parameters_are_coerced_by_their_annotations_and_reach_the_tasks_so(self) -> None:
        @task
        def kinds(*values):
            return [type(value).__name__ for value in values]

        @flow
        def flowing(number: int, maybe: float | None, several: list[int], anything: Any, point: Point):
            return kinds(number, maybe, several[0], anything, point.x).result()

        assert flowing("5", "1.5", ("1",), "text", {"x": "7"}) == ["int", "float", "int", "str", "int"]

    def test_an_annotation_that_cannot_be_resolved_leaves_the_others_checked(self) -> None:
        class Hidden:
            pass

        @flow
        def flowing(number: int, hidden: Hidden, unknown: Nowhere):  # noqa: F821 # pyright: ignore
            return number

        assert flowing("5", 1, 2) == 5

    def test_a_future_is_coerced_by_its_result(self) -> None:
        @task
        def text():
            return "5"

        @flow
        def inner(number: int):
            return number + 1

        @flow
        def outer():
            return inner(text())

        assert outer() == 6


@pytest.mark.usefixtures("backend")
class TestMaps:
    def test_iterables_of_every_kind_advance_together(self) -> None:
        @task
        def join(a, b, c, d):
            return f"{a}{b}{c}{d}"

        @flow
        def mapping():
            return join.map([1, 2], (3, 4), range(5, 7), d=(n for n in "xy"))

        assert mapping() == ["135x", "246y"]

    def test_texts_bytes_dicts_and_unmapped_values_stay_whole(self) -> None:
        @task
        def whole(n, text, data, pairs, several):
            return [n, text, data, pairs, several]

        @flow
        def mapping():
            return whole.map([1, 2], "ab", b"cd", {"e": 1}, unmapped([7, 8]))

        assert mapping() == [[n, "ab", b"cd", {"e": 1}, [7, 8]] for n in (1, 2)]

    def test_a_map_over_a_map_passes_futures_on(self) -> None:
        @task
        def double(x):
            return 2 * x

        @flow
        def mapping():
            return double.map(double.map([1, 2, 3]))

        assert mapping() == [4, 8, 12]

    def test_a_map_waits_for_what_it_is_told_to(self) -> None:
        @task
        def now(x=0):
            import time

            return time.time()

        @flow
        def mapping():
            first = now()
            return all(first.result() <= other.result() for other in now.map([1, 2], wait_for=[first]))

        assert mapping()

    def test_a_failed_element_fails_alone(self) -> None:
        @task
        def inverse(x):
            return 1 / x

        @flow
        def mapping():
            return [future.wait().name for future in inverse.map([1, 0, 2])]

        assert mapping() == ["Completed", "Failed", "Completed"]

    def test_lengths_that_differ_and_nothing_to_go_over_are_told_at_the_call(self) -> None:
        @task
        def add(x, y=0):
            return x + y

        @flow
        def mapping():
            with pytest.raises(MappingError):
                add.map([1, 2], [1, 2, 3])
            with pytest.raises(MappingError):
                add.map(1)
            return [future.result() for future in add.map([1])]

        assert mapping() == [1]

    def test_mapped_async_tasks_are_awaited_one_by_one(self) -> None:
        @task
        async def double(x):
            return 2 * x

        @flow
        async def mapping():
            return [await (await call) for call in double.map([1, 2])]

        assert asyncio.run(mapping()) == [2, 4]

    def test_tags_around_a_map_are_those_of_every_element_and_end_with_their_block(self) -> None:
        @task
        def mine(x):
            return x

        @flow
        def mapping():
            with tags("outer"), tags("inner"):
                inside = mine.map([1, 2])
            outside = mine(3)
            return [sorted(future.task_run.tags) for future in [*inside, outside]]

        assert mapping() == [["inner", "outer"], ["inner", "outer"], []]

    def test_equal_elements_of_a_cached_map_are_computed_once(self) -> None:
        @task(cache_key_fn=task_input_hash)
        def slow(x, mark="map"):
            return x

        @flow
        def mapping():
            futures = slow.map([1, 1, 2])
            return [future.result() for future in futures], sorted(future.wait().name for future in futures)

        assert mapping() == ([1, 1, 2], ["Cached", "Completed", "Completed"])
