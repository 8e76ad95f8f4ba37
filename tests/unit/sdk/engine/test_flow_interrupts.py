"""Ctrl-C at any place of a flow: whatever its backend took is cancelled, and the process can go on, as a notebook does.

A real SIGINT, sent just before one bytecode of the flow's thread; each one gets its turn in `make test-long`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.interrupted import InterruptedAt, press_until

from podtask import backends, flow, task
from podtask.backends import local
from podtask.backends.in_process import controller
from podtask.context import FlowRunInfo
from podtask.core import clock
from podtask.core.api.names import State
from podtask.engine import flow_run, interrupts, submission
from podtask.support import keyboard
from podtask.task_runners import ConcurrentTaskRunner

TRACED = [flow_run, interrupts, submission, keyboard, controller, local, contextlib]
press = partial(signal.raise_signal, signal.SIGINT)
EVERY = pytest.mark.parametrize("every", [13, pytest.param(1, marks=pytest.mark.long)])


class Over(BaseException):
    """Ends a flow whose tasks do not end."""


@task
async def endless(x):
    await asyncio.Event().wait()


@task
def plain(x):
    return x


@flow
def adding():
    return plain(1).result()


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A backend in this process, and Ctrl-C as a terminal has it, whatever started the tests."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield backends.get()
    signal.signal(signal.SIGINT, before)
    backends.get().close()


def left_of(backend: Any) -> list[str]:
    """What goes on in the backend, though it was given time to end."""
    runs = [tracked.run for tracked in list(backend._loop._runs.values())]
    return [run.name for run in runs if not run.wait(10)]


@EVERY
def test_an_interrupt_at_any_bytecode_leaves_no_run_in_this_process(ours: Any, every: int) -> None:
    place, came = 0, True
    while came:
        at = InterruptedAt(place, TRACED, press)

        @flow
        def driving(at: Any) -> None:
            with at:
                endless(1)
                endless(2)
            raise Over

        with contextlib.suppress(KeyboardInterrupt, Over):
            driving(at)
        assert left_of(ours) == [], f"interrupted at bytecode {place}"
        assert adding() == 1, f"interrupted at bytecode {place}"
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, f"interrupted at bytecode {place}"
        place, came = place + every, at.came
    assert place > 500


@EVERY
def test_an_interrupt_at_any_bytecode_of_an_async_flow_leaves_no_run_in_this_process(ours: Any, every: int) -> None:
    place, came = 0, True
    while came:
        at = InterruptedAt(place, TRACED, press)

        @flow
        async def driving(at: Any) -> None:
            with at:
                await endless(1)
                await endless(2)
            raise Over

        with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError, Over):
            asyncio.run(driving(at))
        assert left_of(ours) == [], f"interrupted at bytecode {place}"
        assert adding() == 1, f"interrupted at bytecode {place}"
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, f"interrupted at bytecode {place}"
        place, came = place + every, at.came
    assert place > 500


@EVERY
def test_a_second_interrupt_while_the_first_is_handled_leaves_no_run_in_this_process(
    ours: Any, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    place, came = 0, True
    while came:
        at = InterruptedAt(place, TRACED, press)

        def begin(_flow: Any, at: Any = at) -> bool:
            at.__enter__()
            return False

        monkeypatch.setattr(interrupts, "_stopped", begin)

        @flow
        def driving() -> None:
            for number in range(3):
                endless(number)
            raise KeyboardInterrupt

        try:  # not `suppress`, which would be interrupted as well
            driving()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        assert left_of(ours) == [], f"interrupted at bytecode {place}"
        assert adding() == 1, f"interrupted at bytecode {place}"
        place, came = place + every, at.came
    assert place > 500


class FarAway:
    """Takes runs as a cluster does, and ends them when it is asked to."""

    name, detachable, remote, own_interpreter, submits_at_once = "far-away", True, False, False, 4

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def submit(self, run: Any) -> None:
        self.taken.append(run)
        run.report(replace(run.status, state=State.RUNNING))

    def cancel(self, run: Any) -> None:
        run.report(replace(run.status, state=State.CANCELLED, finished_at=clock.now()))

    def close(self) -> None:
        """Nothing is open."""


@EVERY
@pytest.mark.parametrize("mapped", [False, True])
def test_an_interrupt_at_any_bytecode_cancels_whatever_a_cluster_took(ours: Any, mapped: bool, every: int) -> None:
    far = FarAway()
    backends.register("far-away", lambda _: far)
    place, came = 0, True
    while came:
        at = InterruptedAt(place, TRACED, press)

        @flow(backend="far-away")
        def driving(at: Any) -> None:
            with at:
                endless.map([1, 2]) if mapped else endless(1)
            raise Over

        with contextlib.suppress(KeyboardInterrupt, Over):
            driving(at)
        assert [run.name for run in far.taken if not run.wait(0)] == [], f"interrupted at bytecode {place}"
        place, came = place + every, at.came
        far.taken.clear()
    assert place > 300


def test_what_a_cluster_takes_after_a_second_interrupt_is_still_known_to_the_flow(ours: Any) -> None:
    interrupts_due, left = [threading.Event(), threading.Event()], threading.Event()
    coming = iter(interrupts_due)

    def handler(*_: Any) -> None:
        next(coming).set()
        raise KeyboardInterrupt

    class Slow(FarAway):
        def submit(self, run: Any) -> None:
            for came in interrupts_due:
                press_until(came)
            assert left.wait(30)
            super().submit(run)

    far: Any = Slow()
    driving = flow_run.FlowRun(FlowRunInfo("11111111-flow", "flow-11111111", "flow"), far, ConcurrentTaskRunner())
    signal.signal(signal.SIGINT, handler)
    with pytest.raises(KeyboardInterrupt):
        driving.submit(plain, (1,), {}, None)
    assert driving.unfinished() == []
    left.set()
    for thread in threading.enumerate():
        if thread.name.startswith("podtask-submit"):
            thread.join(30)
    assert len(far.taken) == 1
    assert driving.unfinished() == far.taken
