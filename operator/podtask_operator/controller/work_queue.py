"""The work queue: keys in, one reconcile per key at a time, delays and back-off kept here.

Before: `events` (which only name what changed). Next: `reconciler`. A key that is added while it is being worked on is
worked on once more afterwards; a key that failed comes back later and later, never lost. Namespaces take turns, however
many keys one of them has, and one alone never has all workers.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterable

from podtask_operator.runtime import logging as logs
from podtask_operator.runtime import metrics
from podtask_operator.runtime.supervise import pause, spread
from podtask_operator.task_runs.key import Key

log = logging.getLogger(__name__)

FIRST_BACKOFF = 0.2
LAST_BACKOFF = 30.0
RESERVED = 4
"""Workers that one namespace leaves to the others: a bucket or a webhook that hangs holds all it gets."""
AT_ONCE, AT_ONCE_SECONDS = 50, 0.25
"""Keys that nobody waits for: so many in so many seconds."""
STALE_TIMERS = 1000
"""Timers that were overtaken are dropped when there are more of them than this: some would lie there for a day."""


class Later(Exception):
    """Raised by a reconcile: nothing is wrong with the run, something it needs is away. Comes back with back-off."""


class FairQueue:
    """A queue per namespace, served in turn; first come, first served within each. Each step takes constant time."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, OrderedDict[Key, None]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __contains__(self, key: Key) -> bool:
        return key in self._lines.get(key.namespace, ())

    def put(self, key: Key) -> None:
        """Append the key to the queue of its namespace, unless it is queued already."""
        line = self._lines.setdefault(key.namespace, OrderedDict())
        if key not in line:
            line[key] = None
            self._length += 1

    def take(self, busy: Callable[[str], bool]) -> Key | None:
        """Remove and return the next key of the next namespace that is not busy, or None."""
        namespace = next((namespace for namespace in self._lines if not busy(namespace)), None)
        if namespace is None:
            return None
        line = self._lines[namespace]
        key, _ = line.popitem(last=False)
        self._length -= 1
        if line:
            self._lines.move_to_end(namespace)
        else:
            del self._lines[namespace]
        return key


class WorkQueue:
    """Level-triggered: an entry says "look at this key", never what happened to it."""

    def __init__(self, work: Callable[[Key], Awaitable[None]], concurrency: int) -> None:
        self._work = work
        self._slots = asyncio.Semaphore(concurrency)
        self._most_of_one = concurrency - min(RESERVED, concurrency // 4)
        self.line = FairQueue()
        """Keys that wait for a worker."""
        self._arrived = asyncio.Event()
        self._busy: Counter[str] = Counter()
        """Namespace -> its keys that are being worked on."""
        self._active: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: list[tuple[float, int, Key]] = []
        self.due: dict[Key, float] = {}
        """Key -> when it is looked at at the latest, by the clock of the loop."""
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False

    def add(self, key: Key) -> None:
        """Look at `key` soon."""
        if key in self._active:
            self._again.add(key)
        else:
            self.line.put(key)
            self._arrived.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Look at `key` in so many seconds, or earlier if somebody asks for it earlier. Never early.

        Any look at the key ends this: every reconcile says anew when it wants to look again.
        """
        due = asyncio.get_running_loop().time() + max(0.0, seconds)
        if self.due.get(key, float("inf")) <= due:
            return
        self.due[key] = due
        heapq.heappush(self._timers, (due, next(self._order), key))
        if len(self._timers) > 2 * len(self.due) + STALE_TIMERS:
            self._timers = [timer for timer in self._timers if self.due.get(timer[2]) == timer[0]]
            heapq.heapify(self._timers)
        if self._timers[0][0] == due:  # the next one; all others are found when it is their turn
            self._changed.set()

    async def add_slowly(self, keys: Iterable[Key]) -> None:
        """Add keys that nobody waits for, a few at a time, so that other keys do not queue behind all of them."""
        for number, key in enumerate(keys, 1):
            self.add(key)
            if number % AT_ONCE == 0:
                await asyncio.sleep(AT_ONCE_SECONDS)

    @property
    def depth(self) -> int:
        """Keys that wait for a worker."""
        return len(self.line)

    async def run(self) -> None:
        """Serve until cancelled."""
        timers = asyncio.create_task(self._serve_timers())
        try:
            while True:
                await self._slots.acquire()
                try:
                    key = await self._next()
                except BaseException:  # served again, this would be a worker less
                    self._slots.release()
                    raise
                if self._draining:
                    return
                self._active.add(key)
                self._busy[key.namespace] += 1
                task = asyncio.create_task(self._one(key))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            timers.cancel()

    async def _next(self) -> Key:
        while (key := self.line.take(self._has_its_share)) is None:
            self._arrived.clear()
            await self._arrived.wait()
        return key

    def _has_its_share(self, namespace: str) -> bool:
        return self._busy[namespace] >= self._most_of_one

    async def drain(self, seconds: float) -> bool:
        """Start no further reconcile. Wait for the running ones, `seconds` at most. True when all have ended."""
        self._draining = True
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)
        return not any(not task.done() for task in self._tasks)

    async def _one(self, key: Key) -> None:
        self.due.pop(key, None)
        try:
            with logs.about(*key):
                await self._timed(key)
        finally:
            self._active.discard(key)
            self._busy[key.namespace] -= 1
            if not self._busy[key.namespace]:
                del self._busy[key.namespace]
            self._arrived.set()  # a namespace that had its share may have its turn
            self._slots.release()
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    async def _timed(self, key: Key) -> None:
        try:
            with metrics.RECONCILE.time():
                await self._work(key)
            self._failures.pop(key, None)
        except Later as why:
            metrics.RECONCILE_FAILED.labels("later").inc()
            self._back_off(key, why)
        except Exception as error:
            log.exception("reconcile failed")
            metrics.RECONCILE_FAILED.labels("error").inc()
            self._back_off(key, error)

    def _back_off(self, key: Key, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        seconds = spread(pause(failures, FIRST_BACKOFF, LAST_BACKOFF))
        log.warning("%s: %s; again in %.1f s", key, error, seconds)
        self.add_after(key, seconds)

    async def _serve_timers(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            wait = None
            while self._timers:
                due, _, key = self._timers[0]
                wait = due - loop.time()
                if wait > 0:
                    break
                heapq.heappop(self._timers)
                if self.due.get(key) == due:
                    del self.due[key]
                    self.add(key)
                wait = None
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except asyncio.TimeoutError:
                continue
