"""Interrupts: just before one bytecode of this thread, so that a test can give each of them its turn, or from another.

`threading` is best left out: its windows are CPython's.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType, ModuleType
from typing import Any


class InterruptedAt:
    """Counts the bytecodes of these modules in this thread, and interrupts before the one with number `place`."""

    def __init__(self, place: int, modules: Iterable[ModuleType], interrupt: Callable[[], object]) -> None:
        self._left = place
        self._traced = frozenset(module.__file__ for module in modules)
        self._interrupt = interrupt
        self.came = False
        self._before = sys.gettrace()

    def __enter__(self) -> None:
        sys._getframe().f_trace_opcodes = True  # before: Python 3.12 looks for it when tracing begins
        sys.settrace(self._called)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _called(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        if frame.f_code.co_filename not in self._traced:
            return None
        frame.f_trace = self._step  # before: Python 3.13 looks for it in the next line
        frame.f_trace_opcodes = True
        return self._step

    def _step(self, _frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "opcode" and not self.came:
            self._left -= 1
            if self._left < 0:
                self.came = True
                self._interrupt()
        return self._step


def press_until(came: threading.Event) -> None:
    """Ctrl-C from another thread, until the main thread's handler has set this.

    One that comes just before the main thread blocks is not seen until something wakes it; the next one does. The two
    are then one call of the handler.
    """
    for _ in range(30):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        if came.wait(1):
            return
    raise AssertionError("the main thread has not heard of 30 interrupts")
