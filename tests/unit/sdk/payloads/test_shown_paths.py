"""A traceback names the user's files as the project does, in a pod as at home, and shows no folder of an attempt."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.travel import Lab, written
from tests.unit.runner.harness import Attempt

from podtask_runner import shown_paths
from podtask_runner.serialization.exceptions import traceback_text


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A driver whose project has a `src` layout; the runner has nothing of it."""
    project = written(
        tmp_path / "project",
        {
            "src/acme/__init__.py": "",
            "src/acme/etl.py": """
                def deep(x):
                    try:
                        return {}["region"]
                    except KeyError as error:
                        raise ValueError("no region") from error
                """,
            "src/acme/broken.py": "from acme.etl import nothing\n",
            "src/acme/syntax.py": "def f(:\n",
        },
    )
    return Lab(tmp_path, Attempt(tmp_path / "attempt"), path=(project / "src",))


def failure(lab: Lab, script: str) -> str:
    lab.send(script)
    ran = lab.run()
    error = ran.outcome.error
    assert error is not None
    assert str(error.traceback) in ran.stdout
    return f"{error.traceback}\n{error.message}"


def test_frames_of_modules_and_of_the_script_are_relative_to_the_project(lab: Lab) -> None:
    text = failure(lab, "from acme import etl\ndef task(x):\n    return etl.deep(x)\nsend(task, 1)\n")
    assert '  File "src/acme/etl.py", line 4, in deep\n    return {}["region"]\n' in text
    assert '  File "src/acme/etl.py", line 6, in deep\n' in text
    assert '  File "driver.py", line ' in text
    assert str(lab.root) not in text


@pytest.mark.parametrize("name", ["broken", "syntax"])
def test_an_import_that_fails_shows_no_folder_of_the_attempt(lab: Lab, name: str) -> None:
    """Python puts the path into the message as well."""
    text = failure(lab, f"def task():\n    import acme.{name}\nsend(task, include=['acme'])\n")
    assert f'  File "src/acme/{name}.py", line 1' in text
    assert name != "broken" or "(src/acme/etl.py)" in text
    assert str(lab.root) not in text
    assert "importlib" not in text.partition("Error")[0], "frames of the machinery"
    assert "podtask_runner" not in text


def test_a_project_below_no_working_directory_is_called_by_its_modules(lab: Lab, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    lab.send("from acme import etl\ndef task(x):\n    return etl.deep(x)\nsend(task, 1)\n", cwd=elsewhere)
    error = lab.run().outcome.error
    assert error is not None
    text = str(error.traceback)
    assert '  File "acme/etl.py", line 4, in deep\n' in text
    assert '  File "driver.py", line ' in text
    assert str(lab.root) not in text


def run_in(folder: Path, text: str, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(folder)
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, str(file), "exec"), space)
    with pytest.raises(BaseException) as found:
        space["f"]()
    return traceback_text(found.value)


def test_at_home_a_file_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = run_in(tmp_path, "def f():\n    return 1 / 0\n", "flows/daily.py", monkeypatch)
    assert '  File "flows/daily.py", line 2, in f\n    return 1 / 0\n' in text


def test_installed_packages_keep_their_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ".venv/lib/python3.11/site-packages/lib.py"
    assert f'  File "{tmp_path / file}", line 2, in f\n' in run_in(
        tmp_path, "def f():\n    return 1 / 0\n", file, monkeypatch
    )


@pytest.mark.skipif(sys.version_info < (3, 11), reason="groups are new in Python 3.11")
def test_members_of_a_group_are_renamed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "def g():\n    return 1 / 0\ndef f():\n    try:\n        g()\n    except Exception as e:\n"
    text = run_in(tmp_path, f"{lines}        raise ExceptionGroup('all', [e])\n", "many.py", monkeypatch)
    assert str(tmp_path) not in text
    assert text.count('File "many.py"') == 5


def test_the_root_of_the_file_system_is_no_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setattr(sys, "path", ["/"])
    assert shown_paths.shown("/somewhere/flow.py") == "/somewhere/flow.py"


def test_a_working_directory_that_is_gone_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    monkeypatch.setattr(sys, "path", [])
    assert shown_paths.shown(str(folder / "flow.py")) == str(folder / "flow.py")


@pytest.mark.parametrize("name", ["<stdin>", "<string>", "flow.py"])
def test_what_is_no_path_stays(name: str) -> None:
    assert shown_paths.shown(name) == name
