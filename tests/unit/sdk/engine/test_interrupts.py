"""Ctrl-C, in a real process with a real SIGINT: the first cancels, a second one leaves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

DRIVER = """
import sys, time
from podtask import flow, task

@task
def endless(path):
    with open(path, "w") as told:
        told.write("started\\n")
        told.flush()
        time.sleep(3600)

@flow
def driving():
    endless(sys.argv[1]).wait()

driving()
"""

STUBBORN = """
import asyncio, sys
from dataclasses import replace
from podtask import backends, flow, task
from podtask.core.api.names import State

class Stubborn:
    '''Starts what it is given and ends nothing.'''
    name, detachable, remote, own_interpreter, submits_at_once = "stubborn", True, False, False, 1

    def submit(self, run):
        run.report(replace(run.status, state=State.RUNNING))

    def cancel(self, run):
        print("cancel", flush=True)

    def close(self):
        pass

backends.register("stubborn", lambda given: Stubborn())

@task
def one(x):
    return x

@flow(backend="stubborn")
def sync_flow():
    futures = one.map([1, 2])
    for future in futures:
        print(future.run_id, flush=True)
    for future in futures:
        future.wait()

async def ticking():
    # asyncio may go to sleep between a signal and its handler (CPython); a loop with timers wakes up for it.
    while True:
        await asyncio.sleep(0.05)

@task
async def later(x):
    return x

@flow(backend="stubborn")
async def async_flow():
    awake = asyncio.ensure_future(ticking())
    futures = [await later(1), await later(2)]
    for future in futures:
        print(future.run_id, flush=True)
    for future in futures:
        await future.wait()

sync_flow() if sys.argv[1] == "sync" else asyncio.run(async_flow())
"""


# Started in the background, as CI may be, a process inherits that it ignores SIGINT; a terminal's does not.
TAKES_INTERRUPTS = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"


@contextmanager
def driver(tmp_path: Path, script: str, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    file = tmp_path / "driver.py"
    file.write_text(TAKES_INTERRUPTS + script)
    known = {**os.environ, "PODTASK_HOME": str(tmp_path / "home"), "PODTASK_PROGRESS": "off", **environment}
    known.pop("PODTASK_FLOW_RUN_ID", None) if "PODTASK_FLOW_RUN_ID" not in environment else None
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-u", str(file), *arguments], env=known, cwd=tmp_path, **pipes)
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("backend", ["local", "process"])
def test_the_first_ctrl_c_cancels_what_was_started_and_says_so(tmp_path: Path, backend: str) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with driver(tmp_path, DRIVER, str(fifo), PODTASK_BACKEND=backend) as process, fifo.open() as told:
        assert told.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        assert told.read() == ""  # the task is gone with its driver
    assert process.returncode == -signal.SIGINT
    assert re.search(
        r"^Interrupted: cancelling 1 task run of flow run 'driving-\w{8}'\. A second Ctrl-C leaves at once\.$",
        said,
        re.MULTILINE,
    )
    assert "KeyboardInterrupt" in said


# A wait on a condition is torn when the signal comes after it let go of its lock: RuntimeError, and no interrupt.
TORN = """
import os, sys, threading
made = threading.Condition.__init__

def above():  # Python's own waits for a thread that starts are none of ours
    frame, names = sys._getframe(), []
    for _ in range(12):
        frame = frame.f_back if frame else None
        names += [frame.f_code.co_name] if frame else []
    return names

def make(condition, lock=None):
    made(condition, lock)
    let_go = condition._release_save

    def torn():
        state = let_go()
        starts = {"start", "_adjust_thread_count"} & set(above())
        if threading.current_thread() is threading.main_thread() and not starts:
            os.kill(os.getpid(), signal.SIGINT)
        return state

    condition._release_save = torn

threading.Condition.__init__ = make
"""


@pytest.mark.parametrize("prelude", ["", TORN], ids=["", "where a condition would be torn"])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_second_ctrl_c_detaches_and_says_how_to_attach_again(tmp_path: Path, kind: str, prelude: str) -> None:
    with driver(tmp_path, prelude + STUBBORN, kind) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        started = [process.stdout.readline(), process.stdout.readline()]
        process.send_signal(signal.SIGINT)
        first = process.stderr.readline()
        assert [process.stdout.readline(), process.stdout.readline()] == ["cancel\n", "cancel\n"]
        process.send_signal(signal.SIGINT)
        second = process.stderr.readline()
        _, rest = process.communicate()
    assert process.returncode == -signal.SIGINT, first + second + rest
    assert "cancelling 2 task runs of flow run" in first
    assert "A second Ctrl-C detaches: what is not cancelled by then goes on." in first
    found = re.fullmatch(r"Detached from flow run .* PODTASK_FLOW_RUN_ID=(\S+)\n", second)
    assert found is not None
    with driver(tmp_path, STUBBORN, kind, PODTASK_FLOW_RUN_ID=found[1]) as again:
        assert again.stdout is not None
        assert [again.stdout.readline(), again.stdout.readline()] == started


BUSY = """
import asyncio, time
from podtask import flow, task

@task
async def busy():
    while True:
        print("tick", flush=True)
        time.sleep(0.01)

@flow
async def driving():
    await (await busy()).wait()

asyncio.run(driving())
"""


def test_ctrl_c_ends_an_async_flow_whose_task_keeps_the_loop(tmp_path: Path) -> None:
    with driver(tmp_path, BUSY) as process:
        assert process.stdout is not None
        while process.stdout.readline():  # the first one waits for the loop (asyncio), a further one does not
            process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == -signal.SIGINT


def test_a_task_that_raises_an_interrupt_ends_no_driver(tmp_path: Path) -> None:
    script = BUSY.replace("while True:", "raise KeyboardInterrupt\n    while True:")
    script = script.replace("await (await busy()).wait()", "print((await (await busy()).wait()).name)\n    return 1")
    with driver(tmp_path, script) as process:
        out, _ = process.communicate()
    assert (out, process.returncode) == ("Crashed\n", 0)


def test_an_interrupt_with_nothing_under_way_says_nothing(tmp_path: Path) -> None:
    script = "from podtask import flow\n@flow\ndef idle():\n    raise KeyboardInterrupt\nidle()\n"
    with driver(tmp_path, script) as process:
        _, said = process.communicate()
    assert "Interrupted" not in said
