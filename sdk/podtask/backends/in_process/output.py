"""What a subprocess prints, on this process's own `sys.stdout` and `sys.stderr`, in the order it was written.

Its file descriptors are not simply inherited: a progress table would be drawn over its lines, and in a notebook they
would come out where the server was started. Both its streams are one pipe, because of two nobody could tell what came
first; a mark around what Python's own standard error was given tells the two apart again. What programs and native code
write to descriptor 2 themselves comes out on `sys.stdout`. Used by: `podtask.backends.process`.
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


def follow(process: subprocess.Popen[bytes], mark: str = "") -> None:
    """Show what the process prints until it has ended; what its own children print afterwards is not waited for."""
    pipe, streams = process.stdout, StreamSplitter(mark.encode())
    assert pipe is not None
    os.set_blocking(pipe.fileno(), False)
    with selectors.DefaultSelector() as ready, _end_of(process, ready):
        ready.register(pipe, selectors.EVENT_READ)
        while True:
            ended = any(key.fileobj is not pipe for key, _ in ready.select())
            if not _read(pipe, streams) or ended:
                break
    streams.end()
    process.wait()


class StreamSplitter:
    """Tells standard error, between `<mark>>` and `<mark><`, from everything else."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._lines = {b"<": OutputLines("stdout"), b">": OutputLines("stderr")}
        self._side = self._last = b"<"
        self._rest = b""
        """What may be the beginning of a mark."""

    def take(self, data: bytes) -> None:
        """The next bytes."""
        if not self._mark:
            self._give(data)
            return
        data = self._rest + data
        size = len(self._mark)
        while (at := data.find(self._mark)) >= 0 and at + size < len(data):
            self._give(data[:at])
            self._side = data[at + size : at + size + 1]
            data = data[at + size + 1 :]
        keep = next((n for n in range(min(size, len(data)), 0, -1) if self._mark.startswith(data[-n:])), 0)
        self._give(data[: len(data) - keep])
        self._rest = data[len(data) - keep :]

    def end(self) -> None:
        """There are no more."""
        self._give(self._rest)
        for lines in self._lines.values():
            lines.end()

    def _give(self, data: bytes) -> None:
        if not data:
            return
        if self._side != self._last:
            self._lines[self._last].pause()
            self._last = self._side
        self._lines[self._side].take(data)


class OutputLines:
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

    def pause(self) -> None:
        """Write out what is held, because the other stream writes next."""
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


def _read(pipe: IO[bytes], streams: StreamSplitter) -> bool:
    """Everything that is there; False at the end of the stream."""
    try:
        while data := os.read(pipe.fileno(), CHUNK):
            streams.take(data)
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def _end_of(process: subprocess.Popen[bytes], ready: selectors.BaseSelector) -> Iterator[None]:
    """Let the selector wake up when the process ends, not only when its pipes do (Linux, pidfd_open(2))."""
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
