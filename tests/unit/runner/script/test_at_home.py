"""What a function of the project made, by value: it works on the globals of its module, which are not copied."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from podtask_runner.script import identity
from podtask_runner.serialization import pickling
from podtask_runner.serialization.by_value import Packing, Travel

TEXT = """
import functools, threading

LOCK = threading.Lock()

def used():
    return LOCK

def closure():
    return lambda: used()

def method():
    class Node:
        def lock(self):
            return used() if type(self) is Node else None
    Node.itself = Node
    return Node

def cached():
    return functools.lru_cache(lambda: used())

def dispatching():
    return functools.singledispatch(lambda _: used())
"""


@pytest.mark.parametrize(
    ("maker", "call"),
    [
        ("closure", lambda made: made()),
        ("method", lambda made: made.itself().lock()),
        ("cached", lambda made: made()),
        ("dispatching", lambda made: made(1)),
    ],
)
def test_it_uses_the_lock_of_the_module(monkeypatch: pytest.MonkeyPatch, maker: str, call: Any) -> None:
    module = types.ModuleType("of_the_project")
    exec(TEXT, vars(module))
    monkeypatch.setitem(sys.modules, "of_the_project", module)
    made = getattr(module, maker)()
    packing = Packing(lambda name: Travel.BUNDLE if name == "of_the_project" else Travel.NAME)
    data = pickling.dumps(made, packing=packing)
    monkeypatch.setattr(identity, "find", lambda _: None)  # as where nobody has it
    found = pickling.loads(data)
    assert found is not made
    assert call(found) is module.LOCK  # type: ignore[attr-defined]
    assert "of_the_project" in packing.reached
