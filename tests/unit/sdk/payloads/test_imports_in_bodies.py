"""What a function imports when it is called: it travels though nobody has loaded it, and is hashed as it will run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.travel import SDK, Lab, written
from tests.unit.runner.harness import Attempt

PROJECT = {
    "conf.py": "RATE = 1\n",
    "pkg/__init__.py": "",
    "pkg/sub/__init__.py": "",
    "pkg/sub/deep.py": "from .. import other\nV = other.W\n",
    "pkg/other.py": "W = 3\n",
}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A driver whose script imports nothing at its top."""
    written(tmp_path / "project", PROJECT)
    return Lab(tmp_path, Attempt(tmp_path / "attempt"))


def test_modules_that_only_a_function_of_the_script_imports_travel(lab: Lab) -> None:
    lab.send(
        """
        def task():
            import conf
            from pkg.sub import deep
            return [conf.RATE, deep.V]
        send(task)
        """
    )
    assert lab.answer() == [1, 3]


@pytest.mark.parametrize("argument", ["plain", "inside.look", "(lambda: plain())"])
def test_so_do_those_of_functions_among_the_arguments_that_no_text_names(lab: Lab, argument: str) -> None:
    """As in a notebook, whose cells are in no file."""
    lab.send(
        f"""
        cell = '''
        def plain():
            from pkg.sub import deep
            return deep.V
        class Inside:
            def look(self): return plain()
        inside = Inside()
        def task(fn):
            return fn()
        '''
        import textwrap
        exec(compile(textwrap.dedent(cell), "<cell 1>", "exec"))
        send(task, {argument})
        """
    )
    assert lab.answer() == 3


def test_a_module_that_nobody_has_loaded_travels_as_its_file_is_now(lab: Lab) -> None:
    """Plain Python would import that."""
    lab.send(
        """
        from podtask.payloads.hashing import code_hash
        def task():
            import conf
            return conf.RATE
        before = Task(task)
        send(before)
        first = code_hash(before)
        pathlib.Path("conf.py").write_text("RATE = 22\\n")
        assert code_hash(before) != first
        send(before)
        """
    )
    assert lab.answer() == 22


@pytest.mark.parametrize("first", ["podtask", "conf"])
def test_a_loaded_module_counts_and_travels_as_it_was_imported(lab: Lab, first: str) -> None:
    if first == "conf":
        lab.before = "import conf\n"
    lab.send(
        """
        import conf
        from podtask.payloads.hashing import code_hash
        def task():
            import conf
            return conf.RATE
        early, late = Task(task), Task(task)
        pathlib.Path("conf.py").write_text("RATE = 22\\n")
        edited = code_hash(early)
        pathlib.Path("conf.py").write_text("RATE = 1\\n")
        assert code_hash(late) == edited
        pathlib.Path("conf.py").write_text("RATE = 22\\n")
        send(early)
        """
    )
    assert lab.answer() == 1


def test_a_module_that_is_imported_anew_counts_anew(lab: Lab) -> None:
    lab.send(
        """
        import conf, importlib
        from podtask.payloads.hashing import code_hash
        def task():
            import conf
            return conf.RATE
        early = Task(task)
        before = code_hash(early)
        pathlib.Path("conf.py").write_text("RATE = 22\\n")
        importlib.reload(conf)
        assert code_hash(early) != before
        send(early)
        """
    )
    assert lab.answer() == 22


EDITED = """
import pathlib, sys
from podtask import flow, task, task_input_hash
file = pathlib.Path("conf.py")
@task(cache_key_fn=task_input_hash)
def go():
    import conf
    return conf.RATE
@flow
def main():
    found = []
    for rate in (1, 22, 1):
        file.write_text(f"RATE = {rate}\\n")
        future = go()
        found.append((future.result(), future.get_state().name))
    return found
print(main())
"""


@pytest.mark.parametrize(
    ("backend", "found"),
    [
        # in this process the module is loaded by the first call, and stays
        ("local", "[(1, 'Completed'), (1, 'Cached'), (1, 'Cached')]"),
        ("process", "[(1, 'Completed'), (22, 'Completed'), (1, 'Cached')]"),
    ],
)
def test_a_file_that_is_edited_between_calls_never_answers_for_another(
    tmp_path: Path, backend: str, found: str
) -> None:
    written(tmp_path, {"flow.py": EDITED, "conf.py": "RATE = 1\n"})
    environment = {
        "PYTHONPATH": SDK,
        "PODTASK_BACKEND": backend,
        "PODTASK_HOME": str(tmp_path / "home"),
        "PODTASK_PROGRESS": "off",
    }
    done = subprocess.run(
        [sys.executable, "flow.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().splitlines()[-1:] == [found], done.stderr
