"""A chain of a thousand functions has a key and travels; what stays too deep is told in a sentence with the cure."""

from __future__ import annotations

import random
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from tests.support.travel import Lab, written
from tests.unit.runner.harness import Attempt

from podtask import Task
from podtask.errors import UnpicklableArgument
from podtask.payloads.arguments import bind, prepare
from podtask.payloads.code import CodeTooDeep, pickled_code
from podtask_runner.hashing import deep
from podtask_runner.hashing import types as hashed
from podtask_runner.hashing.content_hash import TOO_DEEP, content_hash
from podtask_runner.hashing.encoder import Encoder
from podtask_runner.hashing.remembered import CodeHash
from podtask_runner.hashing.tokens import Unhashable

LENGTH = 1000
LIMIT = "import sys\nsys.setrecursionlimit(5000)\n"


def chain(length: int, last: str = "x", above: str = "") -> str:
    lines = [f"def f{n}(x): return f{n + 1}(x) + 1" for n in range(length)]
    return "\n".join([*lines, above, f"def f{length}(x): return {last}"]) + "\n"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    (tmp_path / "project").mkdir()
    return Lab(tmp_path, Attempt(tmp_path / "attempt"))


def test_it_travels_from_a_script_with_what_its_end_uses(lab: Lab) -> None:
    project = written(lab.root / "project", {})
    (project / "text.txt").write_text(
        LIMIT + "class Row:\n    def __init__(self, x): self.x = x\n" + chain(LENGTH, "Row(x + len(SEEN)).x + f5.n")
    )
    lab.send(
        """
        SEEN = [1]
        exec(compile(pathlib.Path("text.txt").read_text(), "<text>", "exec"))
        f5.n = 7
        def task(x):
            import sys
            sys.setrecursionlimit(5000)
            return f0(x)
        send(task, 3)
        """
    )
    assert lab.answer() == LENGTH + 3 + 1 + 7


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Globals of a module without a file."""
    module = types.ModuleType("deep_code")
    monkeypatch.setitem(sys.modules, "deep_code", module)
    return vars(module)


def test_it_has_a_key_that_sees_its_end(space: dict[str, Any]) -> None:
    exec(chain(LENGTH, "x + RATE", "RATE = 1"), space)
    remembered = CodeHash(space["f0"])
    before = remembered.value()
    assert before == content_hash(space["f0"]) == remembered.value()
    assert remembered.walks == 1
    space["RATE"] = 2
    assert remembered.value() == content_hash(space["f0"]) != before


def test_a_function_that_calls_itself_is_no_circle(space: dict[str, Any]) -> None:
    exec(chain(LENGTH, f"f{LENGTH}(x - 1) if x else 0"), space)
    assert content_hash(space["f0"]).startswith("h1:")


@pytest.mark.parametrize("seed", range(60))
def test_the_hash_is_that_of_one_walk(space: dict[str, Any], seed: int) -> None:
    chance = random.Random(seed)
    for at in range(8):
        used = ", ".join(f"f{n}" for n in chance.sample(range(at, 8), chance.randrange(min(3, 8 - at)))) or "0"
        kind = chance.choice(["def f{}(): return {}, TABLE", "class f{}:\n    def m(self): return {}"])
        exec(kind.format(at, used), space)
    space["TABLE"] = {"a": space["f7"]} if chance.random() < 0.3 else {}
    try:
        found = deep.encode(Encoder(hashed.encode), space["f0"])
    except RecursionError:
        return  # a circle
    assert found == Encoder(hashed.encode).encode(space["f0"])


def test_a_long_circle_is_told(space: dict[str, Any]) -> None:
    exec(chain(LENGTH, "f0(x)"), space)
    with pytest.raises(Unhashable, match="functions that use each other in a circle") as found:
        content_hash(space["f0"], name="go")
    assert str(found.value) == f"go: {TOO_DEEP}"


def test_classes_that_are_too_deep_are_named_with_the_cure(space: dict[str, Any]) -> None:
    space["__name__"] = "__main__"  # by value
    exec("".join(f"class C{n}:\n  def m(self): return C{n + 1}\n" for n in range(2000)) + "class C2000: pass\n", space)
    exec("def go(x): return C0().m()", space)
    with pytest.raises(CodeTooDeep, match=r"The code of task 'go' is nested too deeply .* modules travel as files"):
        pickled_code(Task(space["go"]))


def test_an_argument_that_is_too_deep_is_named() -> None:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    task: Task[..., Any] = Task(lambda x: x, name="go")
    with pytest.raises(UnpicklableArgument, match=r"Argument 'x' of task 'go' .* nested too deeply"):
        prepare("go", bind(task.signature, (value,), {}), lambda _: None)
