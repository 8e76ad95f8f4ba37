"""What a script defined, in a process that does not have it, and back: the reader's own, and nothing changed."""

from __future__ import annotations

import base64
import enum
import gc
import json
import linecache
import os
import pickle
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.runner.harness import RUNNER
from tests.unit.runner.hashing.interpreters import interpreters

from podtask_runner.names import SOURCE_FILE, SOURCE_MODULE
from podtask_runner.serialization import pickling

SCRIPTS = ("script_data.py", "script_classes.py")
POD = """
import base64, sys
from podtask_runner.script import main_module
from podtask_runner.serialization import pickling
main_module.adopt()
for line in sys.stdin:
    print(base64.b64encode(pickling.dumps(pickling.loads(base64.b64decode(line)))).decode(), flush=True)
"""


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> str:
    """cloudpickle alone, for interpreters that have nothing installed."""
    folder = tmp_path_factory.mktemp("libraries")
    (folder / "cloudpickle").symlink_to(Path(cloudpickle.__file__).parent)
    return str(folder)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("minor", interpreters())
def test_a_script_finds_its_own_again_and_nothing_of_it_changed(
    minor: str, script: str, tmp_path: Path, libraries: str
) -> None:
    done = subprocess.run(
        [interpreters()[minor], "-W", "error", Path(__file__).with_name(script), tmp_path],
        env={**os.environ, "PYTHONPATH": f"{RUNNER}{os.pathsep}{libraries}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


class Pod:
    """A process that opens what it gets and sends it back."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", POD],
            env={**os.environ, "PYTHONPATH": RUNNER},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def back(self, value: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(base64.b64encode(pickling.dumps(value)).decode() + "\n")
        self._process.stdin.flush()
        return pickling.loads(base64.b64decode(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate(timeout=30)


@pytest.fixture(scope="module")
def pod() -> Iterator[Pod]:
    running = Pod()
    yield running
    running.close()


NAMES = st.lists(st.sampled_from(["a", "b", "c", "_d"]), min_size=1, max_size=4, unique=True)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
OPTIONS = ("frozen=True", "slots=True", "order=True", "kw_only=True", "unsafe_hash=True", "repr=False")


@st.composite
def scripts(draw: Any) -> tuple[str, str]:
    """The text of a script that defines `Thing`, and an expression that makes one."""
    names: list[str] = draw(NAMES)
    kind = draw(st.sampled_from(["plain", "slots", "dataclass", "named tuple", "enum", "flag", "subclass"]))
    head = "import enum\nfrom dataclasses import dataclass, field\nfrom typing import NamedTuple\n"
    values = ", ".join(f"{name}={draw(DATA)!r}" for name in names)
    method = "    def itself(self): return Thing\n" if draw(st.booleans()) else ""
    if kind == "dataclass":
        options = ", ".join(draw(st.lists(st.sampled_from(OPTIONS), unique=True)))
        fields = "".join(f"    {name}: object\n" for name in names)
        more = "    extra: list = field(default_factory=list)\n" if draw(st.booleans()) else ""
        return f"{head}@dataclass({options})\nclass Thing:\n{fields}{more}{method}", f"Thing({values})"
    if kind == "named tuple":
        fields = "".join(f"    {name.lstrip('_')}: object\n" for name in names)
        return f"{head}class Thing(NamedTuple):\n{fields}{method}", f"Thing({values.replace('_d=', 'd=')})"
    if kind in ("enum", "flag"):
        base = draw(st.sampled_from(["Enum", "IntEnum"] if kind == "enum" else ["Flag", "IntFlag"]))
        numbers = [draw(st.integers(0, 5)) if kind == "enum" else 1 << draw(st.integers(0, 3)) for _ in names]
        members = "".join(f"    {name.upper()} = {number}\n" for name, number in zip(names, numbers, strict=True))
        chosen = " | ".join(f"Thing.{name.upper()}" for name in (names if kind == "flag" else names[:1]))
        return f"{head}class Thing(enum.{base}):\n{members}{method}", chosen.replace("Thing._D", "Thing['_D']")
    slots = f"    __slots__ = {tuple(names)!r}\n" if kind == "slots" else ""
    base = f"({draw(st.sampled_from(['dict', 'list', 'Exception']))})" if kind == "subclass" else ""
    body = (
        "    def __init__(self, **given):\n"
        f"        {'super().__init__()' if base else 'pass'}\n"
        "        for name, value in given.items(): setattr(self, name, value)\n"
        "    def state(self): return {n: getattr(self, n) for n in " + repr(names) + "}\n"
        "    def __eq__(self, other): return type(other) is type(self) and self.state() == other.state()\n"
    )
    reduce = "    def __reduce__(self): return make, (self.state(),)\n" if kind == "subclass" else ""
    return (
        f"{head}class Thing{base}:\n{slots}{body}{reduce}{method}def make(state): return Thing(**state)\n",
        f"Thing({values})",
    )


@pytest.fixture
def script() -> Iterator[types.ModuleType]:
    """An empty module of the user's that no other process can import."""
    before = sys.modules.get(SOURCE_MODULE)
    module = sys.modules[SOURCE_MODULE] = types.ModuleType(SOURCE_MODULE)
    module.__file__ = SOURCE_FILE
    yield module
    del sys.modules[SOURCE_MODULE]
    linecache.cache.pop(SOURCE_FILE, None)
    if before is not None:
        sys.modules[SOURCE_MODULE] = before


def run(module: types.ModuleType, text: str) -> None:
    for name in [name for name in vars(module) if not name.startswith("__")]:
        delattr(module, name)
    linecache.cache[SOURCE_FILE] = (len(text), None, text.splitlines(keepends=True), SOURCE_FILE)
    exec(compile(text, SOURCE_FILE, "exec", dont_inherit=True), vars(module))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=120)
@given(made=scripts())
def test_what_pickles_in_plain_python_comes_back_equal_and_of_the_readers_class(
    made: tuple[str, str], pod: Pod, script: types.ModuleType
) -> None:
    text, expression = made
    run(script, text)
    value = eval(expression, vars(script))
    assert pickle.loads(pickle.dumps(value)) == value
    body = {name: member for name, member in vars(type(value)).items() if name != "_value2member_map_"}
    came = pod.back([value, {"again": value}])
    assert came == [value, {"again": value}]
    assert came[0] is came[1]["again"]
    assert type(came[0]) is type(value)
    assert all(vars(type(value)).get(name) is member for name, member in body.items())


def test_a_definition_that_changed_is_another_class_and_both_stay(script: types.ModuleType) -> None:
    run(script, "class Thing:\n    def number(self): return 1\n")
    sent = pickling.dumps(script.Thing())
    run(script, "class Thing:\n    def number(self): return 2\n")
    came = pickling.loads(sent)
    assert (came.number(), script.Thing().number()) == (1, 2)
    assert type(pickling.loads(sent)) is type(came)


def test_a_cell_that_ran_again_is_the_same_class(script: types.ModuleType) -> None:
    text = "class Thing:\n    def number(self): return 1\n"
    run(script, text)
    sent = pickling.dumps(script.Thing())
    run(script, text)
    assert type(pickling.loads(sent)) is script.Thing


def test_a_counter_and_other_values_do_not_make_another_class(script: types.ModuleType, pod: Pod) -> None:
    run(script, "class Thing:\n    count = 0\n    def number(self): return self.count\n")
    sent = pickling.dumps(script.Thing())
    script.Thing.count += 1
    assert pickling.loads(sent).number() == 1
    assert type(pod.back(script.Thing())) is script.Thing


def test_what_the_reader_has_is_not_even_opened(script: types.ModuleType) -> None:
    run(
        script,
        "class Loud:\n    heard = []\n    def __init__(self): Loud.heard.append('made')\n"
        "    def __reduce__(self): return Loud, ()\n"
        "class Thing:\n    loud = Loud()\n    def number(self): return 1\n",
    )
    sent = pickling.dumps(script.Thing())
    pickling.loads(sent)
    assert script.Loud.heard == ["made"]


BASE = (
    "class Base:\n    heard = []\n"
    "    def __init_subclass__(cls, /, key):\n        Base.heard.append((key, cls().number()))\n"
)


def test_hooks_of_the_readers_hear_once_of_a_class_that_it_does_not_have(script: types.ModuleType) -> None:
    run(script, BASE + "class Sub(Base, key='k'):\n    def number(self): return 1\n")
    sent = pickling.dumps(script.Sub())
    run(script, BASE)
    gc.collect()  # the class that was sent is gone here
    kinds = {type(pickling.loads(sent)) for _ in range(3)}
    assert len(kinds) == 1
    assert issubclass(kinds.pop(), script.Base)
    assert script.Base.heard == [("k", 1)]


def test_two_threads_make_one_class(script: types.ModuleType) -> None:
    run(script, BASE + "class Sub(Base, key='k'):\n    def number(self): return 1\n")
    sent = pickling.dumps(script.Sub())
    run(script, BASE)
    gc.collect()  # the class that was sent is gone here
    start = threading.Barrier(8)

    def read(_: int) -> type:
        start.wait()
        return type(pickling.loads(sent))

    with ThreadPoolExecutor(8) as threads:
        kept = list(threads.map(read, range(8)))
    assert len(set(kept)) == 1
    assert len(script.Base.heard) == 1


def test_classes_inside_of_a_function_are_told_apart_by_their_values(pod: Pod) -> None:
    def of_size(size: int) -> Any:
        class Sized:
            length = size

            def measure(self) -> int:
                return size

        return Sized

    small, large = of_size(1), of_size(2)
    came = pod.back([small(), large()])
    assert [type(each) for each in came] == [small, large]
    assert [each.measure() for each in came] == [1, 2]


def test_an_enum_inside_of_a_function_is_equal_to_itself(pod: Pod) -> None:
    class Colour(enum.Enum):
        RED = 1

    assert pod.back(Colour.RED) is Colour.RED


def test_a_dispatching_function_of_the_reader_gets_no_implementations(script: types.ModuleType) -> None:
    run(script, "import functools\n@functools.singledispatch\ndef kind(value): return 'other'\n")
    sent = pickling.dumps(script.kind)
    before = dict(script.kind.registry)
    assert pickling.loads(sent) is script.kind
    assert dict(script.kind.registry) == before
