"""Annotations that pydantic has no check for: the flow runs, and its other parameters are checked."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from podtask import ParameterTypeError, flow


class Loads(Protocol):
    def load(self) -> int: ...


class Limits(typing.TypedDict):
    most: int


class Shop:
    def load(self) -> int:
        return 3


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(Loads, Shop()), (list[Loads], [Shop()]), (Limits, {"most": 2}), ({"most": int}, {"most": 2})],
)
def test_what_has_no_check_is_not_checked(annotation: Any, value: object) -> None:
    def taking(given: Any, number: int) -> tuple[object, int]:
        return given, number

    taking.__annotations__["given"] = annotation
    taken = flow(taking)
    assert taken(value, "5") == (value, 5)
    with pytest.raises(ParameterTypeError, match=r"Flow 'taking': 'number': "):
        taken(value, "five")


@dataclass
class Series:
    numbers: Iterable[int]


LAZY = {
    "a list": (Iterable[int], [1, 2], True),
    "a typing alias": (typing.Iterable[int], (1, 2), True),
    "a generator": (Iterable[int], (number for number in (1, 2)), True),
    "none, or some": (Iterable[int] | None, [1, 2], True),
    "lists of them": (list[Iterable[int]], [[1], [2]], False),
    "in a dict": (dict[str, Iterable[int]], {"a": [1]}, False),
}


@pytest.mark.parametrize("what", LAZY)
def test_what_is_checked_while_somebody_iterates_is_the_callers_own(what: str) -> None:
    annotation, value, same = LAZY[what]

    def taking(given: Any) -> object:
        return given is value if same else given == value

    taking.__annotations__["given"] = annotation
    assert flow(taking)(value)


def test_so_is_what_stands_in_a_field() -> None:
    @flow
    def taking(series: Series) -> tuple[list[int], list[int]]:
        return list(series.numbers), list(series.numbers)

    assert taking({"numbers": [1, 2]}) == ([1, 2], [1, 2])


def test_a_bad_item_is_named_before_the_flow_runs() -> None:
    @flow
    def taking(given: Iterable[int]) -> None:
        raise AssertionError

    with pytest.raises(ParameterTypeError, match=r"'given\.1': "):
        taking([1, "x"])


@pytest.mark.parametrize("annotation", [Loads, "NoSuchName"], ids=str)
def test_a_parameter_that_cannot_be_checked_is_told_once(annotation: Any, caplog: pytest.LogCaptureFixture) -> None:
    def taking(given: Any) -> object:
        return given

    taking.__annotations__["given"] = annotation
    taken = flow(taking)
    assert [taken({"a": 1}), taken({"a": 1})] == [{"a": 1}, {"a": 1}]
    (told,) = caplog.messages
    assert told.startswith("Flow 'taking' does not check its parameter 'given': ")


def test_none_is_taken_where_it_is_the_default_and_nowhere_else() -> None:
    @flow
    def taking(x: int = None, *, y: list[int] = None, z: int = 1) -> tuple[object, ...]:  # type: ignore[assignment] # noqa: RUF013 # pyright: ignore
        return x, y, z

    assert taking() == taking(None, y=None) == (None, None, 1)
    assert taking("5", y=["6"]) == (5, [6], 1)
    with pytest.raises(ParameterTypeError, match=r"'z': .*got None"):
        taking(z=None)
    with pytest.raises(ParameterTypeError, match=r"'x': .*got 'five'"):
        taking("five")


def test_none_among_several_arguments_of_one_parameter_is_checked() -> None:
    @flow
    def taking(*numbers: int) -> tuple[int, ...]:
        return numbers

    with pytest.raises(ParameterTypeError, match="got None"):
        taking(1, None)
