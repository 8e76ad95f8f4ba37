"""Values on their way to a task and back: what arrives is equal and of the same type (task-semantics §§2, 3)."""

from __future__ import annotations

import math
from collections import ChainMap, Counter, OrderedDict, UserList, defaultdict, deque, namedtuple
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath

import pytest

from podtask import flow, task

VALUES = {
    "nothing": None,
    "a truth": True,
    "a huge integer": 2**200,
    "a negative zero": -0.0,
    "an infinity": math.inf,
    "a text beyond ascii": "größe 💡",
    "half of a surrogate pair": "\ud800",
    "bytes": b"\x00\xff",
    "a tuple in a list": [(1, (2,)), []],
    "a set": {1, "a", None},
    "a frozen set": frozenset({1}),
    "a dict with numbers for keys": {1: "a", 2.5: "b", None: "c", (1, 2): "d"},
    "an ordered dict": OrderedDict(b=1, a=2),
    "a default dict": defaultdict(list, a=[1]),
    "a counter": Counter("aab"),
    "a deque": deque([1, 2], maxlen=5),
    "a complex number": 1 + 2j,
    "a decimal": Decimal("1.10"),
    "a fraction": Fraction(1, 3),
    "a time with a zone": datetime(2026, 1, 2, 3, 4, 5, 6, timezone(timedelta(hours=2))),
    "a path": PurePosixPath("/a/b"),
    "a range": range(0, 10, 3),
    "a text as long as a page of a book": "word " * 600,
    "more than a taskrun carries": bytes(range(256)) * 400,
}


@pytest.mark.usefixtures("backend")
class TestValues:
    @pytest.mark.parametrize("what", VALUES)
    def test_a_value_arrives_as_it_is_and_comes_back_as_it_is(self, what: str) -> None:
        value = VALUES[what]

        @task
        def mirror(x):
            return x, type(x).__name__, repr(x)[:200]

        @flow
        def there_and_back():
            return mirror(value).result()

        back, kind, shown = there_and_back()
        assert back == value
        assert type(back) is type(value)
        assert kind == type(value).__name__
        if not isinstance(value, (set, frozenset)):
            assert shown == repr(value)[:200]

    def test_not_a_number_stays_one(self) -> None:
        @flow
        def there_and_back():
            return task(lambda x: x)(math.nan).result()

        assert math.isnan(there_and_back())

    def test_functions_and_classes_of_the_script_travel_by_value(self) -> None:
        class Point:
            def __init__(self, x):
                self.x = x

            def moved(self, by):
                return type(self)(by(self.x))

        @task
        def move(point, by):
            return point.moved(by)

        @flow
        def moving():
            return move(Point(1), lambda x: x + 10).result().x

        assert moving() == 11


def containers(future):
    """Containers that hold the future, in every place the semantics name."""
    Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - the plain kind is the subject

    @dataclass
    class Box:
        inside: object

    class Own:
        def __init__(self, inside):
            self.inside = inside

    return {
        "a list": ([future], lambda x: x[0]),
        "a tuple": ((0, future), lambda x: x[1]),
        "a set": ({future}, lambda x: next(iter(x))),
        "a dict's value": ({"a": future}, lambda x: x["a"]),
        "a dict's key": ({future: "a"}, lambda x: next(iter(x))),
        "an ordered dict": (OrderedDict(a=future), lambda x: x["a"]),
        "lists in dicts in tuples": (({"a": [future]},), lambda x: x[0]["a"][0]),
        "an iterator": (iter([future]), lambda x: x[0]),
        "a dataclass": (Box([future]), lambda x: x.inside[0]),
        "a named tuple": (Pair(future, 2), lambda x: x.left),
        "an object of one's own": (Own({"a": future}), lambda x: x.inside["a"]),
        "a default dict": (defaultdict(list, a=[future]), lambda x: x["a"][0]),
        "a deque": (deque([future]), lambda x: x[0]),
        "a user list": (UserList([future]), lambda x: x[0]),
        "a chain of maps": (ChainMap({"a": future}), lambda x: x["a"]),
        "a final state": (future.wait(), lambda x: x),
        "a list of states": ([future.wait()], lambda x: x[0]),
    }


class Stand:
    """In place of a future, to ask for the names only."""

    def wait(self):
        return self


PLACES = list(containers(Stand()))


@pytest.mark.usefixtures("backend")
class TestContainers:
    @pytest.mark.parametrize("where", PLACES)
    def test_a_future_is_replaced_by_its_result_wherever_it_can_be_pickled(self, where: str) -> None:
        @task
        def one():
            return 1

        @task
        def opened(holder, look):
            return look(holder)

        @flow
        def passing():
            future = one()
            holder, look = containers(future)[where]
            after = opened(holder, look)
            return after.result(), after.task_run.task_inputs["holder"] == [future.run_id]

        assert passing() == (1, True)

    def test_futures_as_extra_positional_and_keyword_arguments(self) -> None:
        @task
        def one(x):
            return x

        @task
        def total(*numbers, **more):
            return sum(numbers) + sum(more.values())

        @flow
        def adding():
            return total(one(1), one(2), a=one(3), b=4).result()

        assert adding() == 10

    def test_many_futures_meet_in_one_task(self) -> None:
        @task
        def one(x):
            return x

        @flow
        def adding():
            return task(sum)(one.map(range(12))).result()

        assert adding() == 66
