"""Counts what the operator does, so that a test can say that work does not grow: no clock is asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import podtask.core
import podtask_operator

SOURCES = tuple(str(Path(str(package.__file__)).parent) for package in (podtask_operator, podtask.core))


class Operations:
    """How many instructions of the operator's own code ran in this thread; an iteration of a loop is some of them."""

    def __init__(self) -> None:
        self.count = 0

    def _traced(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(SOURCES):
            return None
        frame.f_trace_opcodes = True
        self.count += event == "opcode"
        return self._traced


@contextmanager
def counted() -> Iterator[Operations]:
    """Count within the block."""
    operations, before = Operations(), sys.gettrace()
    sys.settrace(operations._traced)
    try:
        yield operations
    finally:
        sys.settrace(before)


class Lookups(dict[Any, Any]):
    """A dict that counts who asks it."""

    asked = 0

    def __getitem__(self, key: Any) -> Any:
        self.asked += 1
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        self.asked += 1
        return super().get(key, default)

    def __contains__(self, key: Any) -> bool:
        self.asked += 1
        return super().__contains__(key)
