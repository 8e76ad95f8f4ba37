"""Ctrl-C at any place of a submission: what was begun has arrived when the interrupt goes on.

A trace function raises `KeyboardInterrupt` in the caller's thread just before one bytecode, and each one gets its turn:
those of this package and of `contextlib`. `threading` is left out, its windows are CPython's.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from podtask.engine import submission
from podtask.engine.submission import Together

TRACED = frozenset(module.__file__ for module in (submission, contextlib))


class InterruptedAt:
    """Counts the bytecodes of the traced files in this thread; raises before the one with number `place`."""

    def __init__(self, place: int) -> None:
        self._left = place
        self.raised = False
        self._before = sys.gettrace()

    def __enter__(self) -> None:
        sys.settrace(self._called)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _called(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        if frame.f_code.co_filename not in TRACED:
            return None
        frame.f_trace_opcodes = True
        return self._step

    def _step(self, _frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "opcode" and not self.raised:
            self._left -= 1
            if self._left < 0:
                self.raised = True
                raise KeyboardInterrupt
        return self._step


class Calls:
    """Submissions that take a moment, so that an early leave is seen."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.begun: list[int] = []
        self.arrived: list[int] = []

    def each(self) -> Iterator[Any]:
        yield from range(self._count)

    def submit(self, run: Any) -> None:
        self.begun.append(run)
        time.sleep(0.0005)
        self.arrived.append(run)


@pytest.mark.parametrize(("calls", "limit"), [(1, 4), (5, 2)])
def test_an_interrupt_at_any_bytecode_leaves_nothing_on_its_way(calls: int, limit: int) -> None:
    before = threading.active_count()
    place = 0
    while True:
        made = Calls(calls)
        together: Any = Together(made.submit, limit)
        at = InterruptedAt(place)
        with contextlib.suppress(KeyboardInterrupt), at:
            together.submit(made.each())
        begun, arrived = list(made.begun), list(made.arrived)
        assert sorted(begun) == sorted(arrived), f"interrupted at bytecode {place}"
        assert together.submitted == sorted(arrived), f"interrupted at bytecode {place}"
        if not at.raised:
            break
        place += 1
    assert place > 50
    assert sorted(arrived) == list(range(calls))
    deadline = time.monotonic() + 30
    while threading.active_count() > before:
        assert time.monotonic() < deadline, "a thread stayed"
        time.sleep(0.01)
