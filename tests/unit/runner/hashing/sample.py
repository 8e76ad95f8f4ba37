"""Values and functions for the hashing tests; as a script it prints their hashes (see test_hash_processes)."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import json
import pathlib
import re
import uuid
import zoneinfo
from typing import Any, NamedTuple

from podtask_runner.hashing.content_hash import code_identity, content_hash, source_identity

Bare = collections.namedtuple("Bare", "a b")  # noqa: PYI024
WORDS = ("ada", "alan", "grace", "edsger", "barbara")
FACTOR = 3
TABLE = {"a", "b", "c"}


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Pair(NamedTuple):
    left: int
    right: int


@dataclasses.dataclass
class Point:
    x: int
    tags: set[str] = dataclasses.field(default_factory=set)

    def far(self) -> bool:
        return self.x > FACTOR


class Plain:
    limit = 5

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


class Words(set):  # type: ignore[type-arg]
    pass


def scaled(x: int, by: int = 2) -> int:
    """Docstrings do not count."""
    return helper(x) * by * FACTOR + len(TABLE)


def helper(x: int) -> int:
    return json.loads(str(x)) + 1  # type: ignore[no-any-return]


def even(n: int) -> bool:
    return n == 0 or odd(n - 1)


def odd(n: int) -> bool:
    return n != 0 and even(n - 1)


def adder(n: int) -> Any:
    return lambda x: x + n


def cyclic() -> list[Any]:
    value: list[Any] = [1]
    value.append({"self": value})
    return value


VALUES: dict[str, Any] = {
    "none": None,
    "ints": [0, -1, 255, 2**100, True],
    "floats": [0.1, -0.0, float("nan"), float("inf"), 1j],
    "strings": ["", "ü", "\udc80", "x" * 100, b"x", bytearray(b"x")],
    "set": set(WORDS),
    "frozenset in dict": {"k": frozenset(WORDS), "j": {"n": set(WORDS)}},
    "subclass of set": Words(WORDS),
    "dict": {word: len(word) for word in WORDS},
    "ordered": collections.OrderedDict(b=1, a=2),
    "counter": collections.Counter(WORDS),
    "defaultdict": collections.defaultdict(list, a=[1]),
    "deque": collections.deque(WORDS, maxlen=9),
    "numbers": [decimal.Decimal("1.10"), fractions.Fraction(1, 3)],
    "times": [
        dt.datetime(2024, 1, 2, 3, tzinfo=dt.timezone.utc),
        dt.date(2024, 1, 2),
        dt.time(1, 2, fold=1),
        dt.timedelta(1, 2, 3),
    ],
    "zones": [
        zoneinfo.ZoneInfo("Europe/Berlin"),
        dt.datetime(2024, 1, 2, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
        dt.datetime(2024, 1, 2, tzinfo=zoneinfo.ZoneInfo("UTC")),
    ],
    "alias": [list[int], dict[str, list[int]]],
    "namedtuple without a statement": Bare(1, "b"),
    "paths": [pathlib.Path("a/b"), pathlib.PureWindowsPath("a/b")],
    "uuid": uuid.UUID(int=7),
    "enums": [Colour.RED, Colour.BLUE, Access.READ | Access.WRITE],
    "namedtuple": Pair(1, 2),
    "dataclass": Point(1, set(WORDS)),
    "object": Plain(names=set(WORDS), n=1),
    "range and slice": [range(1, 10, 2), slice(1, None)],
    "partial": functools.partial(scaled, by=5),
    "many ints": list(range(-100, 100)),
    "many floats": tuple(n / 7 for n in range(100)),
    "many strings": [chr(n) * (n % 5) for n in range(0xD700, 0xD900)],
    "pattern": re.compile("a+", re.IGNORECASE),
    "cycle": cyclic(),
    "function": scaled,
    "method": Point(1).far,
    "builtin": len,
    "class": Point,
    "module": json,
    "type": [int, dict, Colour],
}

if __name__ == "__main__":
    hashes = {name: content_hash(value) for name, value in VALUES.items()}
    hashes["code"] = code_identity(helper)
    hashes["mutual recursion"] = code_identity(even)
    hashes["closure"] = code_identity(adder(3))
    hashes["source"] = source_identity("def main(x):\n    return x", "main")
    print(json.dumps(hashes))
