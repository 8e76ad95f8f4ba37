"""Classes of arguments are walked once for many calls, and the hash is that of a full walk whatever was changed."""

from __future__ import annotations

import random
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.runner.hashing.test_remembered import CHANGES, EQUAL, PROJECT, SAME, main, walked

from podtask_runner.hashing.content_hash import content_hash
from podtask_runner.hashing.shared_walks import argument_hash
from podtask_runner.hashing.tokens import Unhashable

__all__ = ["main", "walked"]  # fixtures


@pytest.fixture(autouse=True)
def using(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class of the project whose method uses all of it."""
    text = PROJECT["remembered/main.py"]
    use = "        class Use:\n            def run(self):\n                return fn(1), Use\n"
    monkeypatch.setitem(PROJECT, "remembered/main.py", f"{text.rstrip()}\n\n{use}")


def arguments(m: Any) -> list[Any]:
    return [m.Use(), m.Thing(), m.Point(), {"a": m.Use()}, m.Use, m.helper]


@pytest.mark.parametrize("what", {**CHANGES, **SAME, **EQUAL})
def test_the_hash_is_that_of_a_full_walk(what: str, main: Any) -> None:
    assert [argument_hash(each) for each in arguments(main)] == [content_hash(each) for each in arguments(main)]
    before = argument_hash(main.Use())
    {**CHANGES, **SAME, **EQUAL}[what](main)
    assert [argument_hash(each) for each in arguments(main)] == [content_hash(each) for each in arguments(main)]
    assert argument_hash(arguments(main)) == content_hash(arguments(main))
    assert (argument_hash(main.Use()) == before) == (what not in CHANGES)


def test_a_class_is_not_walked_more_often_for_a_hundred_calls_than_for_ten(main: Any, walked: list[str]) -> None:
    """Once, as a rule; what other threads of this process change, such as the registered hashers, costs one more."""
    counts = []
    for calls in (10, 100):
        main.RATE = calls
        walked.clear()
        assert len({argument_hash([main.Use()]) for _ in range(calls)}) == 1
        counts.append(len([name for name in walked if name != "__newobj__"]))
    assert 10 < counts[1] < 3 * counts[0], walked


def test_the_values_of_objects_count_each_time(main: Any) -> None:
    seen = set()
    for number in range(3):
        point = main.Point()
        point.x = number
        assert argument_hash(point) == content_hash(point)
        seen.add(argument_hash(point))
    assert len(seen) == 3


def test_what_cannot_be_hashed_is_told_with_its_way(main: Any) -> None:
    main.ITEMS.append(threading.Lock())
    for ask in (content_hash, argument_hash):
        with pytest.raises(Unhashable, match=r"row.* → ITEMS\[2\]: a _thread:lock cannot be hashed"):
            ask([main.Use()], name="row")


def test_a_metaclass_may_say_what_stands_for_its_classes() -> None:
    class Meta(type):
        number = 1

        def __podtask_hash__(cls) -> int:
            return Meta.number

    class Thing(metaclass=Meta):
        pass

    before = argument_hash(Thing)
    Meta.number = 2
    assert argument_hash(Thing) == content_hash(Thing) != before


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes modules of classes and functions that use each other as they like."""

    def made(seed: int) -> tuple[random.Random, list[Any]]:
        chance = random.Random(seed)
        names = [f"{kind}{n}" for n in range(4) for kind in "CF"]
        lines = []
        for name in names:
            used = ", ".join(chance.sample(names, chance.randrange(4))) or "0"
            if name.startswith("C"):
                lines.append(f"class {name}:\n    data = [{chance.randrange(3)}]\n    def m(self): return {used}")
            else:
                lines.append(f"def {name}(): return {used}, TABLE")
        module = types.ModuleType("walks_graph")
        monkeypatch.setitem(sys.modules, "walks_graph", module)
        exec("TABLE = {}\n" + "\n".join(lines), vars(module))
        found = [vars(module)[name] for name in names]
        for at in chance.sample(range(len(found)), 2):
            module.TABLE[at] = found[at]  # type: ignore[attr-defined]
        return chance, [each() if isinstance(each, type) and chance.random() < 0.7 else each for each in found]

    return made


@pytest.mark.parametrize("seed", range(150))
def test_code_that_refers_to_itself_in_any_way_has_one_hash(graph: Any, seed: int) -> None:
    chance, things = graph(seed)
    for _ in range(6):
        value = chance.sample(things, chance.randrange(1, 5))
        assert argument_hash(value) == content_hash(value)
