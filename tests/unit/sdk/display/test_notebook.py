"""Cells in a real kernel, run by nbclient: one live table, folded tracebacks, pictures of flows and futures."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

SETUP = """
import os
os.environ.update(PODTASK_HOME={home!r}, PODTASK_PROGRESS={progress!r}, PODTASK_BACKEND={backend!r})
os.environ.pop("CI", None)
from podtask import flow, task, tags

@task
def double(x): return 2 * x

@task(name="<b>bad</b>")
def bad(x): raise ValueError(f"no luck with {{x}}")

@flow
def fine(n):
    print("in the middle")
    return [double(x) for x in range(n)]

@flow(name="<i>sad</i>")
def sad(): return bad(1)
"""
Cells = Callable[..., list[list[Any]]]


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cells:
    """Runs cells in one kernel; the outputs of each."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")

    def run(*sources: str, progress: str = "auto", backend: str = "local") -> list[list[Any]]:
        setup = SETUP.format(home=str(tmp_path / "home"), progress=progress, backend=backend)
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in (setup, *sources)])
        NotebookClient(book, timeout=60, kernel_name="python3", allow_errors=True).execute()
        assert book.cells[0].outputs == [], book.cells[0].outputs
        return [cell.outputs for cell in book.cells[1:]]

    return run


def html(output: Any) -> str:
    return str(output["data"]["text/html"])


def plain(error: Any) -> str:
    """A traceback without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error["traceback"]))


@pytest.mark.parametrize("backend", ["local", "process"])
def test_a_flow_has_one_table_that_is_updated(cells: Cells, backend: str) -> None:
    """No trail of lines on stderr, and what the flow prints is beside it."""
    (outputs,) = cells("fine(3);", backend=backend)
    tables = [one for one in outputs if one["output_type"] == "display_data"]
    assert len(tables) == 1
    assert "3/3 finished" in html(tables[0])
    assert "Completed 3" in html(tables[0])
    assert "double" in html(tables[0])
    assert re.search(r"double +3/3 finished +Completed 3", tables[0]["data"]["text/plain"])
    assert [one["text"] for one in outputs if one["output_type"] == "stream"] == ["in the middle\n"]


def test_a_table_is_of_its_cell(cells: Cells) -> None:
    first, second = cells("fine(2);", "fine(4);")
    assert ["2/2" in html(one) for one in first if one["output_type"] == "display_data"] == [True]
    assert ["4/4" in html(one) for one in second if one["output_type"] == "display_data"] == [True]


@pytest.mark.parametrize(("progress", "tables", "lines"), [("off", 0, False), ("plain", 0, True)])
def test_what_is_asked_for_is_shown(cells: Cells, progress: str, tables: int, lines: bool) -> None:
    (outputs,) = cells("fine(1);", progress=progress)
    assert sum(one["output_type"] == "display_data" for one in outputs) == tables
    assert any(one.get("name") == "stderr" and "1 Completed" in one["text"] for one in outputs) is lines


@pytest.mark.parametrize(
    ("source", "own"),
    [
        ("@flow\ndef inside():\n    return bad(3).result()\ninside()", 0),
        ("@flow\ndef outside(): return inside()\n@flow\ndef inside():\n    bad(3).result()\noutside()", 0),
        ("sad()", 1),  # no frame of the user's is behind ours, and IPython always shows the last one
        ("sad(return_state=True).result", 1),
    ],
)
def test_own_frames_are_folded_and_the_users_stay(cells: Cells, source: str, own: int) -> None:
    (outputs,) = cells(source, progress="off")
    (error,) = [one for one in outputs if one["output_type"] == "error"]
    text = plain(error)
    assert error["ename"] == "ValueError"
    assert "no luck with" in text
    assert "skipping hidden" in text
    assert len(re.findall(r"podtask/\w+/[\w/]*\.py:\d+, in ", text)) == own, text
    if own == 0:
        assert "bad(3).result()" in text
    assert 'raise ValueError(f"no luck with {x}")' in text  # the task's own line, as it was told from there


def test_an_error_of_ours_keeps_its_frames(cells: Cells) -> None:
    """What podtask does wrong has to be found: only what hands on a task's error is taken out."""
    source = "import podtask.engine.flow_engine as e\ndef broken(*a): raise AttributeError('ours')\n"
    source += "e._settle = broken\nfine(1)"
    (outputs,) = cells(source, progress="off")
    (error,) = [one for one in outputs if one["output_type"] == "error"]
    assert error["ename"] == "AttributeError"
    assert "in broken" in plain(error)


def test_all_frames_are_there_for_who_asks(cells: Cells) -> None:
    (_, outputs) = cells("get_ipython().InteractiveTB.skip_hidden = False", "sad()", progress="off")
    (error,) = [one for one in outputs if one["output_type"] == "error"]
    assert "flow_engine.py" in plain(error)


def test_a_flow_shows_its_last_run(cells: Cells) -> None:
    before, _, after, escaped = cells("fine", "fine(3); sad(return_state=True)", "fine", "sad", progress="off")
    assert "last run" not in html(before[0])
    assert "Completed 3" in html(after[0])
    assert "<svg" in html(after[0])
    assert "Failed 1" in html(escaped[0])
    assert "&lt;b&gt;bad" in html(escaped[0])
    assert "<b>bad" not in html(escaped[0])
    assert "<i>sad" not in html(escaped[0])


def test_a_future_shows_how_long_it_was_in_which_state(cells: Cells) -> None:
    source = "@flow\ndef one():\n    kept.append(double(1)); kept[0].wait()\nkept = []\none()\nkept[0]"
    (outputs,) = cells(source, progress="off")
    shown = next(html(one) for one in outputs if one["output_type"] == "execute_result")
    assert re.search(r"<svg .*<title>Completed", shown)


def test_an_async_flow_in_a_cell(cells: Cells) -> None:
    source = (
        "@flow\nasync def later(): return (await bad.with_options(name='x')(1)) if False else bad(2)\nawait later()"
    )
    (outputs,) = cells(source)
    (error,) = [one for one in outputs if one["output_type"] == "error"]
    assert error["ename"] == "ValueError"
    assert "flow_engine.py" not in plain(error)
    assert [one for one in outputs if one["output_type"] == "display_data"]
