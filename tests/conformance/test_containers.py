"""Futures, states and iterators in containers of every kind: as arguments, in `wait_for`, and in what flows return."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import attrs
import pydantic
import pytest

from podtask import TaskFuture, UpstreamNotReady, flow, task
from podtask.states import Cancelled, Completed, Failed, State, StateType


def travelling() -> dict[str, Callable[[Any], Any]]:
    """Ways to hold something that need nothing but the standard library; their classes travel by value."""

    @dataclass
    class Record:
        inside: Any

    Pair = namedtuple("Pair", "inside other")  # noqa: PYI024 - the plain kind is the subject

    return {
        "list": lambda item: [item],
        "tuple": lambda item: (item,),
        "deque": lambda item: deque([item]),
        "dict": lambda item: {"inside": item},
        "ordered dict": lambda item: OrderedDict(inside=item),
        "default dict": lambda item: defaultdict(list, inside=item),
        "dataclass": Record,
        "namedtuple": lambda item: Pair(item, 1),
        "a record in a list in a dict": lambda item: {"inside": [Record(item)]},
    }


def holders() -> dict[str, Callable[[Any], Any]]:
    """The same, and those that are looked into in the driver only: a runner image has neither library."""

    @attrs.define
    class Attrs:
        inside: Any

    class Model(pydantic.BaseModel):
        inside: Any

    return {**travelling(), "attrs": Attrs, "model": lambda item: Model(inside=item)}


def looking() -> Callable[[Any], Any]:
    """A function that gives what a holder holds."""

    def inside(value):
        while not isinstance(value, (int, str, BaseException)):
            if isinstance(value, dict):
                value = value["inside"]
            elif hasattr(value, "inside"):
                value = value.inside
            elif hasattr(value, "__getitem__"):
                value = value[0]
            else:
                return value
        return value

    return inside


def failing() -> TaskFuture[None]:
    """A future of a task that fails."""

    @task
    def bad():
        raise ValueError("broken")

    return bad()


@pytest.mark.usefixtures("backend")
class TestWaitFor:
    def test_a_failed_future_counts_wherever_it_stands(self) -> None:
        after = task(lambda: "ran", name="after")

        @flow
        def flowing():
            bad = failing()
            ways = {**holders(), "generator": lambda item: (each for each in (item,)), "set": lambda item: {item}}
            runs = {name: after(wait_for=hold(bad)) for name, hold in ways.items()}
            runs["nothing around it"] = after(wait_for=bad)
            return {name: future.wait().name for name, future in runs.items()}

        assert set(flowing().values()) == {"NotReady"}

    @pytest.mark.straight
    def test_a_state_that_belongs_to_no_task_run_counts_by_what_it_is(self) -> None:
        after = task(lambda x=None: "ran", name="after")

        @flow
        def flowing():
            states = [Failed("x"), Cancelled("x"), State(StateType.RUNNING), State(StateType.PENDING), Completed(1)]
            waited = [after(wait_for=[state]).wait().name for state in states]
            passed = [after({"a": [state]}).wait().name for state in states]
            return waited, passed

        expected = ["NotReady"] * 4 + ["Completed"]
        assert flowing() == (expected, expected)

    def test_the_failure_behind_it_is_the_cause(self) -> None:
        @flow
        def bad():
            raise ValueError("of the subflow")

        @flow
        def flowing():
            return task(lambda: 1, name="after")(wait_for=[bad(return_state=True)])

        with pytest.raises(UpstreamNotReady) as raised:
            flowing()
        assert str(raised.value.__cause__) == "of the subflow"

    def test_an_async_flow_waits_alike(self) -> None:
        @flow
        async def bad():
            raise ValueError("of the subflow")

        @task
        async def after():
            return "ran"

        @flow
        async def flowing():
            states = [await bad(return_state=True), Failed("x"), Completed(1)]
            return [(await (await after(wait_for={"a": state})).wait()).name for state in states]

        assert asyncio.run(flowing()) == ["NotReady", "NotReady", "Completed"]

    def test_every_element_of_a_map_waits_for_what_can_be_gone_through_once(self) -> None:
        after = task(lambda x: x, name="after")

        @flow
        def flowing():
            bad = failing()
            return [future.wait().name for future in after.map([1, 2], wait_for=(each for each in [bad]))]

        assert flowing() == ["NotReady", "NotReady"]

    def test_a_list_in_itself_ends(self) -> None:
        @flow
        def flowing():
            around: list[Any] = [task(lambda: 1, name="first")()]
            around.append(around)
            return task(lambda: "ran", name="after")(wait_for=around).result()

        assert flowing() == "ran"

    def test_an_object_without_a_future_is_a_mistake_and_an_empty_one_is_not(self) -> None:
        after = task(lambda: "ran", name="after")

        @flow
        def flowing():
            record = holders()["dataclass"]
            for wrong in ([record(5)], {"a": "b"}, "text", [b"bytes"], [{"a": {}}]):
                with pytest.raises(TypeError, match="wait_for takes task futures, not "):
                    after(wait_for=wrong)
            return [after(wait_for=nothing).result() for nothing in ([], {}, None, [[]], [None])]

        assert flowing() == ["ran"] * 5


@pytest.mark.usefixtures("backend")
class TestArguments:
    def test_a_task_gets_results_wherever_their_futures_and_states_stand(self) -> None:
        look = task(looking(), name="look")

        @flow
        def flowing():
            one = task(lambda: 1, name="one")()
            items = {"future": one, "state": one.wait(), "made by hand": Completed(1)}
            return [look(hold(item)) for item in items.values() for hold in travelling().values()]

        assert set(flowing()) == {1}

    def test_a_subflow_gets_values_and_exceptions_wherever_their_futures_stand(self) -> None:
        @flow(validate_parameters=False)
        def look(x):
            return repr(looking()(x))

        @flow
        def flowing():
            good, bad = task(lambda: 1, name="good")(), failing()
            ways = {**holders(), "generator": lambda item: (each for each in (item,))}
            return {(look(hold(good)), look(hold(bad))) for hold in ways.values()}

        assert flowing() == {("1", "ValueError('broken')")}

    def test_a_generator_for_a_subflow_may_call_tasks(self) -> None:
        double = task(lambda x: 2 * x, name="double")

        @flow
        def total(numbers):
            return sum(numbers)

        @flow
        def flowing():
            return total(double(x) for x in range(3))

        assert flowing() == 6


@pytest.mark.usefixtures("backend")
class TestReturned:
    def test_the_value_of_a_flow_holds_results_wherever_their_futures_stood(self) -> None:
        one = task(lambda: 1, name="one")

        @flow
        def flowing():
            future = one()
            return {name: hold(future) for name, hold in holders().items()}

        inside = looking()
        assert {name: inside(value) for name, value in flowing().items()} == dict.fromkeys(holders(), 1)

    @pytest.mark.parametrize("how", holders())
    def test_a_failed_future_is_raised_wherever_it_stands(self, how: str) -> None:
        @flow
        def flowing():
            return holders()[how](failing())

        with pytest.raises(ValueError, match="broken"):
            flowing()

    def test_an_iterator_is_gone_through_inside_of_the_flow(self) -> None:
        one = task(lambda x: x, name="one")

        @flow
        def generating():
            for x in range(2):
                yield one(x)

        @flow
        def nested():
            return {"a": (one(x) for x in range(2)), "b": [iter([one(2)])]}

        @flow
        async def later():
            return (one(x) for x in range(2))

        assert generating() == [0, 1]
        assert nested() == {"a": [0, 1], "b": [[2]]}
        assert asyncio.run(later()) == [0, 1]

    def test_what_it_raises_fails_the_flow(self) -> None:
        @flow
        def generating():
            yield 1
            raise ValueError("halfway")

        state = generating(return_state=True)
        assert (state.name, str(state.exception())) == ("Failed", "halfway")
