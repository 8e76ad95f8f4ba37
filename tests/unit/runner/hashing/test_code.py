"""Code without a plain file behind it, text of the YAML door, and what has no identity; the rest: `test_mutations`."""

from __future__ import annotations

import functools
import importlib.util
import json
import linecache
import os
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest
from tests.unit.runner.harness import RUNNER

from podtask_runner.hashing.content_hash import code_identity, source_identity
from podtask_runner.hashing.tokens import Unhashable

PROBE = (
    "import sys; sys.path.insert(0, sys.argv[1]); import flow; "
    "from podtask_runner.hashing.content_hash import code_identity; print(code_identity(flow.f))"
)


def test_a_function_imported_inside_counts_the_same_before_and_after_it_ran(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text("def g(): return 1\n")
    (tmp_path / "flow.py").write_text("def f():\n    import late\n    return late.g()\n")
    script = PROBE + "; flow.f(); print(code_identity(flow.f))"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": RUNNER},
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = done.stdout.split()
    assert before == after


def test_modules_of_others_count_by_name_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    from podtask_runner.hashing import modules

    def f(path: str) -> Any:
        return pytest.approx(json.loads(path))

    before = code_identity(f)
    monkeypatch.setattr(modules, "_installed_version", lambda _: "99")
    assert code_identity(f) != before


def test_a_file_that_changed_after_its_import_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "edited.py"
    path.write_text("def f():\n    return 1\n")
    one, same = load(path), load(path)
    before = code_identity(one.f)
    path.write_text("def f():\n    return 22\n")
    two = load(path)
    assert code_identity(same.f) not in (before, code_identity(two.f))  # by its bytecode
    assert code_identity(one.f) == before  # it was asked when the text was its own
    assert code_identity(two.f) != before


def test_code_without_source_counts_by_bytecode() -> None:
    def of(text: str) -> str:
        space: dict[str, Any] = {"__name__": "nowhere"}
        exec(text, space)
        return code_identity(space["f"])

    assert of("def f(x):\n    return x + 1") == of("\n\ndef f(x):\n    'doc'\n    return x + 1")
    assert of("def f(x):\n    return x + 1") != of("def f(x):\n    return x + 2")
    assert of("def f(x):\n    return [y for y in (1, 2)]") != of("def f(x):\n    return [y for y in (1, 3)]")


def test_globals_with_underscores_count_but_for_those_of_the_interpreter() -> None:
    def of(version: int, file: str) -> str:
        space: dict[str, Any] = {"__name__": "nowhere", "__file__": file, "__version__": version}
        exec("def f():\n    return __version__, __file__", space)
        return code_identity(space["f"])

    assert of(1, "here") == of(1, "there")
    assert of(1, "here") != of(2, "here")


IN_A_CELL = {
    "a dataclass's factory": "@dataclass\nclass C:\n    n: list = field(default_factory=lambda: [{}])",
    "a default in slots": "@dataclass(slots=True)\nclass C:\n    n: int = {}",
    "an option of a dataclass": "@dataclass(order={} == 1)\nclass C:\n    n: int = 0",
    "the order of fields": "@dataclass\nclass C:\n    n{}: int\n    n1: int\n    n2: int",
    "a default of pydantic": "class C(BaseModel):\n    n: int = {}",
    "what pydantic coerces to": "class C(BaseModel):\n    n: (int, int, str)[{}]",
    "a metaclass": "class M(type):\n    def n(self): return {}\nclass C(metaclass=M): pass",
}


@pytest.mark.parametrize("what", IN_A_CELL)
def test_a_class_without_methods_in_a_notebook_counts_by_what_it_says(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(number: int, cell: str = "from dataclasses import *\nfrom pydantic import BaseModel\n") -> str:
        cell += IN_A_CELL[what].format(number) + "\ndef f(): return C"
        kernel, filename = types.ModuleType("__main__"), f"/tmp/ipykernel_1/{number}.py"
        monkeypatch.setitem(sys.modules, "__main__", kernel)
        monkeypatch.setitem(linecache.cache, filename, (len(cell), None, cell.splitlines(keepends=True), filename))
        exec(compile(cell, filename, "exec"), vars(kernel))
        return code_identity(kernel.f)

    assert of(1) == of(1)
    assert of(1) != of(2)


def test_a_function_that_dispatches_by_type_counts_with_what_it_calls_and_not_with_what_it_has_met() -> None:
    def of(number: int) -> tuple[str, str]:
        @functools.singledispatch
        def area(shape: object) -> int:
            return 0

        @area.register(list)
        def _(shape: list[Any]) -> int:
            return number * sum(area(each) for each in shape)

        def f() -> int:
            return area([1])

        before = code_identity(f)
        area({})
        return before, code_identity(f)

    assert len(set(of(1))) == 1
    assert of(1) != of(2)


def test_lambdas_on_one_line_are_told_apart() -> None:
    one, two = (lambda x: x + 1), (lambda x: x + 2)
    assert code_identity(one) != code_identity(two)


def test_callables_of_all_kinds_have_an_identity() -> None:
    class Call:
        def __init__(self, n: int) -> None:
            self.n = n

        def __call__(self) -> int:
            return self.n

        def method(self) -> None: ...

    kinds = [len, functools.partial(len, "a"), Call(1), Call(2), Call(1).method, Call, "".join, types.SimpleNamespace]
    assert len({code_identity(kind) for kind in kinds}) == len(kinds)


lock = threading.Lock()


def uses_a_lock() -> Any:
    return lock


def calls_one_that_uses_a_lock() -> Any:
    return uses_a_lock()


def with_a_lock(held: Any) -> Any:
    class Held:
        inside = held

    def uses_a_class() -> Any:
        return Held.inside

    return uses_a_class


class Guarded:
    guard = (lock,)

    def ask(self) -> Any:
        return self.guard


@pytest.mark.parametrize(
    ("fn", "path"),
    [
        pytest.param(uses_a_lock, "uses_a_lock → lock", id="a global"),
        pytest.param(calls_one_that_uses_a_lock, "calls_one_that_uses_a_lock → uses_a_lock → lock", id="of a helper"),
        pytest.param(with_a_lock([lock]), "uses_a_class → Held → inside[0]", id="in a class that a function made"),
        pytest.param(Guarded().ask, "Guarded.ask.__self__ → Guarded → (uses lock)", id="named in the body of a class"),
        pytest.param(functools.partial(len, lock), "partial.args[0]", id="bound by partial"),
    ],
)
def test_what_has_no_stable_form_is_named_with_the_path_to_it(fn: Any, path: str) -> None:
    with pytest.raises(Unhashable) as caught:
        code_identity(fn)
    assert caught.value.path.endswith(path)
    assert "cannot be hashed" in caught.value.why


class TestSource:
    def test_text_counts_and_layout_does_not(self) -> None:
        one = source_identity("def main(x):\n    return x", "main")
        assert one == source_identity("'doc'\n# c\ndef main(x):\n    'doc'\n    return (x)\n", "main")
        assert one != source_identity("def main(x):\n    return x", "other")
        assert one != source_identity("def main(y):\n    return y", "main")

    @pytest.mark.parametrize("text", ["def main(:", "x = 1\0"])
    def test_text_that_does_not_parse_is_a_syntax_error(self, text: str) -> None:
        with pytest.raises(SyntaxError):
            source_identity(text, "main")


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    exec(compile(path.read_text(), str(path), "exec", dont_inherit=True), module.__dict__)
    return module
