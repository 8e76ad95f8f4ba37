"""A real project is the same on every backend, however its flow is started (`tests.support.project`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conformance.suite import REMOTE
from tests.support import project
from tests.support.travel import written

WAYS = {
    "script": ["run.py"],
    "module": ["-m", "acme.flows"],
    "pytest": ["-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "checks"],
    "command": ["-m", "podtask.cli", "run", "src/acme/flows.py:report", "--param", "region=us"],
    "notebook": ["notebook.py"],
}
NOTEBOOK = """
import nbformat
from nbclient import NotebookClient

CELLS = ["from acme.flows import report", "import json; print('REPORT ' + json.dumps(report()))"]
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
print("".join(part["text"] for part in notebook.cells[-1].outputs if part.get("name") == "stdout"))
"""
"""A kernel is a process of its own, started in the project's folder."""


def report(folder: Path, command: list[str]) -> str:
    """What the driver prints."""
    beside = {"PYTHONPATH": str(folder / "src"), "PODTASK_PROGRESS": "off", "IPYTHONDIR": str(folder / ".ipython")}
    environment = {**os.environ, "JUPYTER_PLATFORM_DIRS": "1", **beside}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("way", WAYS)
def test_a_project_of_many_modules_is_itself(backend: str, tmp_path: Path, way: str) -> None:
    del backend
    folder = project.write(tmp_path / "project")
    (folder / "notebook.py").write_text(NOTEBOOK)
    said = report(folder, WAYS[way])
    if way == "command":
        answer = json.loads(said[said.index("{") :])
    else:
        answer = json.loads(next(line for line in said.splitlines() if line.startswith("REPORT "))[7:])
    assert answer == project.expected()


SETTINGS = {
    "conf.py": "RATE = 0.1\n\n\ndef rate():\n    return RATE\n",
    "run.py": """
        import sys

        from podtask import flow, task, task_input_hash

        import conf


        @task(cache_key_fn=task_input_hash)
        def rate():
            return conf.rate()


        @flow
        def main():
            conf.RATE = float(sys.argv[1])
            future = rate()
            print(future.wait().name, future.result())


        main()
        """,
}


def test_a_setting_changed_at_run_time_is_what_the_task_sees_and_what_its_key_is_made_of(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "project", SETTINGS)
    answers = [report(folder, ["run.py", value]).strip() for value in ("0.5", "0.7", "0.5")]
    assert answers == ["Completed 0.5", "Completed 0.7", "Cached 0.5"]
    if backend == "process":  # the two share a home, and so a cache
        monkeypatch.setenv("PODTASK_BACKEND", "local")
        assert report(folder, ["run.py", "0.7"]).strip() == "Cached 0.7"


MADE_ALIKE = {
    "conf.py": "import sys\n\nIN_A_POD = 'podtask_runner.process.supervisor' in sys.modules\n",
    "run.py": """
        from podtask import flow, task, task_input_hash

        import conf


        @task(cache_key_fn=task_input_hash)
        def where():
            return conf.IN_A_POD


        @flow
        def main():
            future = where()
            print(future.wait().name, future.result(), future.task_run.status.cache.miss_reason)


        main()
        """,
}


def test_a_result_that_another_global_led_to_is_not_kept(backend: str, tmp_path: Path) -> None:
    """The key is made of the driver's value; where a task runs elsewhere, the module computes its own."""
    folder = written(tmp_path / "project", MADE_ALIKE)
    first, second = (report(folder, ["run.py"]).strip() for _ in range(2))
    if backend == "local":
        assert (first.split()[:2], second.split()[:2]) == (["Completed", "False"], ["Cached", "False"])
    else:
        for said in (first, second):
            assert said.startswith("Completed True ")
            assert "Not published: conf.IN_A_POD differs between the driver" in said


