"""Every example runs, here and in subprocesses; on a cluster it is run by tests/cluster."""

from __future__ import annotations

import ast
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.examples import FOLDER, LAST_LINE, OTHERS, VALUES


def run(name: str, home: Path, **settings: str) -> list[str]:
    """The lines of its standard output."""
    environment = {**os.environ, "PODTASK_HOME": str(home), **settings}
    command = [sys.executable, "-W", "error", str(FOLDER / f"{name}.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("backend", ["local", "process"])
@pytest.mark.parametrize("name", LAST_LINE)
def test_the_example_says_what_it_should(name: str, backend: str, tmp_path: Path) -> None:
    assert run(name, tmp_path, PODTASK_BACKEND=backend)[-1].startswith(LAST_LINE[name])


def test_the_second_run_of_the_caching_example_computes_nothing(tmp_path: Path) -> None:
    said = ["\n".join(run("caching", tmp_path, PODTASK_BACKEND="local")) for _ in "12"]
    assert "computing" in said[0]
    assert "computing" not in said[1]
    assert said[1].count("Cached") == 2


@pytest.mark.parametrize("manifest", VALUES)
def test_the_task_runs_of_a_manifest_complete_without_a_cluster(manifest: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "podtask.cli", "run", "-f", str(FOLDER / manifest), "--local"]
    environment = {**os.environ, "PODTASK_HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) >= {f"{name} Completed: {value}" for name, value in VALUES[manifest].items()}


def test_every_example_is_run() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == set(LAST_LINE)
    assert {path.name for path in FOLDER.glob("*.yaml")} == {*VALUES, *OTHERS}


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_an_example_begins_with_what_it_shows_and_how_to_run_it(path: Path) -> None:
    text = path.read_text()
    comments = "".join(itertools.takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True)))
    begin = (path.suffix == ".py" and ast.get_docstring(ast.parse(text))) or comments
    assert len(begin.splitlines()) >= 3
    assert f"examples/{path.name}" in begin
