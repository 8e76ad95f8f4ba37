"""What the task prints, twice: to the pod's own log as it comes, and in chunks to the bucket, where it stays.

The child's file descriptors 1 and 2 are one pipe that the supervisor reads (`Tee`), so that what was written first
comes first, whichever stream it was written to; which of the two it was is lost. (The process backend asks for a mark
around what goes to Python's own standard error.) The bucket is served by a thread (`Shipper`), so that a slow store
never makes the task wait. Memory is bounded: what a store that is away cannot
take is dropped and counted, in the log itself. Without `grants.logs` there is no pipe at all and the child writes to
the pod's log directly.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from podtask_runner.names import ENV_STDERR_MARK
from podtask_runner.protocol import LogPost
from podtask_runner.storage.http import MAY_HAVE_EXPIRED, PRECONDITION_FAILED, Endpoints, Unreachable

FLUSH_BYTES: Final = 256 * 1024
FLUSH_SECONDS: Final = 5.0
MEMORY_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of output that wait for the store at most."""
CLOSE_SECONDS: Final = 5.0
"""How long an ended attempt waits for its last chunk: finished work comes before its log."""

_READ: Final = 64 * 1024
_LONGEST_PAUSE: Final = 10.0
_SUCCESS: Final = range(200, 300)


class Shipper:
    """Posts chunks `<prefix>000001`, `<prefix>000002`, ... in the order of writing.

    A chunk leaves when it is `FLUSH_BYTES` long, `FLUSH_SECONDS` old, or when the attempt ends. A chunk that could
    not be posted is tried again under the same number, so nothing is doubled. `renew` is called where the grant may
    have expired: a task may print for days before anything else of it needs the store.
    """

    def __init__(
        self,
        grant: Callable[[], LogPost],
        renew: Callable[[], object] = lambda: None,
        *,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self._grant = grant
        self._renew = renew
        self._flush_seconds = flush_seconds
        self._waiting = bytearray()
        self._oldest: float | None = None
        self._dropped = 0
        self._hurried = False
        self._closing_at: float | None = None
        self._changed = threading.Condition()
        self._endpoints = Endpoints(timeout=CLOSE_SECONDS)
        self._thread = threading.Thread(target=self._ship, name="podtask-logs", daemon=True)

    def start(self) -> None:
        """After the fork: a thread does not survive one."""
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Take output; never waits for the store."""
        if not data:
            return
        with self._changed:
            room = MEMORY_LIMIT - len(self._waiting)
            self._waiting += data[:room]
            self._dropped += max(0, len(data) - room)
            if self._oldest is None:
                self._oldest = time.monotonic()
                self._changed.notify()
            elif len(self._waiting) >= FLUSH_BYTES:
                self._changed.notify()

    def hurry(self) -> None:
        """Post what there is now: the pod has been told to stop."""
        with self._changed:
            self._hurried = True
            self._changed.notify()

    def finish(self) -> None:
        """No more output will come; the last chunk leaves while the result is being stored."""
        with self._changed:
            self._closing_at = time.monotonic() + CLOSE_SECONDS
            self._changed.notify()

    def join(self) -> None:
        """Wait for the last chunk, `CLOSE_SECONDS` at most."""
        self._thread.join(CLOSE_SECONDS)

    def _ship(self) -> None:
        try:
            self._ship_all()
        finally:
            self._endpoints.close()

    def _ship_all(self) -> None:
        number = 1
        while (chunk := self._next()) is not None:
            pause = 0.1
            while not self._posted(number, chunk):
                if self._given_up(pause):
                    return
                pause = min(2 * pause, _LONGEST_PAUSE)
            number += 1

    def _next(self) -> bytes | None:
        """The next chunk when it is due; None at the end."""
        with self._changed:
            while not self._due():
                if self._closing_at is not None:
                    return None
                self._changed.wait(None if self._oldest is None else self._flush_seconds)
            size = min(FLUSH_BYTES, self._grant().max_bytes)
            chunk = bytes(self._waiting[:size])
            del self._waiting[:size]
            self._oldest = time.monotonic() if self._waiting else None
            self._hurried = self._hurried and bool(self._waiting)
            if self._dropped and not self._waiting:
                chunk += b"\n[podtask: %d bytes of output are not in this log, the store was away]\n" % self._dropped
                self._dropped = 0
            return chunk[-size:] if len(chunk) > size else chunk

    def _due(self) -> bool:
        if self._oldest is None:
            return False
        aged = time.monotonic() - self._oldest >= self._flush_seconds
        return aged or self._hurried or self._closing_at is not None or len(self._waiting) >= FLUSH_BYTES

    def _posted(self, number: int, chunk: bytes) -> bool:
        grant = self._grant()
        try:
            status = self._endpoints.post(grant.url, grant.fields, f"{grant.prefix}{number:06d}", chunk)
        except Unreachable:
            return False
        if status in MAY_HAVE_EXPIRED:
            self._renew()
        # 412 can only be an earlier try of this chunk that arrived although its answer did not.
        return status in _SUCCESS or status == PRECONDITION_FAILED

    def _given_up(self, pause: float) -> bool:
        """Sleep before the next try, or say that the attempt ended and its time for logs is over."""
        with self._changed:
            if self._closing_at is not None:
                pause = min(pause, self._closing_at - time.monotonic())
                if pause <= 0:
                    return True
            self._changed.wait(pause)
        return False


class Tee:
    """The reading end of the child's output, which is copied to our own."""

    def __init__(self, shipper: Shipper) -> None:
        self.shipper = shipper
        self._read, self._write = os.pipe()

    def child_side(self) -> None:
        """Child: descriptors 1 and 2 become the pipe."""
        os.dup2(self._write, 1)
        os.dup2(self._write, 2)
        os.close(self._write)
        os.close(self._read)

    def supervisor_side(self) -> int:
        """Supervisor: the descriptor to wait on."""
        os.close(self._write)
        os.set_blocking(self._read, False)
        self.shipper.start()
        return self._read

    def pump(self) -> bool:
        """Copy what has arrived; False when nothing will come any more."""
        try:
            data = os.read(self._read, _READ)
        except BlockingIOError:
            return True
        if not data:
            return False
        say(data)
        self.shipper.write(data)
        return True

    def drain(self, closing: bytes = b"") -> None:
        """After the child's end: what is in the pipe now, then `closing`, the supervisor's own last lines.

        A grandchild may hold the pipe open, and print quicker than we copy; nobody waits for it.
        """
        left = _held(self._read)
        with suppress(OSError):
            while left > 0 and (data := os.read(self._read, min(left, _READ))):
                left -= len(data)
                say(data)
                self.shipper.write(data)
        os.close(self._read)
        say(closing)
        self.shipper.write(closing)
        self.shipper.finish()


def _held(pipe: int) -> int:
    """Bytes that a pipe holds."""
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def one_stream() -> None:
    """From now on our own standard error is our standard output: who reads two pipes cannot know what came first."""
    global _mark  # noqa: PLW0603 - a process has one standard error
    _mark = os.environ.pop(ENV_STDERR_MARK, "").encode()
    with suppress(OSError):  # started without a standard output
        os.dup2(1, 2)


_mark = b""


def as_error(text: bytes) -> bytes:
    """The text with the marks of standard error, where the reader asked for them."""
    return _mark + b">" + text + _mark + b"<" if _mark and text else text


def say(text: bytes) -> None:
    """To our own output."""
    view = memoryview(text)
    with suppress(OSError):  # it is gone; the task's work and the bucket's copy go on
        while view:
            view = view[os.write(1, view) :]
