"""Classes of a script that travel to another process and back (`both_ways`): hooks, metaclasses, registries.

Run by `test_definitions.py` on every Python minor of this machine.
"""

from __future__ import annotations

import abc
import functools
import pickle
import threading
import typing
from typing import Any

import both_ways

COUNT = {"n": 0}


def helper():
    return "helped"


class Base(abc.ABC):
    @abc.abstractmethod
    def go(self): ...


class Impl(Base):
    def go(self):
        return 1


@Base.register
class Virtual:
    pass


class Plugin:
    registry: typing.ClassVar[dict] = {}
    heard: typing.ClassVar[list] = []

    def __init_subclass__(cls, /, key, **keywords):
        super().__init_subclass__(**keywords)
        Plugin.registry[key] = cls
        Plugin.heard.append((key, cls().run()))


class First(Plugin, key="first"):
    def run(self):
        return helper()


class Typed:
    owners: typing.ClassVar[list] = []

    def __init__(self, kind):
        self.kind = kind

    def __set_name__(self, owner, name):
        self.name = name
        Typed.owners.append((owner.__name__, name))


class Meta(type):
    made: typing.ClassVar[list] = []

    def __new__(cls, name, bases, body, tag=None):
        fields = {key: value for key, value in body.items() if isinstance(value, Typed)}
        made = super().__new__(cls, name, bases, {key: value for key, value in body.items() if key not in fields})
        made.fields = fields
        Meta.made.append((name, tag, sorted(fields)))
        return made

    def __init__(cls, name, bases, body, tag=None):
        super().__init__(name, bases, body)

    def __call__(cls, *args):
        made = super().__call__(*args)
        made.stamped = True
        return made


class Declared(metaclass=Meta, tag="t"):
    a = Typed(int)

    def itself(self):
        return Declared


class Described:
    x = Typed(int)


class Alike(type):
    def __eq__(cls, other):
        return True

    __hash__ = type.__hash__


class Left(metaclass=Alike):
    pass


class Right(metaclass=Alike):
    pass


class Model:
    registry: typing.ClassVar[dict] = {}
    made = 0

    def __init__(self, name):
        self.name = name
        Model.registry[name] = self
        type(self).made += 1

    @functools.cached_property
    def twice(self):
        return self.name * 2

    @functools.lru_cache  # noqa: B019
    def slow(self):
        return self.name

    @functools.singledispatchmethod
    def kind(self, value):
        return "other"

    @kind.register
    def _(self, value: int):
        return "int"

    @property
    def counted(self):
        COUNT["n"] += 1
        return COUNT["n"]

    @staticmethod
    def count():
        return COUNT["n"]


class Outer:
    class Inner:
        def outer(self):
            return Outer


class Single:
    def __reduce__(self):
        return "SINGLE"


SINGLE = Single()


class Held:
    """Has an object of itself, and is used by a list of the script."""

    itself = None

    def everybody(self):
        return EVERYBODY


EVERYBODY = [Held()]
Held.itself = EVERYBODY[0]


class Here:
    def there(self):
        return There()

    def typed(self):
        return typed([self])


class There:
    def here(self):
        return Here()


def typed(items: list[Here]) -> list[Here]:
    return items


class Locked:
    def __init__(self):
        self.lock = threading.Lock()

    def __getstate__(self):
        return {"v": 4}

    def __setstate__(self, state):
        self.__dict__.update(state, lock=threading.Lock())


CASES: dict[str, tuple[Any, Any]] = {
    "an abstract class": (Impl(), lambda v: v.go() == 1 and isinstance(v, Base)),
    "a registered class": (Virtual(), lambda v: isinstance(v, Base)),
    "a registry of subclasses": (First(), lambda v: v.run() == "helped" and Plugin.registry == {"first": First}),
    "hooks that ran": (Plugin, lambda v: v.heard == [("first", "helped")]),
    "a metaclass": (Declared(), lambda v: v.stamped and v.itself() is type(v) and list(Declared.fields) == ["a"]),
    "what a metaclass noted": (Meta, lambda v: v.made == [("Declared", "t", ["a"])]),
    "a descriptor": (Described(), lambda v: Described.x.name == "x" and Typed.owners == [("Described", "x")]),
    "classes that say they are equal": ((Left(), Right()), lambda v: type(v[0]) is not type(v[1])),
    "members of all kinds": (
        Model("a"),
        lambda v: (v.twice, v.slow(), v.kind(1), v.kind(""), v.count()) == ("aa", "a", "int", "other", COUNT["n"]),
    ),
    "a counter of the class": (Model, lambda v: (v.made, sorted(v.registry)) == (1, ["a"])),
    "globals that methods change": (Model.registry["a"], lambda v: v.counted == v.count() == COUNT["n"]),
    "a nested class": (Outer.Inner(), lambda v: v.outer() is Outer and type(v) is Outer.Inner),
    "a named object": (SINGLE, lambda v: v is SINGLE),
    "an object of itself": (Held.itself, lambda v: v.everybody()[0] is Held.itself),
    "classes that name each other": (Here(), lambda v: type(v.there().here()) is Here and v.typed() == [v]),
    "a state of its own": (pickle.loads(pickle.dumps(Locked())), lambda v: v.v == 4 and not v.lock.locked()),
}


def noted() -> list[Any]:
    return [Plugin.heard, Meta.made, Typed.owners, Model.made, sorted(Model.registry)]


if __name__ == "__main__":
    both_ways.main(CASES, noted)
