"""Calls of the bucket in threads of their own, behind a circuit breaker.

A bucket that swallows packets holds a thread for seconds per call. Nothing else may run out of threads by that, and a
reconcile that needs the bucket must not wait for a thread only to learn what another one has just learned:

    closed      every call has a thread
    open        a call had no answer: for a while all others fail at once, and come back with back-off
    half-open   the while is over: one call finds out whether the bucket is back, the others still fail at once

A refusal (`StoreRefused`) is an answer. Used by: `objects`, `owners`.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from podtask.core.storage import StoreError, StoreRefused, StoreUnavailable
from podtask_operator.runtime.supervise import pause
from podtask_operator.storage.fenced import WriteFenced

T = TypeVar("T")

THREADS: Final = 16
FIRST_PAUSE: Final = 0.5
LAST_PAUSE: Final = 5.0
"""Seconds: a bucket that is back is found within that time."""


class StoreCalls:
    """Runs the calls of one bucket in threads. Not thread-safe: used by one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="bucket")
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._probing = False
        self._why = ""

    async def __call__(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """`work(*args, **kwargs)` in a thread. Raises `StoreUnavailable` at once while the breaker is open."""
        probe = self._admit()
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._pool, lambda: context.run(work, *args, **kwargs))
        except WriteFenced:
            raise
        except StoreUnavailable as error:
            self._heard(None if isinstance(error, StoreRefused) else error)
            raise
        except StoreError:
            self._heard(None)
            raise
        finally:
            if probe:
                self._probing = False
        self._heard(None)
        return answer

    def _admit(self) -> bool:
        """Whether this call is the probe of a half-open breaker. Raises while the breaker is open."""
        if not self._failures:
            return False
        if self._probing or self._clock() < self._open_until:
            raise StoreUnavailable(f"not asked, because the bucket did not answer a moment ago: {self._why}")
        self._probing = True
        return True

    def _heard(self, failure: StoreUnavailable | None) -> None:
        """Note the result of a call. Failures of calls that ran at the same time count once."""
        if failure is None:
            self._failures = 0
            return
        now = self._clock()
        if self._failures and now < self._open_until:
            return
        self._failures += 1
        self._open_until = now + pause(self._failures, FIRST_PAUSE, LAST_PAUSE)
        self._why = str(failure)
