"""Time as the lifecycle loop needs it: what time it is, and being called then. One thread for all timers.

Tests put their own `Clock` in this place and turn it by hand. Used by: `podtask.backends.in_process.controller` and
`local`.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from podtask.core import clock

log = logging.getLogger("podtask.backends")


class Timer:
    """A call that was asked for; `cancel` forgets it and what it holds."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Do not call any more."""
        self._call = None

    def fire(self) -> None:
        """Call, unless cancelled."""
        call, self._call = self._call, None
        if call is not None:
            call()


class Clock(Protocol):
    """What time it is, and being called then."""

    def now(self) -> datetime:
        """Timezone-aware."""
        ...

    def call_at(self, when: datetime, call: Callable[[], None]) -> Timer:
        """Call once `now() >= when`, from a thread of the clock's; never early."""
        ...


class WallClock:
    """The machine's clock. Its thread starts with the first timer."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Timer]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def now(self) -> datetime:
        return clock.now()

    def call_at(self, when: datetime, call: Callable[[], None]) -> Timer:
        timer = Timer(call)
        with self._changed:
            heapq.heappush(self._heap, (when, next(self._count), timer))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="podtask-timers", daemon=True)
                self._thread.start()
            self._changed.notify()
        return timer

    def _run(self) -> None:
        while True:
            try:
                self._next().fire()
            except Exception:  # one call that fails must not be the last one
                log.exception("podtask could not do what was due")

    def _next(self) -> Timer:
        with self._changed:
            while True:
                pause = (self._heap[0][0] - self.now()).total_seconds() if self._heap else None
                if pause is not None and pause <= 0:
                    return heapq.heappop(self._heap)[2]
                self._changed.wait(pause)
