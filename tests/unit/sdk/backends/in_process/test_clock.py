"""The timer thread: in order, never early, and nothing that was cancelled."""

from __future__ import annotations

import threading
from datetime import timedelta

from podtask.backends.in_process.clock import WallClock


def test_calls_come_in_the_order_of_their_times_and_never_early() -> None:
    clock, calls, done, asked = WallClock(), [], threading.Event(), threading.Event()
    start = clock.now()

    def call(name: str, due: float) -> None:
        calls.append((name, clock.now() >= start + timedelta(seconds=due)))
        if len(calls) == 2:
            done.set()

    clock.call_at(start, lambda: asked.wait(30))  # keeps the clock's thread until everything is asked for
    late = clock.call_at(start + timedelta(seconds=0.02), lambda: call("cancelled", 0))
    clock.call_at(start + timedelta(seconds=0.06), lambda: call("second", 0.06))
    clock.call_at(start + timedelta(seconds=0.03), lambda: call("first", 0.03))
    late.cancel()
    asked.set()
    assert done.wait(30)
    assert calls == [("first", True), ("second", True)]


def test_what_is_due_already_is_called_at_once() -> None:
    clock, done = WallClock(), threading.Event()
    clock.call_at(clock.now() - timedelta(seconds=5), done.set)
    assert done.wait(30)
