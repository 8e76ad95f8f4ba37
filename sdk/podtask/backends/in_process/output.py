"""What a subprocess prints, on this process's own `sys.stdout` and `sys.stderr`, line by line.

Its file descriptors are not simply inherited: a progress table would be drawn over its lines, and in a notebook they
would come out where the server was started. Used by: `podtask.backends.process`.
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
    lines = {process.stdout: Lines("stdout"), process.stderr: Lines("stderr")}
    with selectors.DefaultSelector() as ready, _end_of(process, ready):
        for pipe in lines:
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            ready.register(pipe, selectors.EVENT_READ)
        open_pipes = set(lines)
        while open_pipes:
            events = [key.fileobj for key, _ in ready.select()]
            for pipe in open_pipes & set(events):
                if not _read(pipe, lines[pipe]):
                    ready.unregister(pipe)  # type: ignore[arg-type]
                    open_pipes.discard(pipe)
            if set(events) - set(lines):
                for pipe in open_pipes:
                    _read(pipe, lines[pipe])
                break
    for rest in lines.values():
        rest.end()
    process.wait()


class Lines:
    """One stream of a subprocess: whole lines at a time, so that those of several processes do not mix.

    A progress bar ends its lines with a carriage return. Of a line that does not end, a part at a time.
    """

    def __init__(self, name: str) -> None:
        self._name = name
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
        stream: TextIO | None = getattr(sys, self._name)  # as it is now: a table may have come in between
        if not text or stream is None:
            return
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more; the run goes on
            try:
                stream.write(text)
            except UnicodeEncodeError:
                encoding = stream.encoding or "ascii"
                stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()


def _read(pipe: IO[bytes] | None, lines: Lines) -> bool:
    """Everything that is there; False at the end of the stream."""
    assert pipe is not None
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
