"""Was it a person? A task may raise `KeyboardInterrupt`, which ends the task; Ctrl-C ends the flow, wherever it lands.

On an event loop both happen in the same thread, and the exceptions look alike; only the signal tells them apart.
Watched for by: `podtask.engine.interrupts`. Asked by: `podtask.backends.local`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

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


def _forget() -> None:
    global _pressed  # noqa: PLW0603 - as above
    _pressed = 0
