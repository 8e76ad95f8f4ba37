"""Classes of the script as arguments, results and cached values: the script's own, and nothing of them changed."""

from __future__ import annotations

import enum
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from podtask import flow, task

SCRIPT = """
import enum, functools, typing
from dataclasses import dataclass
from podtask import flow, task, task_input_hash

class Color(enum.Enum):
    RED = 1
class Level(enum.IntEnum):
    LOW = 1
    MIN = 1
class Perm(enum.Flag):
    R = 1
    W = 2
    RW = R | W
class Planet(enum.Enum):
    EARTH = (5.97e24, 6.37e6)
    def __init__(self, mass, radius): self.mass = mass
@dataclass(slots=True)
class Row:
    x: int
@dataclass
class Cfg:
    n: int = 1
    more: list = None
class Model:
    registry = {}
    count = 0
    def __init__(self, name):
        self.name = name
        Model.registry[name] = self
        Model.count += 1
class Base:
    heard = []
    def __init_subclass__(cls, /, key):
        Base.heard.append(key)
class Sub(Base, key="sub"):
    pass
UserId = typing.NewType("UserId", int)
SEEN = {"n": 0}
class Counting:
    def count(self):
        SEEN["n"] += 1
        return SEEN["n"]
@functools.lru_cache
def load(n): return n * 2
@functools.singledispatch
def kind(x): return "other"
@kind.register
def _(x: int): return "int"
def square(x): return x * x

@task(cache_key_fn=task_input_hash)
def values(): return [Color.RED, Level.MIN, Perm.RW, Planet.EARTH, Row(1), Cfg(2), Sub(), Counting()]
@task
def there(values):
    color, level, perm, planet, row, cfg, sub, counting = values
    slots = not hasattr(row, "__dict__")
    return [color is Color.RED, level is Level.LOW, perm == Perm.R | Perm.W, planet.mass, slots, Base.heard]
@task
def model(name): return Model(name)
@task
def by_name(): return [load(2), UserId(5), kind(1), kind("")]
@task
def pooled():
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(square, [1, 2, 3])
@task
def hints():
    return [hint.__name__ for hint in typing.get_type_hints(Row).values()]
@flow
def checked(cfg: Cfg): return cfg
@flow
def main():
    made = values()
    print(made.wait().name)
    color, level, perm, planet, row, cfg, sub, counting = found = made.result()
    print(color is Color.RED, level is Level.MIN, perm is Perm.RW, planet is Planet.EARTH, row == Row(1))
    print(cfg == Cfg(2), type(sub) is Sub, Base.heard, counting.count(), SEEN["n"])
    print(there(made).result())
    print(there(found).result())
    Model("before")
    one = model("there").result()
    Model("after")
    print(type(one) is Model, {"before", "after"} <= Model.registry.keys(), Model.count >= 2)
    print(by_name().result(), pooled().result(), hints().result())
    print(checked({"n": 3}))
main()
"""
EXPECTED = """\
True True True True True
True True ['sub'] 1 1
[True, True, True, 5.97e+24, True, ['sub']]
[True, True, True, 5.97e+24, True, ['sub']]
True True True
[4, 5, 'int', 'other'] [1, 4, 9] ['int']
Cfg(n=3, more=None)
"""


GENERIC = """
import typing
from pydantic import BaseModel, PrivateAttr, field_validator
from podtask import flow, task, task_input_hash

T = typing.TypeVar("T")
class Page(BaseModel, typing.Generic[T]):
    items: list[T]
    _seen: int = PrivateAttr(default=0)
    @field_validator("items")
    @classmethod
    def short(cls, items):
        if len(items) > 2: raise ValueError("too long")
        return items
class Pair(BaseModel, typing.Generic[T]):
    page: Page[T]
class Numbers(Page[int]): pass

@task(cache_key_fn=task_input_hash)
def turned(page):
    assert type(page) in (Page[int], Numbers), type(page)
    page.items.reverse()
    page._seen += 1
    return page
@task(cache_key_fn=task_input_hash)
def paired(page): return Pair[int](page=page)
@task
def refused():
    try: Page[int](items=[1, 2, 3])
    except ValueError: return True
@flow
def main():
    page = turned(Page[int](items=["1", "2"]))
    numbers = turned(Numbers(items=[1]))
    pair = paired(page)
    print(page.wait().name, numbers.wait().name, pair.wait().name)
    found = page.result()
    print(type(found) is Page[int], found.items, found._seen, type(numbers.result()) is Numbers)
    print(type(pair.result()) is Pair[int], type(pair.result().page) is Page[int], refused().result())
main()
"""
GENERIC_EXPECTED = """\
True [2, 1] 1 True
True True True
"""


