"""What a subprocess prints, on this process's own `sys.stdout`, line by line and in the order it was written.

Its file descriptors are not simply inherited: a progress table would be drawn over its lines, and in a notebook they
would come out where the server was started. Both its streams are one pipe, because of two nobody could tell what came
first. Used by: `podtask.backends.process`.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, TextIO

CHUNK = 65536
"""Bytes read at a time, and characters of a line that are held back until it ends."""


def follow(process: subprocess.Popen[bytes]) -> None:
    """Show what the process prints until it has ended; what its own children print afterwards is not waited for."""
    pipe, lines = process.stdout, Lines()
    assert pipe is not None
    os.set_blocking(pipe.fileno(), False)
    with selectors.DefaultSelector() as ready, _end_of(process, ready):
        ready.register(pipe, selectors.EVENT_READ)
        while True:
            ended = any(key.fileobj is not pipe for key, _ in ready.select())
            if not _read(pipe, lines) or ended:
                break
    lines.end()
    process.wait()


class Lines:
    """The output of a subprocess: whole lines at a time, so that those of several processes do not mix.

    A progress bar ends its lines with a carriage return. Of a line that does not end, a part at a time.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest: list[str] = []
        self._held = 0
        """Characters in `_rest`."""

    def take(self, data: bytes, *, final: bool = False) -> None:
        """The next bytes."""
        text = self._decoder.decode(data, final)
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        if end:
            self._hold(text[:end])
            self._release()
        self._hold(text[end:])
        if self._held >= CHUNK:
            self._release()

    def end(self) -> None:
        """There are no more; a line without an end is shown as one."""
        self.take(b"", final=True)
        if self._held:
            self._hold("\n")
            self._release()

    def _hold(self, text: str) -> None:
        self._rest.append(text)
        self._held += len(text)

    def _release(self) -> None:
        text, self._rest, self._held = "".join(self._rest), [], 0
        self._show(text)

    def _show(self, text: str) -> None:
        stream: TextIO | None = sys.stdout  # as it is now: a table may have come in between
        if not text or stream is None:
            return
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more; the run goes on
            try:
                stream.write(text)
            except UnicodeEncodeError:
                encoding = stream.encoding or "ascii"
                stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()


def _read(pipe: IO[bytes], lines: Lines) -> bool:
    """Everything that is there; False at the end of the stream."""
    try:
        while data := os.read(pipe.fileno(), CHUNK):
            lines.take(data)
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def _end_of(process: subprocess.Popen[bytes], ready: selectors.BaseSelector) -> Iterator[None]:
    """Wake up at the end of the process, not only at that of its pipes (Linux, pidfd_open(2))."""
    try:
        end = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # another system, an old kernel, a sandbox: then its pipes have to tell
        yield
        return
    try:
        ready.register(end, selectors.EVENT_READ)
        yield
    finally:
        os.close(end)
