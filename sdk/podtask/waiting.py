"""Waiting for many futures: `wait` for all of them, `as_completed` for one after the other.

Both wait by callback, so 10,000 futures cost no thread, and each end costs the same however many are left.
Beside: `podtask.futures`.
"""

from __future__ import annotations

import queue
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Generic, TypeVar

from podtask.futures import BaseFuture, block_and_warn, warn_of_blocking

F = TypeVar("F", bound=BaseFuture[Any])


def wait(futures: Iterable[F], timeout: float | None = None) -> tuple[list[F], list[F]]:
    """Block until all runs are finished, at most `timeout` seconds. Gives `(done, not_done)`, each in the order given.

    Done is what is finished, however it ended: no result is read, and nothing is raised for a run that failed. In an
    async flow write `await asyncio.gather(*(future.wait() for future in futures))`. Raises `TypeError` for what is no
    future.
    """
    each = _distinct(futures)
    end = None if timeout is None else time.monotonic() + timeout
    for future in each:
        if not block_and_warn(future.task_run, _left(end)):
            break
    finished = {future: future.done() for future in each}
    return [future for future in each if finished[future]], [future for future in each if not finished[future]]


def as_completed(futures: Iterable[F], timeout: float | None = None) -> AsCompleted[F]:
    """The futures in the order in which their runs finish: `for` in a sync flow, `async for` in an async one.

    A run that failed comes like the others: ask its future. Raises `TimeoutError` where not all runs were finished
    `timeout` seconds after the loop began, and `TypeError` for what is no future.
    """
    return AsCompleted(_distinct(futures), timeout)


class AsCompleted(Generic[F]):
    """What `as_completed` gives; may be gone through more than once."""

    def __init__(self, futures: list[F], timeout: float | None) -> None:
        self._futures = futures
        self._timeout = timeout

    def __iter__(self) -> Iterator[F]:
        finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        end = None if self._timeout is None else time.monotonic() + self._timeout
        for future in self._futures:
            warn_of_blocking(future.task_run, "async for", stacklevel=3)
            future.add_done_callback(finished.put)
        for count in range(len(self._futures)):
            try:
                yield finished.get(timeout=_left(end))
            except queue.Empty:
                raise self._elapsed(count) from None

    async def __aiter__(self) -> AsyncIterator[F]:
        import asyncio

        finished: asyncio.Queue[F] = asyncio.Queue()
        end = None if self._timeout is None else time.monotonic() + self._timeout
        waits = [asyncio.ensure_future(_finish(future, finished)) for future in self._futures]
        try:
            for count in range(len(waits)):
                try:
                    yield await asyncio.wait_for(finished.get(), _left(end))
                except (asyncio.TimeoutError, TimeoutError):
                    raise self._elapsed(count) from None
        finally:
            for waiting in waits:
                waiting.cancel()

    def _elapsed(self, count: int) -> TimeoutError:
        left, total = len(self._futures) - count, len(self._futures)
        return TimeoutError(f"{left} of {total} task runs were not finished after {self._timeout:g} s.")


async def _finish(future: BaseFuture[Any], finished: Any) -> None:
    await future.task_run.wait_async()
    finished.put_nowait(future)


def _left(end: float | None) -> float | None:
    return None if end is None else max(0.0, end - time.monotonic())


def _distinct(futures: Iterable[F]) -> list[F]:
    if isinstance(futures, BaseFuture):
        raise TypeError("A list of futures is waited for here; of one future, write future.wait().")
    each = list(futures)
    for item in each:
        if not isinstance(item, BaseFuture):
            raise TypeError(
                f"Task futures can be waited for, {type(item).__name__} cannot; in an async flow, await the call first."
            )
    return list(dict.fromkeys(each))
