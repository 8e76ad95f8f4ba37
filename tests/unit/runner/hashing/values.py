"""Values for the hashing properties: strategies, their spelling as Python, and when two of them are the same value."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from hypothesis import strategies as st
from tests.unit.runner.hashing.sample import Access, Colour, Pair, Plain, Point, Words

from podtask_runner.hashing.content_hash import content_hash

ZONES = st.sampled_from([None, dt.timezone.utc, dt.timezone(dt.timedelta(hours=-3, minutes=-30))])
PATHS = [kind(text) for kind in (PurePosixPath, PureWindowsPath) for text in ("a", "a/b", ".")]
LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(allow_nan=False),
    st.text(),
    st.binary(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.dates(),
    st.datetimes(timezones=ZONES),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from([*Colour, Access.READ, Access.READ | Access.WRITE, *PATHS]),
)
KEYS = LEAVES.filter(lambda value: value == value)  # a NaN is a key of its own each time
SETS = st.sets(KEYS, max_size=5)
VALUES = st.recursive(
    LEAVES | SETS | SETS.map(frozenset) | SETS.map(Words) | st.builds(range, st.integers(0, 9), st.integers(0, 9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.tuples(inner, inner),
        st.builds(Pair, inner, inner),
        st.builds(Point, inner, SETS),
        st.dictionaries(st.sampled_from(["a", "b", "c"]), inner).map(lambda values: Plain(**values)),
        st.dictionaries(KEYS, inner, max_size=5),
    ),
    max_leaves=20,
)


def spelled(value: Any, *, backwards: bool = False) -> str:
    """An expression for the value. `backwards`: for an equal one, whose sets and dicts are made in another order."""

    def each(items: Any) -> list[str]:
        return [spelled(item, backwards=backwards) for item in items]

    def turned(items: list[str]) -> list[str]:
        return items[::-1] if backwards else items

    def entries(mapping: dict[Any, Any]) -> list[str]:
        return turned([f"{spelled(key)}: {spelled(item, backwards=backwards)}" for key, item in mapping.items()])

    kind = type(value)
    if kind in (Pair, Point):
        return f"{kind.__name__}({', '.join(each(vars(value).values() if kind is Point else value))})"
    if kind is Plain:
        return f"Plain(**{{{', '.join(entries(vars(value)))}}})"
    if kind in (set, frozenset, Words):
        return f"{kind.__name__}([{', '.join(turned(each(value)))}])"
    if kind in (list, tuple):
        return f"{kind.__name__}([{', '.join(each(value))}])"
    if kind is dict:
        return f"{{{', '.join(entries(value))}}}"
    if isinstance(value, (Colour, Access)):
        return f"{kind.__name__}({value.value!r})"
    if kind is complex:
        return f"complex({', '.join(each((value.real, value.imag)))})"
    return f"float({str(value)!r})" if kind is float else repr(value)


def typed(value: Any) -> Any:
    """Equal for two values exactly when they and all types inside are; the reference for the encoder."""
    kind = type(value)
    if kind in (list, tuple, Pair):
        return kind, tuple(typed(item) for item in value)
    if kind in (set, frozenset, Words):
        return kind, frozenset(typed(item) for item in value)
    if kind in (Point, Plain):
        return kind, typed(vars(value))
    if kind is dict:
        return dict, frozenset((typed(key), typed(item)) for key, item in value.items())
    return kind, repr(value)


def neighbours(value: Any) -> Iterator[Any]:
    """Values that are almost this one: of another type, an item shorter, with one item that is almost the same."""
    kind = type(value)
    if kind is bool or kind is int:
        yield from (float(value % 2**53), str(value), not value, value + 1, [value], Plain(a=value))
    elif kind is float:
        yield from (-value, repr(value), complex(value), None)
    elif kind is str:
        yield from (value.encode("utf-8", "replace"), value + " ", PurePosixPath(value), [value])
    elif kind is bytes:
        yield from (bytearray(value), value + b"\0", list(value))
    elif kind in (list, tuple, Pair):
        yield from (
            [*value],
            (*value,),
            [*value, None],
            list(value)[:-1],
            [value],
            list(value)[::-1],
            dict(enumerate(value)),
        )
        yield from ([*value[:at], near, *value[at + 1 :]] for at, item in enumerate(value) for near in neighbours(item))
    elif kind in (set, frozenset, Words):
        yield from (set(value), frozenset(value), Words(value), list(value), dict.fromkeys(value), [set(value)])
    elif kind is dict:
        yield from (list(value.items()), list(value), {str(key): item for key, item in value.items()})
        yield from ({**value, key: near} for key, item in value.items() for near in neighbours(item))
    elif kind in (Plain, Point):
        yield from (vars(value), Plain(**vars(value)), Plain(**{**vars(value), "z": None}))
    else:
        yield from (repr(value), [value])


def hashes(*values: Any) -> set[str]:
    """The content hashes of values: one where they are equal, as many as there are values where they differ."""
    found = {content_hash(value) for value in values}
    assert all(re.fullmatch("h1:[0-9a-f]{64}", each) for each in found)
    return found
