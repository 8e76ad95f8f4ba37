"""What changes the identity of code, and what does not. The code stands in files, imported anew in each process."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.runner.harness import RUNNER

from podtask_runner.canonical import Unhashable
from podtask_runner.codeid import code_identity, source_identity

Identify = Callable[..., str]

PROBE = (
    "import sys; sys.path.insert(0, sys.argv[1]); import flow; from podtask_runner.codeid import code_identity; "
    "print(code_identity(flow.f))"
)


@pytest.fixture
def identify(tmp_path: Path) -> Identify:
    """The identity of `f` in a `flow.py` of this text, with other modules beside it."""

    def of(text: str, **modules: str) -> str:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        for name, content in {"flow": text, **modules}.items():
            path = folder.joinpath(*name.split("__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        done = subprocess.run(
            [sys.executable, "-c", PROBE, str(folder)],
            env={**os.environ, "PYTHONPATH": RUNNER},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return of


SAME = {
    "comments and layout": ("def f(x):\n    return x + 1", "# c\n\ndef f(x):\n\n    return (x  # why\n        + 1)"),
    "docstrings": ("def f(x):\n    return x", "def f(x):\n    'text'\n    return x"),
    "where it stands": ("def f(x):\n    return x", "unused = 1\n\n\ndef f(x):\n    return x"),
    "decorators of its own": (
        "def d(g):\n    return g\ndef f(x):\n    return x",
        "def d(g):\n    return g\n@d\ndef f(x):\n    return x",
    ),
    "globals it does not use": ("A = 1\ndef f(x):\n    return x", "A = 2\ndef f(x):\n    return x"),
    "helpers it does not use": (
        "def g(): return 1\ndef f(x):\n    return x",
        "def g(): return 2\ndef f(x):\n    return x",
    ),
    "attributes named like a global": ("A = 1\ndef f(x):\n    return x.A", "A = 2\ndef f(x):\n    return x.A"),
}

OTHER = {
    "a constant": ("def f(x):\n    return x + 1", "def f(x):\n    return x + 2"),
    "the type of a constant": ("def f(x):\n    return 1", "def f(x):\n    return 1.0"),
    "a builtin by name": ("def f(x):\n    return len(x)", "def f(x):\n    return max(x)"),
    "a default": ("def f(x=1):\n    return x", "def f(x=2):\n    return x"),
    "a default by value": ("A = [1]\ndef f(x=A):\n    return x", "A = [2]\ndef f(x=A):\n    return x"),
    "a keyword default": ("def f(*, x=1):\n    return x", "def f(*, x=2):\n    return x"),
    "a global": ("A = 1\ndef f(x):\n    return x + A", "A = 2\ndef f(x):\n    return x + A"),
    "a global in a nested function": (
        "A = 1\ndef f(x):\n    return [x + A for _ in x]",
        "A = 2\ndef f(x):\n    return [x + A for _ in x]",
    ),
    "a helper": ("def g(): return 1\ndef f():\n    return g()", "def g(): return 2\ndef f():\n    return g()"),
    "a helper's helper": (
        "def h(): return 1\ndef g(): return h()\ndef f():\n    return g()",
        "def h(): return 2\ndef g(): return h()\ndef f():\n    return g()",
    ),
    "a closure": ("def m(n):\n    return lambda: n\nf = m(1)", "def m(n):\n    return lambda: n\nf = m(2)"),
    "a method of a class it uses": (
        "class C:\n    def g(self): return 1\ndef f():\n    return C().g()",
        "class C:\n    def g(self): return 2\ndef f():\n    return C().g()",
    ),
    "an attribute of a class it uses": (
        "class C:\n    a = 1\ndef f():\n    return C.a",
        "class C:\n    a = 2\ndef f():\n    return C.a",
    ),
    "a base class": (
        "class B:\n    def g(self): return 1\nclass C(B): pass\ndef f():\n    return C()",
        "class B:\n    def g(self): return 2\nclass C(B): pass\ndef f():\n    return C()",
    ),
    "a global that a method uses": (
        "A = 1\nclass C:\n    @property\n    def g(self): return A\ndef f():\n    return C()",
        "A = 2\nclass C:\n    @property\n    def g(self): return A\ndef f():\n    return C()",
    ),
    "what a decorator wraps around a helper": (
        "import functools\n@functools.lru_cache\ndef g(): return 1\ndef f():\n    return g()",
        "import functools\n@functools.lru_cache\ndef g(): return 2\ndef f():\n    return g()",
    ),
    "a function in a table": (
        "def g(): return 1\nTABLE = {'g': g}\ndef f():\n    return TABLE['g']()",
        "def g(): return 2\nTABLE = {'g': g}\ndef f():\n    return TABLE['g']()",
    ),
    "sync and async": ("def f(): return 1", "async def f(): return 1"),
    "its name": ("def f(n): return n and f(n - 1)", "def g(n): return n and f(n - 1)\nf = g"),
}


@pytest.mark.parametrize("case", SAME)
def test_does_not_count(identify: Identify, case: str) -> None:
    one, other = SAME[case]
    assert identify(one) == identify(other)


@pytest.mark.parametrize("case", OTHER)
def test_counts(identify: Identify, case: str) -> None:
    one, other = OTHER[case]
    assert identify(one) != identify(other)


MODULES = {
    "a function of an own module": "import tools\ndef f():\n    return tools.g()",
    "a function of an own package": "import pkg.tools\ndef f():\n    return pkg.tools.g()",
    "a name imported from an own module": "from tools import g\ndef f():\n    return g()",
    "an own module imported inside the function": "def f():\n    import tools\n    return tools.g()",
    "a name imported inside the function": "def f():\n    from pkg import tools\n    return tools.g()",
    "an own module as a value": "import tools\ndef f():\n    return getattr(tools, 'g')()",
    "an own module behind another one": "import front\ndef f():\n    return front.g()",
    "an own module behind one imported inside": "def f():\n    import front\n    return front.g()",
}


@pytest.mark.parametrize("case", MODULES)
def test_counts_across_files(identify: Identify, case: str) -> None:
    def with_answer(answer: int) -> str:
        tools = f"A = {answer}\ndef g():\n    return A\n"
        return identify(MODULES[case], tools=tools, pkg__tools=tools, pkg____init__="", front="from tools import g\n")

    assert with_answer(1) == with_answer(1)
    assert with_answer(1) != with_answer(2)


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
    from podtask_runner import modules

    def f(path: str) -> Any:
        return pytest.approx(json.loads(path))

    before = code_identity(f)
    monkeypatch.setattr(modules, "_installed_version", lambda _: "99")
    assert code_identity(f) != before


def test_a_file_that_changed_after_its_import_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "edited.py"
    path.write_text("def f():\n    return 1\n")
    one = load(path)
    before = code_identity(one.f)
    path.write_text("def f():\n    return 22\n")
    two = load(path)
    assert code_identity(one.f) not in (before, code_identity(two.f))  # now by its bytecode
    assert code_identity(two.f) != before


def test_code_without_source_counts_by_bytecode() -> None:
    def of(text: str) -> str:
        space: dict[str, Any] = {"__name__": "nowhere"}
        exec(text, space)
        return code_identity(space["f"])

    assert of("def f(x):\n    return x + 1") == of("\n\ndef f(x):\n    'doc'\n    return x + 1")
    assert of("def f(x):\n    return x + 1") != of("def f(x):\n    return x + 2")
    assert of("def f(x):\n    return [y for y in (1, 2)]") != of("def f(x):\n    return [y for y in (1, 3)]")


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


lock = __import__("threading").Lock()


def uses_a_lock() -> Any:
    return lock


def test_a_global_without_a_stable_form_is_named() -> None:
    with pytest.raises(Unhashable, match="uses_a_lock → lock: "):
        code_identity(uses_a_lock)


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
