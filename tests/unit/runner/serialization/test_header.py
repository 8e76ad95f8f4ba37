"""Payload headers and exact JSON."""

from __future__ import annotations

import enum
import json
import math
from collections import OrderedDict, namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podtask_runner.errors import EnvironmentMismatch, InputCorrupted
from podtask_runner.names import PYTHON
from podtask_runner.serialization import header as payload

HERE = payload.Header(1, PYTHON, "3.1.2", "linux-x86_64")
EXACT = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return repr(one) == repr(other)


@given(EXACT)
def test_what_is_encoded_comes_back_exactly(value: object) -> None:
    data = payload.encode_json_exact(value)
    assert data is not None
    assert same(json.loads(data), value)


class Word(str):
    pass


class Colour(enum.IntEnum):
    RED = 1


def deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(value, id=name)
        for name, value in {
            "a tuple": (1, 2),
            "NaN": math.nan,
            "infinity": [math.inf],
            "a key that is no string": {1: 2},
            "a key that is a subclass of str": {Word("a"): 1},
            "a subclass of str": Word("a"),
            "a subclass of dict": OrderedDict(a=1),
            "a namedtuple": namedtuple("P", "x")(1),  # noqa: PYI024
            "an IntEnum": Colour.RED,
            "bytes": b"a",
            "a lone surrogate": "\udc80",
            "a lone surrogate in a key": {"\udc80": 1},
            "a cycle": CYCLE,
            "nesting beyond 100 levels": deep(101),
            "nesting beyond any stack": deep(100_000),
            "an integer beyond the limit of digits": 10**5000,
        }.items()
    ],
)
def test_what_json_cannot_carry_exactly_is_not_encoded(value: object) -> None:
    assert payload.encode_json_exact(value) is None


def test_a_header_comes_back_with_the_body_behind_it() -> None:
    header, body = payload.split(HERE.line() + b"rest\nof it")
    assert header == HERE
    assert bytes(body) == b"rest\nof it"


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x05", b'{"podtask":1', b'{"podtask":1}\n', b'{"podtask":"x","python":1}\nx']
)
def test_what_has_no_header_is_corrupted(data: bytes) -> None:
    with pytest.raises(InputCorrupted):
        payload.split(data)


@pytest.mark.parametrize(
    ("header", "sides"),
    [
        pytest.param(
            payload.Header(1, "2.7", "3.1.2", "linux-x86_64"), ["Python 2.7", PYTHON], id="another Python minor"
        ),
        pytest.param(payload.Header(9, PYTHON, "3.1.2", "linux-x86_64"), ["format 9", "up to 2"], id="a newer format"),
        pytest.param(
            payload.Header(1, PYTHON, "9.0.0", "linux-x86_64"),
            ["9.0.0", "3.1.2"],
            id="another cloudpickle major",
        ),
    ],
)
def test_a_mismatch_names_both_sides_and_the_cure(header: payload.Header, sides: list[str]) -> None:
    with pytest.raises(EnvironmentMismatch) as caught:
        payload.check(header, "3.1.2")
    for side in sides:
        assert side in str(caught.value)
    assert caught.value.cure


def test_another_platform_is_no_mismatch() -> None:
    payload.check(payload.Header(1, PYTHON, "3.0.0", "darwin-arm64"), "3.1.2")


@pytest.mark.parametrize(
    ("head", "ours", "serializer"),
    [
        (HERE.line(), "json", "cloudpickle"),
        (b'{"podtasks": 1}', "cloudpickle", "json"),
        (b"1", "json", "json"),
        (b"anything", "file;name=a", "file;name=a"),
    ],
)
def test_a_serializer_is_told_by_the_first_bytes(head: bytes, ours: str, serializer: str) -> None:
    assert payload.serializer_of(head, ours) == serializer
