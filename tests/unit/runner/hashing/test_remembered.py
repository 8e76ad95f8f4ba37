"""The hash of code that is walked once: it is always that of a full walk, and without changes nothing is walked."""

from __future__ import annotations

import functools
import importlib
import sys
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.travel import written

from podtask_runner.hashing import code
from podtask_runner.hashing.content_hash import content_hash
from podtask_runner.hashing.remembered import CodeHash
from podtask_runner.hashing.tokens import REGISTERED, Unhashable, register_hasher

PROJECT = {
    "remembered/__init__.py": "",
    "remembered/deep.py": "VALUE = 1\nOTHER = 1\n",
    "remembered/lazy.py": "NUMBER = 1\n",
    "remembered/asked.py": "ANSWERS = {'question': 1}\ndef __getattr__(name):\n    return ANSWERS[name]\n",
    "remembered/main.py": """
        import enum
        import functools
        import threading
        from dataclasses import dataclass, field

        from remembered import asked, deep

        RATE = 1
        UNUSED = 1
        ITEMS = [1, [2]]
        TABLE = {"a": {"b": 1}}
        BYTES = bytearray(b"x")
        PAIR = (1, [2])

        class Settings:
            debug = False

        settings = Settings()
        settings.inner = Settings()

        def helper(x=1, *, k={"q": [1]}):
            return x

        def made():
            held = [1]
            def inner():
                return held
            return inner

        closure = made()

        @functools.singledispatch
        def area(shape):
            return 0

        @functools.lru_cache
        def cached():
            return RATE

        class Base:
            factor = 2
            table = {"a": 1}

            def scaled(self):
                return RATE

            @property
            def size(self):
                return 1

            @functools.cached_property
            def weight(self):
                return 1

        class Other:
            pass

        class Thing(Base):
            def own(self):
                return helper()

        class Colour(enum.Enum):
            RED = 1

        COLOUR = Colour.RED

        @dataclass
        class Point:
            x: int = 1
            more: list = field(default_factory=list)

        REGISTRY = {"a": helper}
        partial = functools.partial(helper, [1])
        method = Thing().own
        adding = [1].append

        def fn(x, given=[1]):
            import remembered.lazy
            print(len(ITEMS), RATE, TABLE, BYTES, PAIR, settings, helper, closure, area, cached, Thing, Colour, Point())
            print(REGISTRY, partial, method, adding, deep.VALUE, asked.question, later, COLOUR)
            return [helper(each) for each in given]

        def other(x):
            return x + 1
    """,
}


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    written(tmp_path, PROJECT)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield importlib.import_module("remembered.main")
    for name in [name for name in sys.modules if name.partition(".")[0] == "remembered"]:
        del sys.modules[name]


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the functions that were taken apart."""
    names: list[str] = []
    parts = code.function_parts

    def counted(fn: types.FunctionType) -> code.Parts:
        names.append(fn.__qualname__)
        return parts(fn)

    monkeypatch.setattr(code, "function_parts", counted)
    return names


def replaced(fn: Any, by: Any) -> None:
    fn.__code__ = by.__code__


def lazy_edited(m: Any) -> None:
    Path(m.deep.__file__).with_name("lazy.py").write_text("NUMBER = 22\n")


CHANGES: dict[str, Callable[[Any], object]] = {
    "a global": lambda m: setattr(m, "RATE", 2),
    "a list inside of a list": lambda m: m.ITEMS[1].append(3),
    "a dict inside of a dict": lambda m: m.TABLE["a"].update(b=2),
    "a bytearray": lambda m: m.BYTES.extend(b"y"),
    "a list in a tuple": lambda m: m.PAIR[1].append(3),
    "an attribute of an object": lambda m: setattr(m.settings, "debug", True),
    "an attribute far below": lambda m: setattr(m.settings.inner, "debug", True),
    "an attribute of the class of an object": lambda m: setattr(m.Settings, "debug", True),
    "a helper": lambda m: setattr(m, "helper", m.other),
    "the code of a helper": lambda m: replaced(m.helper, m.other),
    "a default": lambda m: setattr(m.helper, "__defaults__", (2,)),
    "a default's content": lambda m: m.fn.__defaults__[0].append(2),
    "a keyword default": lambda m: m.helper.__kwdefaults__.update(k=2),
    "a keyword default's content": lambda m: m.helper.__kwdefaults__["k"]["q"].append(2),
    "the first attribute of a function": lambda m: setattr(m.helper, "note", 1),
    "a closure": lambda m: setattr(m.closure.__closure__[0], "cell_contents", [2]),
    "a closure's content": lambda m: m.closure.__closure__[0].cell_contents.append(2),
    "an implementation by type": lambda m: m.area.register(list, m.other),
    "what a cached function is of": lambda m: setattr(m, "cached", functools.lru_cache(m.other)),
    "an attribute of a base class": lambda m: setattr(m.Base, "factor", 3),
    "a dict of a base class": lambda m: m.Base.table.update(a=2),
    "a method": lambda m: setattr(m.Base, "scaled", m.other),
    "a method's code": lambda m: replaced(m.Base.scaled, lambda self: 22),
    "a property": lambda m: setattr(m.Base, "size", property(m.other)),
    "a method more": lambda m: setattr(m.Thing, "scaled", m.other),
    "the bases": lambda m: setattr(m.Thing, "__bases__", (m.Other,)),
    "a member's attribute": lambda m: setattr(m.COLOUR, "_value_", 2),
    "a class": lambda m: setattr(m, "Point", m.Other),
    "a function in a registry": lambda m: m.REGISTRY.update(a=m.other),
    "a new function in a registry": lambda m: m.REGISTRY.update(b=lambda x: x + 5),
    "what a partial holds": lambda m: m.partial.args[0].append(2),
    "the object of a method": lambda m: setattr(m.method.__self__, "state", 1),
    "the list of a method": lambda m: m.adding(2),
    "a global of another module": lambda m: setattr(m.deep, "VALUE", 2),
    "another module": lambda m: setattr(m, "deep", types.SimpleNamespace(VALUE=3)),
    "what a module is asked for": lambda m: m.asked.ANSWERS.update(question=2),
    "a global where a module was asked": lambda m: setattr(m.asked, "question", 5),
    "a builtin's name": lambda m: setattr(m, "len", m.other),
    "a name that was not there": lambda m: setattr(m, "later", 1),
    "a name that is gone": lambda m: delattr(m, "RATE"),
    "the text of a module that the function imports": lazy_edited,
}
SAME: dict[str, Callable[[Any], object]] = {
    "a global that is not used": lambda m: setattr(m, "UNUSED", 2),
    "a global of another module that is not used": lambda m: setattr(m.deep, "OTHER", 2),
    "a docstring": lambda m: setattr(m.helper, "__doc__", "text"),
    "calls": lambda m: (m.area([]), m.cached(), m.helper()),
}
EQUAL: dict[str, Callable[[Any], object]] = {
    "an equal list": lambda m: setattr(m, "ITEMS", [1, [2]]),
    "the same value anew": lambda m: setattr(m, "RATE", int("1")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_changes_is_seen(what: str, main: Any) -> None:
    remembered = CodeHash(main.fn)
    before = remembered.value()
    assert before == content_hash(main.fn) == remembered.value()
    CHANGES[what](main)
    assert remembered.value() == content_hash(main.fn)
    assert remembered.value() != before


@pytest.mark.parametrize("what", {**SAME, **EQUAL})
def test_what_changes_nothing_leaves_the_hash(what: str, main: Any, walked: list[str]) -> None:
    remembered = CodeHash(main.fn)
    before = remembered.value()
    walked.clear()
    {**SAME, **EQUAL}[what](main)
    assert remembered.value() == before
    assert what in EQUAL or not walked
    assert content_hash(main.fn) == before


def test_there_and_back_again(main: Any) -> None:
    remembered = CodeHash(main.fn)
    seen = []
    for rate in (1, 2, 1, 2):
        main.RATE = rate
        seen.append(remembered.value())
        assert seen[-1] == content_hash(main.fn)
    assert seen[0] == seen[2] != seen[1] == seen[3]


def test_functions_are_walked_once_for_ten_calls_as_for_a_hundred(main: Any, walked: list[str]) -> None:
    counts = []
    for calls in (10, 100):
        remembered = CodeHash(main.fn)
        walked.clear()
        assert len({remembered.value() for _ in range(calls)}) == 1
        counts.append(len(walked))
    assert counts[0] == counts[1] > 10


def test_what_cannot_be_hashed_is_found_once_and_told_each_time(main: Any, walked: list[str]) -> None:
    main.ITEMS.append(threading.Lock())
    remembered = CodeHash(main.fn)
    with pytest.raises(Unhashable) as first:
        remembered.value("task")
    walked.clear()
    with pytest.raises(Unhashable) as second:
        remembered.value("task")
    assert not walked
    assert str(first.value) == str(second.value)
    assert str(first.value).startswith("task → ITEMS[2]: a _thread:lock cannot be hashed")
    main.ITEMS.pop()
    assert remembered.value() == content_hash(main.fn)


def test_a_hasher_that_is_registered_later_counts(main: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered = CodeHash(main.fn)
    before = remembered.value()
    monkeypatch.setattr("podtask_runner.hashing.tokens.REGISTERED", REGISTERED)
    register_hasher(main.Settings, lambda settings: settings.debug)
    try:
        assert remembered.value() == content_hash(main.fn) != before
    finally:
        del REGISTERED[main.Settings]


def test_a_metaclass_may_say_what_stands_for_its_classes() -> None:
    class Meta(type):
        number = 1

        def __podtask_hash__(cls) -> int:
            return Meta.number

    class Thing(metaclass=Meta):
        pass

    def fn() -> Any:
        return Thing

    remembered = CodeHash(fn)
    before = remembered.value()
    Meta.number = 2
    assert remembered.value() == content_hash(fn) != before


def test_classes_without_a_text_count_by_what_they_say_now(monkeypatch: pytest.MonkeyPatch) -> None:
    space: dict[str, Any] = {"__name__": "nowhere", "dataclass": dataclass}
    monkeypatch.setitem(sys.modules, "nowhere", types.ModuleType("nowhere"))
    exec("@dataclass\nclass Point:\n    x: int = 1\ndef fn():\n    return Point", space)
    remembered = CodeHash(space["fn"])
    before = remembered.value()
    space["Point"].__annotations__["y"] = int
    assert remembered.value() == content_hash(space["fn"]) != before


def test_what_is_called_is_let_go_of() -> None:
    """Tasks that are made inside of a flow go with it."""
    import gc
    import weakref

    def made() -> weakref.ref[Any]:
        def fn(x: int) -> Any:
            return fn, x

        remembered = CodeHash(fn)
        remembered.value()
        return weakref.ref(fn)

    gone = made()
    gc.collect()
    assert gone() is None