SET_BETWEEN_BATCHES = {
    "conf.py": "RATE = 0.1\n\n\ndef rate():\n    return RATE\n",
    "run.py": """
        from podtask import flow, task, task_input_hash

        import conf


        @task
        def before():
            return 1


        @task(cache_key_fn=task_input_hash)
        def rate(x):
            return conf.rate()


        @flow
        def main():
            for given in (before(), 1):
                conf.RATE = 0.5
                futures = rate.map([given, 2], batch_size=2)
                conf.RATE = 0.7
                futures[0].wait()
                conf.RATE = 0.5
                print(*((future.wait().name, future.result()) for future in futures))


        main()
        """,
}


@pytest.mark.parametrize("backend", REMOTE, indirect=True)
def test_a_batch_is_never_cached_under_the_key_of_other_code(backend: str, tmp_path: Path) -> None:
    """The key of a batch is made when its upstreams have ended, from code that may have changed since the call."""
    del backend
    folder = written(tmp_path / "project", SET_BETWEEN_BATCHES)
    first, second = report(folder, ["run.py"]).splitlines()
    assert first == second == "('Completed', 0.5) ('Completed', 0.5)"
    other = report(folder, ["run.py"]).splitlines()
    assert other == [first, second], "an entry of the later value would have been found"


SET_BETWEEN_CALLS = {
    "conf.py": "RATE = 0.1\n\n\ndef rate():\n    return RATE\n",
    "run.py": """
        import sys

        from podtask import flow, task, task_input_hash

        import conf


        @task
        def before():
            return 1


        @task(cache_key_fn=task_input_hash)
        def rate(x):
            return conf.rate()


        @flow
        def main(*rates):
            first, futures = before(), []
            for conf.RATE in rates:
                futures.append(rate(first))
            print(*(future.result() for future in futures))


        main(*map(float, sys.argv[1:]))
        """,
}


@pytest.mark.parametrize("backend", REMOTE, indirect=True)
def test_a_key_is_made_of_what_was_packed_though_the_upstream_ends_later(backend: str, tmp_path: Path) -> None:
    """Tasks in the driver's own process see what the driver sets."""
    del backend
    folder = written(tmp_path / "project", SET_BETWEEN_CALLS)
    assert report(folder, ["run.py", "0.5", "0.9"]).split() == ["0.5", "0.9"]
    assert report(folder, ["run.py", "0.9"]).split() == ["0.9"]


POOLS = {
    "conf.py": "RATE = 1\n\n\ndef scaled(x):\n    return x * RATE\n",
    "run.py": """
        import multiprocessing
        import sys
        from concurrent.futures import ProcessPoolExecutor
        from dataclasses import dataclass

        from podtask import flow, task

        import conf


        @dataclass
        class Row:
            x: int

            def doubled(self):
                return Row(2 * self.x)


        @dataclass
        class Other(Row):
            pass


        def helper(row):
            return row.doubled()


        def work(row):
            return helper(row), conf.scaled(row.x), __name__ == type(row).__module__


        @task
        def pooled(method, rows):
            context = multiprocessing.get_context(method)
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                first = list(pool.map(work, rows))
            with context.Pool(1) as pool:
                return first + pool.map(work, rows)


        @flow
        def main():
            conf.RATE = 5
            rows = pooled(sys.argv[1], [Row(1), Other(2)]).result()
            assert all(type(row) is Row for row, _, _ in rows)
            print([(row.x, scaled) for row, scaled, _ in rows])


        if __name__ == "__main__":
            main()
        """,
}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_find_the_names_of_the_script_and_the_settings_of_modules(
    backend: str, tmp_path: Path, method: str
) -> None:
    folder = written(tmp_path / "project", POOLS)
    said = report(folder, ["run.py", method])
    if backend == "local" and method != "fork":  # there Python runs the script again, in which nothing is set
        assert said.strip() == "[(2, 1), (4, 2), (2, 1), (4, 2)]"
    else:
        assert said.strip() == "[(2, 5), (4, 10), (2, 5), (4, 10)]"
