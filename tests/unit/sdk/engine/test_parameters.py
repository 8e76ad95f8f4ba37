"""Annotations that pydantic has no check for: the flow runs, and its other parameters are checked."""

from __future__ import annotations

import typing
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
