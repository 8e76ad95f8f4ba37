"""One stream for each tab (SSE): that something changed, and the lines of a log as they come.

    event: change        the page fetches itself again, and draws anew what differs
    event: log-start     lines follow; those of before a lost connection are in them again
    event: log           a JSON list of lines as HTML
    event: log-end       why no more come
    : comment            every 15 s, so that proxies and browsers see that it lives

HTTP/1.1 gives a browser six connections, so there is one stream for both. Threads fill a bounded queue, a browser that
does not read makes them wait. Unbuffered, uncompressed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from starlette.responses import StreamingResponse

from podtask.errors import PodtaskError
from podtask.inspection.log_lines import Line
from podtask.ui.live.reflector import Reflector
from podtask.ui.view.log_html import lines_html

BEAT_SECONDS = 15.0
TOGETHER_SECONDS = 0.1
"""What comes within this time is sent as one."""
WAITING_LINES = 2000
STREAMS = 64
"""At a time."""
HEADERS = {"X-Accel-Buffering": "no", "Content-Encoding": "identity"}


class EventStreams:
    """All open streams of a server, so that it can end them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[_Stream] = set()
        self._closed = False

    def response(
        self, reflectors: Sequence[Reflector[Any]], log: Callable[[], Iterator[Line]] | None
    ) -> StreamingResponse | None:
        """A stream about these reflectors, and of that log. None: there are too many."""
        with self._lock:
            if len(self._open) >= STREAMS:
                return None
        return StreamingResponse(self._events(reflectors, log), media_type="text/event-stream", headers=HEADERS)

    def close(self) -> None:
        """End all, so that the server can end."""
        with self._lock:
            self._closed = True
            for one in self._open:
                one.end()

    async def _events(
        self, reflectors: Sequence[Reflector[Any]], log: Callable[[], Iterator[Line]] | None
    ) -> AsyncIterator[bytes]:
        stream = _Stream(asyncio.get_running_loop(), reflectors, log)
        with self._lock:
            if self._closed:
                return
            self._open.add(stream)
        try:
            async for event in stream.events():
                yield event
        finally:
            stream.end()
            with self._lock:
                self._open.discard(stream)


class _Stream:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reflectors: Sequence[Reflector[Any]],
        log: Callable[[], Iterator[Line]] | None,
    ) -> None:
        self._loop = loop
        self._reflectors = reflectors
        self._log = log
        self._wake = asyncio.Event()
        self._ended = threading.Event()
        self._lines: queue.Queue[bytes | str | None] = queue.Queue(WAITING_LINES)
        """A line; a sentence about the end; None: lines follow."""

    def end(self) -> None:
        self._ended.set()
        self._nudge()

    def _nudge(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens
            self._loop.call_soon_threadsafe(self._wake.set)

    async def events(self) -> AsyncIterator[bytes]:
        stops = [one.listen(self._nudge) for one in self._reflectors]
        if self._log is not None:
            threading.Thread(target=self._follow, args=(self._log,), name="log", daemon=True).start()
        told = self._versions()
        yield b"retry: 2000\n\n" + event("change", "", told)
        try:
            while not self._ended.is_set():
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), BEAT_SECONDS)
                if not self._wake.is_set():
                    yield b": still here\n\n"
                    continue
                await asyncio.sleep(TOGETHER_SECONDS)
                self._wake.clear()
                if (now := self._versions()) != told:
                    told = now
                    yield event("change", "", told)
                for name, data in self._drained():
                    yield event(name, data)
        finally:
            for stop in stops:
                stop()

    def _versions(self) -> str:
        return version_of(self._reflectors)

    def _drained(self) -> Iterator[tuple[str, str]]:
        batch: list[bytes] = []
        while True:
            try:
                item = self._lines.get_nowait()
            except queue.Empty:
                break
            if isinstance(item, bytes):
                batch.append(item)
                continue
            if batch:
                yield "log", json.dumps(lines_html(batch))
                batch = []
            yield ("log-start", "") if item is None else ("log-end", json.dumps(item))
        if batch:
            yield "log", json.dumps(lines_html(batch))

    def _follow(self, log: Callable[[], Iterator[Line]]) -> None:
        self._put(None)
        try:
            for _, text in log():
                if not self._put(text):
                    return
            self._put("This is the end of the log.")
        except PodtaskError as error:
            self._put(str(error))

    def _put(self, item: bytes | str | None) -> bool:
        """False where nobody reads any more."""
        while not self._ended.is_set():
            try:
                self._lines.put(item, timeout=1.0)
            except queue.Full:
                continue
            self._nudge()
            return True
        return False


def version_of(reflectors: Sequence[Reflector[Any]]) -> str:
    """What a page was drawn from: the id of the event that says it is out of date is another."""
    return "-".join(str(one.version) for one in reflectors)


def event(name: str, data: str, number: str = "") -> bytes:
    """One event; JSON has no line ends, so it is one line of data."""
    head = f"id: {number}\n" if number else ""
    return f"{head}event: {name}\ndata: {data}\n\n".encode()
