"""Ctrl-C at any place of a submission: what was begun has arrived when the interrupt goes on.

A trace function raises `KeyboardInterrupt` in the caller's thread just before one bytecode, and each one gets its turn.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.interrupted import InterruptedAt

from podtask.engine import submission
from podtask.engine.submission import Together


def interrupt() -> None:
    raise KeyboardInterrupt


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
        at = InterruptedAt(place, [submission, contextlib], interrupt)
        with contextlib.suppress(KeyboardInterrupt), at:
            together.submit(made.each())
        begun, arrived = list(made.begun), list(made.arrived)
        assert sorted(begun) == sorted(arrived), f"interrupted at bytecode {place}"
        assert together.submitted == sorted(arrived), f"interrupted at bytecode {place}"
        if not at.came:
            break
        place += 1
    assert place > 50
    assert sorted(arrived) == list(range(calls))
    deadline = time.monotonic() + 30
    while threading.active_count() > before:
        assert time.monotonic() < deadline, "a thread stayed"
        time.sleep(0.01)
