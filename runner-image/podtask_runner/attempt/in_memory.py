"""Where an answer leaves its payload when no process takes it over: in memory (`execute.PayloadSink`).

For the items of a batch (`podtask_runner.attempt.batch`), and for tasks in the driver's process
(`podtask.backends.in_process.attempt`).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal


class Buffer:
    """One payload."""

    def __init__(self) -> None:
        self.data: bytes | None = None

    def write_bytes(self, data: bytes) -> None:
        """Keep it."""
        self.data = bytes(data)

    def open(self, mode: Literal["wb"]) -> BinaryIO:  # noqa: ARG002 - of a Path
        """A writer that leaves in the buffer what was written."""
        return _Kept(self)


class _Kept(io.BytesIO):
    def __init__(self, buffer: Buffer) -> None:
        super().__init__()
        self._buffer = buffer

    def close(self) -> None:
        if not self.closed:
            self._buffer.data = self.getvalue()
        super().close()


def _in_silence(text: str) -> None:
    """The driver raises the exception with its traceback; printing it here as well would be noise."""


class MemorySink:
    """Of one call."""

    far = False

    def __init__(self, tell: Callable[[str], None] = _in_silence, *, files: bool = True) -> None:
        """`files`: whether a file can be the value; it stays where it is, and its path is what there is to know."""
        self.result = Buffer()
        self.error = Buffer()
        self._tell = tell
        self._files = files

    def take(self, file: Path) -> None:
        """The value is this file."""
        if not self._files:
            raise TypeError("a call in a batch cannot return a file")
        self.result.data = os.fsencode(file)

    def tell(self, text: str) -> None:
        """The traceback."""
        self._tell(text)
