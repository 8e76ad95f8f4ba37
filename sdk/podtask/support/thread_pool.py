"""Threads for sync code: made when needed, at most `limit`, daemons, so a stuck task never holds up the exit.

`concurrent.futures.ThreadPoolExecutor` waits for its threads at exit; a task that ran over its timeout would
then keep the process alive. Used by: `podtask.backends.local` and `process`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

log = logging.getLogger("podtask.backends")
Job = Callable[[], None]


class Workers:
    """Runs jobs on daemon threads, first come first served."""

    def __init__(self, limit: int, name: str = "podtask") -> None:
        self._limit = limit
        self._name = name
        self._jobs: deque[Job] = deque()
        self._idle = self._threads = self._made = 0
        self._changed = threading.Condition()
        self._closed = False

    def submit(self, job: Job) -> None:
        """Run `job` soon; it must not raise."""
        with self._changed:
            self._jobs.append(job)
            if self._idle >= len(self._jobs):
                self._changed.notify()
            elif self._threads < self._limit:
                self._start()

    def _start(self) -> None:
        self._made += 1
        try:
            threading.Thread(target=self._work, name=f"{self._name}-{self._made}", daemon=True).start()
        except RuntimeError:  # the system has no thread for us
            if not self._threads:
                self._jobs.pop()
                raise
        else:
            self._threads += 1

    def grow(self) -> None:
        """Allow one more thread: one of the present ones is stuck in code that cannot be stopped."""
        with self._changed:
            self._limit += 1

    def shrink(self) -> None:
        """That thread came back."""
        with self._changed:
            self._limit -= 1

    def close(self) -> None:
        """Idle threads end, the others after their job."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except BaseException:  # a thread that died of one job would be missed by all others
                log.exception("podtask could not go on with a job of thread %s", threading.current_thread().name)
            del job

    def _next(self) -> Job | None:
        with self._changed:
            self._idle += 1
            while not self._jobs and not self._closed:
                self._changed.wait()
            self._idle -= 1
            if self._jobs:
                return self._jobs.popleft()
            self._threads -= 1
            return None
