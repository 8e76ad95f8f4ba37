"""Objects through payloads."""

from __future__ import annotations

import functools
import pickle
from typing import Any

import pytest

from podtask_runner.errors import EnvironmentMismatch
from podtask_runner.serialization import header, pickling
from podtask_runner.serialization.registry import NotReadable


class Future:
    def __init__(self, name: str) -> None:
        self.name = name


def refer(obj: object) -> str | None:
    return obj.name if isinstance(obj, Future) else None


def test_functions_travel_by_value() -> None:
    factor = 3
    assert pickling.loads(pickling.dumps(lambda x: x * factor))(2) == 6


def test_a_cached_property_travels() -> None:
    class Circle:
        radius = 3

        @functools.cached_property
        def area(self) -> int:
            """About."""
            return self.radius * self.radius * 3

    there = pickling.loads(pickling.dumps(vars(Circle)["area"]))
    assert (there.attrname, there.__doc__) == ("area", "About.")
    assert there.__get__(Circle()) == 27


def test_references_are_resolved_wherever_they_stand() -> None:
    value = {"deep": [(Future("a"),)], "set": {Future("b")}}
    data = pickling.dumps(value, reference=refer)
    assert pickling.loads(data, resolve={"a": 1, "b": 2}.__getitem__) == {"deep": [(1,)], "set": {2}}


def test_references_without_a_resolver_are_an_error_that_names_them() -> None:
    with pytest.raises(pickle.UnpicklingError, match="'a'"):
        pickling.loads(pickling.dumps(Future("a"), reference=refer))


def test_the_header_is_checked_before_a_pickle_byte_is_read() -> None:
    bomb = pickle.dumps(Bomb())
    with pytest.raises(EnvironmentMismatch):
        pickling.loads(header.Header(1, "2.7", "3.1.2", "linux").line() + bomb)


class Bomb:
    def __reduce__(self) -> Any:
        return pytest.fail, ("the pickle was opened",)


@pytest.mark.parametrize("value", [None, 1.5, {"a": [1]}, {1, 2}, (1, 2), b"x", {1: 2}, float("inf")], ids=repr)
def test_results_come_back_equal_and_of_the_same_type(value: object) -> None:
    data, serializer = pickling.serialize_result(value)
    back = pickling.deserialize(data, serializer)
    assert back == value
    assert type(back) is type(value)


def test_an_unknown_serializer_is_named() -> None:
    with pytest.raises(NotReadable, match=r"'arrow'.*register_serializer"):
        pickling.deserialize(b"", "arrow")


@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview])
def test_any_buffer_is_read(buffer: Any) -> None:
    big = list(range(10_000)), b"x" * 1_000_000
    assert pickling.loads(buffer(pickling.dumps(big))) == big
