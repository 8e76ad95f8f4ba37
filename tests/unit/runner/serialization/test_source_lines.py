"""Code that travelled shows its file and its lines in tracebacks, whichever cloudpickle made the payload."""

from __future__ import annotations

import linecache
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from podtask_runner.serialization import pickling, source_lines

SCRIPT = """
def helper(x):
    return 1 / x

def div(x):

    def inner():
        return helper(x)  # the line of inner
    return [f() for f in [inner]]
"""
READER = """
import sys, traceback
from pathlib import Path
from podtask_runner.serialization import pickling
try:
    pickling.loads(Path(sys.argv[1]).read_bytes())(0)
except ZeroDivisionError:
    traceback.print_exc(file=sys.stdout)
"""


@pytest.fixture(params=["as it is", "3.1.3"])
def cloudpickle_(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """cloudpickle 3.1.3 and later write a file name of their own, whatever version is installed here."""
    if request.param == "as it is":
        return
    real = cloudpickle.Pickler.dispatch_table[types.CodeType]

    def anonymous(code: types.CodeType) -> tuple[Any, ...]:
        make, parts = real(code)[:2]
        return make, tuple("<dynamic-code>" if part is code.co_filename else part for part in parts)

    monkeypatch.setitem(cloudpickle.Pickler.dispatch_table.maps[0], types.CodeType, anonymous)


def function_of(script: Path) -> Any:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(script.read_text(), str(script), "exec"), namespace)
    return namespace["div"]


@pytest.mark.usefixtures("cloudpickle_")
@pytest.mark.parametrize("stays", [True, False], ids=["the file is here", "the file is elsewhere"])
def test_a_traceback_names_the_file_and_shows_the_lines(tmp_path: Path, stays: bool) -> None:
    script, payload = tmp_path / "flow.py", tmp_path / "payload"
    script.write_text(SCRIPT)
    payload.write_bytes(pickling.dumps(function_of(script)))
    if not stays:
        script.unlink()
    done = subprocess.run([sys.executable, "-c", READER, str(payload)], capture_output=True, text=True, check=True)
    for line, name, text in [(3, "helper", "return 1 / x"), (8, "inner", "return helper(x)  # the line of inner")]:
        assert f'File "{script}", line {line}, in {name}\n    {text}\n' in done.stdout


def test_lines_of_a_file_that_is_here_are_read_from_it(tmp_path: Path) -> None:
    script = tmp_path / "flow.py"
    script.write_text(SCRIPT)
    data = pickling.dumps(function_of(script))
    script.write_text(SCRIPT.replace("# the line of inner", "# another"))
    linecache.checkcache(str(script))
    pickling.loads(data)
    assert "# another" in linecache.getline(str(script), 8)


def test_a_notebook_keeps_its_own_lines() -> None:
    name, lines = "<cell 5>", ["def f():\n", "    return 1\n"]
    linecache.cache[name] = (2, None, lines, name)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile("".join(lines), name, "exec"), namespace)
    assert pickling.loads(pickling.dumps(namespace["f"]))() == 1
    assert linecache.cache.pop(name)[2] is lines


def test_code_without_a_source_travels_as_ever() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("def f(): return 5", namespace)
    there = pickling.loads(pickling.dumps(namespace["f"]))
    assert there() == 5
    assert there.__code__.co_filename == "<string>"


def test_very_long_code_travels_without_its_lines(tmp_path: Path) -> None:
    script = tmp_path / "long.py"
    script.write_text("def div():\n" + "    x = 1\n" * (source_lines.MOST_LINES + 1))
    assert source_lines.lines_of(function_of(script).__code__) == ()


def test_a_line_full_of_data_is_left_out(tmp_path: Path) -> None:
    script = tmp_path / "wide.py"
    script.write_text(f"def div():\n    x = '{'x' * 5000}'\n    return x\n")
    assert source_lines.lines_of(function_of(script).__code__) == ("def div():\n", "\n", "    return x\n")
