"""What only the subprocess backend does: nobody is left behind, and what cannot travel is said at the call."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from podtask import flow, task
from podtask.payloads.code import UnpicklableTask

DRIVER = """
import os, sys, time
from podtask import flow, task

@task
def endless(path):
    with open(path, "w") as told:
        told.write("started\\n")
        told.flush()
        time.sleep(3600)

@flow
def driving():
    endless(sys.argv[1])

driving()
"""


def test_a_killed_driver_takes_its_subprocesses_along(tmp_path: Path) -> None:
    fifo, script = tmp_path / "fifo", tmp_path / "driver.py"
    os.mkfifo(fifo)
    script.write_text(DRIVER)
    environment = {**os.environ, "PODTASK_BACKEND": "process", "PODTASK_HOME": str(tmp_path / "home")}
    driver = subprocess.Popen([sys.executable, str(script), str(fifo)], env=environment, stderr=subprocess.DEVNULL)
    with fifo.open() as told:  # the end of the file comes when the last writer, the task, is gone
        assert told.readline() == "started\n"
        driver.kill()
        driver.wait()
        assert told.read() == ""


NAMESAKES = """
from podtask import flow, task
import helpers

@task
def asking():
    return helpers.WHERE

@flow
def driving():
    return asking().result()

print(driving())
"""


@pytest.mark.parametrize(("how", "where"), [("script.py", "beside"), ("-m", "here"), ("-c", "here")])
def test_modules_are_those_of_the_driver(tmp_path: Path, how: str, where: str) -> None:
    """Python puts the script's folder first, which need not be the working directory; both may have the module."""
    (tmp_path / "beside").mkdir()
    (tmp_path / "helpers.py").write_text("WHERE = 'here'")
    (tmp_path / "beside" / "helpers.py").write_text("WHERE = 'beside'")
    (tmp_path / "beside" / "script.py").write_text(NAMESAKES)
    command = {"script.py": ["beside/script.py"], "-m": ["-m", "beside.script"], "-c": ["-c", NAMESAKES]}[how]
    environment = {**os.environ, "PODTASK_BACKEND": "process", "PODTASK_HOME": str(tmp_path / "home")}
    argv = [sys.executable, *command]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == f"{where}\n", done.stderr


def test_a_function_that_cannot_travel_is_said_at_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path))
    lock = threading.Lock()

    @task
    def locked():
        return lock

    @flow(backend="process")
    def locking():
        with pytest.raises(UnpicklableTask, match=r"function of task 'locked' cannot be pickled .*lock"):
            locked()
        return "survived"

    assert locking() == "survived"


@pytest.mark.parametrize("backend", ["local", "process"])
def test_a_cache_entry_counts_in_its_own_store_directory_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    @task(cache_key_fn=lambda context, arguments: "one key")
    def computed():
        return 1

    @flow(backend=backend)
    def computing():
        return computed().wait().name

    names = []
    for home in ("here", "there", "here"):
        monkeypatch.setenv("PODTASK_HOME", str(tmp_path / home))
        names.append(computing())
    assert names == ["Completed", "Completed", "Cached"]


LOGGING = """
import logging, sys
from podtask import flow, task, get_run_logger
logging.basicConfig(level=logging.INFO, format="CFG %(name)s %(levelname)s %(message)s", stream=sys.stdout)
logging.getLogger("app.loud").setLevel(logging.DEBUG)
logging.getLogger("app.quiet").setLevel(logging.ERROR)

@task
def talking():
    logging.getLogger("app").info("informed")
    logging.getLogger("app").debug("left out")
    logging.getLogger("app.loud").debug("loud")
    logging.getLogger("app.quiet").warning("left out")
    get_run_logger().info("of the run")

@flow
def listening():
    talking().wait()

listening()
"""


def test_records_of_a_task_come_out_as_the_script_configured_logging(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(LOGGING)
    shown = {}
    for backend in ("local", "process"):
        environment = {**os.environ, "PODTASK_BACKEND": backend, "PODTASK_HOME": str(tmp_path / "home")}
        done = subprocess.run(
            [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True
        )
        shown[backend] = [
            line for line in (done.stdout + done.stderr).splitlines() if "CFG app" in line or "of the run" in line
        ]
    assert shown["local"] == [
        "CFG app INFO informed",
        "CFG app.loud DEBUG loud",
        "CFG podtask.task_runs INFO of the run",
    ]
    assert shown["process"] == shown["local"]


def test_a_format_that_only_this_process_can_fill_is_left_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    from podtask_runner.serialization import log_levels

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(request)s %(message)s"))
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    assert log_levels.found()[1:] == (None, None)


def test_a_directory_for_temporary_files_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path / "home"))

    @task(retries=2)
    def one():
        return 1

    @flow(backend="process")
    def running():
        future = one()
        state = future.wait()
        return state.name, future.task_run.status.attempts_total, state.message, str(state.exception())

    monkeypatch.setenv("TMPDIR", "/nope")
    name, attempts, message, error = running()
    assert (name, attempts) == ("Failed", 1), message
    assert "TMPDIR is '/nope', and there is no such directory" in message
    assert "Take TMPDIR out of" in error
