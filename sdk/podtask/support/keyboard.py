"""Ctrl-C, as the signal it is: whether a person pressed it, and places where it has to wait for a moment.

A task may raise `KeyboardInterrupt`, which ends the task; Ctrl-C ends the flow, wherever it lands. On an event loop
both happen in the same thread, and the exceptions look alike; only the signal tells them apart.
Watched for by: `podtask.engine.interrupts`. Asked by: `podtask.backends.local`.
Held up by: `podtask.engine.flow_run`, `podtask.backends.in_process.controller`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_pressed = 0


def pressed() -> bool:
    """Whether SIGINT came while somebody was watching, in the flow that runs now."""
    return _pressed > 0


@contextmanager
def watched() -> Iterator[None]:
    """Inside, Ctrl-C is noticed, and does what it did before. Only the main thread may, and meets, it."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def noticed(signum: int, frame: FrameType | None) -> None:
        global _pressed  # noqa: PLW0603 - a signal is for the whole process
        _pressed += 1
        before(signum, frame)

    signal.signal(signal.SIGINT, noticed)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is noticed:  # user code may have its own by now
            signal.signal(signal.SIGINT, before)
            _forget()


class Deferred:
    """Inside, Ctrl-C waits until the end: for short work in this process that must be done whole or not at all.

    A class, because a generator would have bytecodes of `contextlib` between the work and its end. A signal that comes
    before the handler is in its place, or after it has left it, finds nothing begun, or everything done.
    """

    def __init__(self) -> None:
        self._before: Any = None
        self._came = False

    def __enter__(self) -> None:
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(before):
            self._before = before
            signal.signal(signal.SIGINT, self._noted)

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            if self._came:
                self._before(signal.SIGINT, None)

    def _noted(self, _signum: int, _frame: FrameType | None) -> None:
        self._came = True


def _forget() -> None:
    global _pressed  # noqa: PLW0603 - as above
    _pressed = 0