def run(script: Path) -> str:
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PODTASK_PROGRESS": "off"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("backend")
class TestScripts:
    def test_a_script_meets_its_own_classes_and_again_when_it_runs_again(self, tmp_path: Path) -> None:
        script = tmp_path / "script.py"
        script.write_text(SCRIPT)
        assert run(script) == f"Completed\n{EXPECTED}"
        assert run(script) == f"Cached\n{EXPECTED}"

    def test_a_generic_model_with_its_parameters_is_the_scripts_own(self, tmp_path: Path) -> None:
        script = tmp_path / "script.py"
        script.write_text(GENERIC)
        assert run(script) == f"Completed Completed Completed\n{GENERIC_EXPECTED}"
        assert run(script) == f"Cached Cached Cached\n{GENERIC_EXPECTED}"


@pytest.mark.usefixtures("backend")
class TestClasses:
    def test_reading_a_result_changes_no_class(self) -> None:
        class Model:
            registry: dict[str, Any] = {}  # noqa: RUF012 - the subject
            count = 0

            def __init__(self, name):
                self.name = name
                Model.registry[name] = self
                Model.count += 1

        @task
        def train(name):
            return Model(name)

        @flow
        def training():
            future = train("there")
            future.wait()
            Model("here")
            body = dict(vars(Model))
            found = future.result()
            return type(found) is Model, found.name, body == dict(vars(Model)), "here" in Model.registry

        assert training() == (True, "there", True, True)

    @pytest.mark.straight
    def test_slots_enums_and_tuples_come_back_as_what_they_are(self) -> None:
        class Color(enum.Enum):
            RED = 1
            CRIMSON = 1  # noqa: PIE796 - an alias

        class Perm(enum.IntFlag):
            R = 1
            W = 2
            RW = 3

        class Pair(NamedTuple):
            a: int
            b: Color

        @dataclass(slots=True)
        class Row:
            x: int
            tags: list[Color] = field(default_factory=list)

        values = [Color.CRIMSON, Perm.RW, Perm.R, Pair(1, Color.RED), Row(2, [Color.RED])]

        @task
        def mirror(values):
            row = values[-1]
            try:
                row.zzz = 1
            except AttributeError:
                return values, row.tags[0] is Color.RED
            return values, "slots lost"

        @flow
        def there_and_back():
            return mirror(values).result()

        back, kept = there_and_back()
        assert kept is True
        assert back == values
        assert [type(one) for one in back] == [type(one) for one in values]

    def test_a_class_made_in_a_task_is_one_class_for_all_results(self) -> None:
        @task
        def make(x):
            class Made:
                def __init__(self, x):
                    self.x = x

            return Made(x)

        @flow
        def making():
            return [future.result() for future in make.map([1, 1])]

        one, other = making()
        assert (one.x, other.x) == (1, 1)
        assert type(one).__name__ == "Made"

    def test_arguments_may_hold_themselves_and_share_parts(self) -> None:
        root: dict[str, Any] = {"children": []}
        root["children"].append({"parent": root})
        shared = [object]
        ring: list[Any] = [(shared, shared)]
        ring.append(ring)

        @task
        def look(tree, ring):
            return tree["children"][0]["parent"] is tree, ring[1] is ring, ring[0][0] is ring[0][1]

        @flow
        def looking():
            return look(root, ring).result()

        assert looking() == (True, True, True)

    def test_a_future_in_a_list_that_holds_itself_is_replaced(self) -> None:
        @task
        def one():
            return 1

        @task
        def look(ring):
            return ring[0], ring[1] is ring

        @flow
        def looking():
            ring: list[Any] = [one()]
            ring.append(ring)
            return look(ring).result()

        assert looking() == (1, True)
