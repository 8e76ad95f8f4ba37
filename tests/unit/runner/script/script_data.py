"""Data of a script that travels to another process and back (`both_ways`): enums, records, containers, functions.

Run by `test_definitions.py` on every Python minor of this machine.
"""

from __future__ import annotations

import collections
import ctypes
import dataclasses
import enum
import functools
import sys
import typing
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypedDict, TypeVar

import both_ways

T = TypeVar("T")
UserId = typing.NewType("UserId", int)
COUNT = {"n": 0}
NAMES = COUNT


class Level(enum.IntEnum):
    LOW = 1
    MIN = 1
    HIGH = 2


class Perm(enum.Flag):
    R = 1
    W = 2
    RW = R | W


class Bits(enum.IntFlag):
    A = 11
    B = 37


class Planet(enum.Enum):
    EARTH = (5.97e24, 6.37e6)
    MARS = (6.4e23, 3.4e6)

    def __init__(self, mass, radius):
        self.mass = mass

    def other(self):
        return Planet.MARS if self is Planet.EARTH else Planet.EARTH


class Coordinate(bytes, enum.Enum):
    PX = (0, "P.X")
    PY = (1, "P.Y")

    def __new__(cls, value, label):
        made = bytes.__new__(cls, [value])
        made._value_, made.label = value, label
        return made


class Word(str, enum.Enum):
    A = "a"

    def __str__(self):
        return f"word {self.value}"


class Named(enum.Enum):
    def _generate_next_value_(name, start, count, last_values):  # noqa: N805
        return name.lower()

    ONE = enum.auto()


@dataclass(slots=True)
class Row:
    x: int
    tags: list = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fixed:
    x: int = 3

    def up(self):
        return dataclasses.replace(self, x=self.x + 1)


if sys.version_info >= (3, 11):

    @dataclass(slots=True, weakref_slot=True)
    class Weak:
        x: int
else:
    Weak = Row


@dataclass(kw_only=True)
class Kw:
    a: int
    row: Row | None = None


class Node:
    __slots__ = ("__secret", "__weakref__", "next")

    def __init__(self, following=None):
        self.next, self.__secret = following, 1

    def secret(self):
        return self.__secret


class Wide(Node):
    __slots__ = "width"  # noqa: PLC0205

    def __init__(self):
        super().__init__(self)
        self.width = 2


class Pair(NamedTuple):
    a: int
    b: str = "z"

    def both(self):
        return self.a, self.b


Old = collections.namedtuple("Old", "p q", defaults=[3])  # noqa: PYI024


class Told(TypedDict, total=False):
    k: int


class Box(Generic[T]):
    def __init__(self, item: T) -> None:
        self.item = item


class IntBox(Box[int]):
    def get(self):
        return self.item


class Loads(Protocol):
    def load(self) -> int: ...


class Own(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)
        self.a = a


class Number(int):
    def __new__(cls, value, unit=None):
        made = super().__new__(cls, value)
        made.unit = unit
        return made

    def __getnewargs__(self):
        return int(self), self.unit


class Default(dict):
    def __missing__(self, key):
        return key


class Struct(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int),)


@functools.lru_cache
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@functools.singledispatch
def kind_of(value):
    return "other"


@kind_of.register
def _(value: Row):
    return "row"


def counter():
    n = 0

    def add():
        nonlocal n
        n += 1

    return add, lambda: n


def refused(obj, name):
    try:
        setattr(obj, name, 1)
    except (AttributeError, TypeError):
        return True
    return False


def through_two_names():
    NAMES["two"] = 1
    return COUNT.pop("two") == 1


def together():
    add, get = counter()
    add()
    return add, get


CASES: dict[str, tuple[Any, Any]] = {
    "two names of one dict": (through_two_names, lambda v: v()),
    "an alias of an enum": (Level.MIN, lambda v: v is Level.LOW and list(Level) == [Level.LOW, Level.HIGH]),
    "a named combination": (Perm.RW, lambda v: v is Perm.R | Perm.W and v.name == "RW"),
    "an unnamed combination": (Bits.A | Bits.B, lambda v: v == 47 and Bits.A in v),
    "a member with attributes": (Planet.EARTH, lambda v: v.mass == 5.97e24 and v.other() is Planet.MARS),
    "a member of bytes": (Coordinate.PY, lambda v: bytes(v) == b"\x01" and v.value == 1 and v.label == "P.Y"),
    "a member of str": (Word.A, lambda v: v == "a" and str(v) == "word a" and Word("a") is v),
    "an automatic member": (Named.ONE, lambda v: v.value == "one" and Named["ONE"] is v),
    "a dataclass with slots": (Row(1), lambda v: v == Row(1) and refused(v, "zzz") and Row(2).tags == []),
    "a frozen one": (Fixed(4), lambda v: v.up() == Fixed(5) and refused(v, "x") and hash(v) == hash(Fixed(4))),
    "one with a weak slot": (Weak(1), lambda v: v == Weak(1) and refused(v, "zzz")),
    "one by keywords": (Kw(a=1, row=Row(2)), lambda v: v == Kw(a=1, row=Row(2))),
    "slots and a cycle": (Wide(), lambda v: v.next is v and v.secret() == 1 and refused(v, "zzz")),
    "a named tuple": (Pair(1), lambda v: v.both() == (1, "z") and v._replace(a=2) == Pair(2)),
    "an old named tuple": (Old(1), lambda v: v == Old(1, 3)),
    "a typed dict": (Told, lambda v: v(k=1) == {"k": 1} and not v.__total__ and list(v.__annotations__) == ["k"]),
    "a generic": (IntBox(2), lambda v: v.get() == 2 and Box[int].__origin__ is Box),
    "a protocol": (Loads, lambda v: v is Loads),
    "an exception": (Own(1, 2), lambda v: v.a == 1 and v.args == (1, 2)),
    "a number with more": (Number(4, "m"), lambda v: v == 4 and v.unit == "m"),
    "a dict with more": (Default(a=1), lambda v: v["b"] == "b"),
    "a structure": (Struct(3), lambda v: v.x == 3),
    "a cached function": (fib, lambda v: v(20) == 6765 and v is fib),
    "a dispatching function": (kind_of, lambda v: v(Row(1)) == "row" and v(1) == "other" and v is kind_of),
    "closures that share a variable": (together(), lambda v: (v[0](), v[1]())[1] == 2),
    "a new type": (UserId, lambda v: v is UserId and v(5) == 5),
    "a type variable": (list[T], lambda v: v == list[T]),
    "an alias of classes": (Row | None, lambda v: v == Row | None),
    "hints": (Kw, lambda v: typing.get_type_hints(v)["row"] == Row | None),
}
ONCE = {"closures that share a variable"}
"""What the question changes."""


if __name__ == "__main__":
    both_ways.main(CASES, list, ONCE)
