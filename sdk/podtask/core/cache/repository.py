"""The stored cache: one place that reads, writes and removes entries, for the operator, the laptop and the command.

    lookup ──> an entry with its result, or why there is none ──> explain ──> what differs from an earlier run
    publish ──> the entry of a completed attempt ──> remember ──> the last runs of its task

An entry is used only where its key, its own value and the stored result agree. Whatever else is there is a miss and
never another value. An entry that nobody can use is removed, so that the next completed run takes its place. Which of
several identical runs goes first is not decided here: the operator has `cache_race`, the laptop `single_flight`.

Blocking. Users: `podtask_operator.storage.objects` in threads, `podtask.backends.in_process.result_cache`,
`podtask.cli.commands.cache`, `podtask.core.gc`. Every verb may raise `StoreUnavailable`. Before: `entry` and `explain`.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from podtask.core.api.status import ResultInfo
from podtask.core.cache.entry import POINTER_LIMIT, CacheEntry, Components, Producer
from podtask.core.cache.explain import Compared, Earlier, dump_recent, load_recent, remember, why_missed
from podtask.core.storage.base import NotStored, Store, StoreError
from podtask.core.storage.layout import Bucket, pointer_name

log = logging.getLogger("podtask.cache")
NO_ENTRY: Final = "There is no entry for this key."


@dataclass(frozen=True)
class Lookup:
    """What the cache holds for a key: an entry with its result, or why not."""

    entry: CacheEntry | None = None
    miss_reason: str | None = None
    absent: bool = False
    """There was none."""
    dropped: bool = False
    """There was one, and it was removed because nobody could have used it; `miss_reason` says why."""

    @property
    def result(self) -> ResultInfo | None:
        """The entry's result as the status of a run that did not produce it."""
        if self.entry is None:
            return None
        producer = self.entry.producer
        return replace(self.entry.result, attempt=producer.attempt, source_uid=producer.uid)


class CacheRepository:
    """The caches of all namespaces in one store.

    `tasks_held`: tasks whose last runs are kept in memory, for the only writer of a store. With 0 each use reads them.
    """

    def __init__(self, store: Store, *, tasks_held: int = 0) -> None:
        self._store = store
        self._tasks_held = tasks_held
        self._held: OrderedDict[str, tuple[Earlier, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def lookup(self, bucket: Bucket, key: str, now: datetime) -> Lookup:
        """A live entry whose result is still what it was, or why there is none."""
        place = bucket.cache(key)
        try:
            data = self._store.get(place, limit=POINTER_LIMIT + 1)
        except NotStored:
            return Lookup(miss_reason=NO_ENTRY, absent=True)
        try:
            entry = checked_entry(place, data)
        except ValueError as error:
            return self._unusable(place, data, f"The entry is not readable ({error})")
        if not entry.live(now):
            return Lookup(miss_reason="The entry has expired.")
        producer = entry.producer
        stored = self._store.head(bucket.attempt(producer.uid, producer.attempt).result)
        if stored is None or (stored.size, stored.etag) != (entry.result.size, entry.etag):
            what = "is gone" if stored is None else "was altered"
            return self._unusable(place, data, f"The stored result of '{producer.task_run}' {what}")
        return Lookup(entry)

    def publish(
        self,
        bucket: Bucket,
        key: str,
        result: ResultInfo,
        *,
        task_run: str,
        uid: str,
        task: str,
        components: Components | None,
        now: datetime,
        expires_at: datetime | None,
    ) -> str | None:
        """Write the entry of a completed attempt, whose result is stored already. Returns why there is none, if so.

        No entry is written that a lookup would not take.
        """
        if result.attempt is None:
            return "its result names no attempt"
        stored = self._store.head(bucket.attempt(uid, result.attempt).result)
        if stored is None or stored.size != result.size:
            return "its result object is missing" if stored is None else "its result object has another size"
        producer = Producer(task_run, uid, result.attempt)
        entry = CacheEntry(key, result, stored.etag, producer, now, components, expires_at)
        place, data = bucket.cache(key), entry.dump()
        try:
            checked_entry(place, data)
        except ValueError as error:
            return f"its entry would not be readable ({error})"
        self._store.put(place, data)
        if components is not None:
            self.remember(bucket, task, Earlier(task_run, components))
        return None

    def remember(self, bucket: Bucket, task: str, run: Earlier) -> None:
        """The run stored an entry: later misses of its task are compared with it. A failure is only logged."""
        place = bucket.recent(task)
        runs = remember(run, self._recent(place))
        self._hold(place, runs)
        try:
            self._store.put(place, dump_recent(runs))
        except StoreError as error:
            log.warning("later misses may not be compared with %s: %s", run.task_run, error)

    def explain(self, bucket: Bucket, task: str, components: Components) -> Compared | None:
        """What differs from the nearest earlier run of the task; None where nothing is known of any."""
        return why_missed(components, self._recent(bucket.recent(task)))

    def _recent(self, place: str) -> tuple[Earlier, ...]:
        with self._lock:
            if place in self._held:
                self._held.move_to_end(place)
                return self._held[place]
        try:
            runs = load_recent(self._store.get(place, limit=POINTER_LIMIT + 1))
        except NotStored:
            runs = ()
        except StoreError as error:
            log.warning("a cache miss cannot be explained: %s", error)
            return ()
        self._hold(place, runs)
        return runs

    def _hold(self, place: str, runs: tuple[Earlier, ...]) -> None:
        with self._lock:
            self._held[place] = runs
            self._held.move_to_end(place)
            if len(self._held) > self._tasks_held:
                self._held.popitem(last=False)

    def _unusable(self, place: str, data: bytes, why: str) -> Lookup:
        """A miss. The entry is removed, unless another one took its place meanwhile; a failure of that costs nothing.

        S3 servers differ in conditional deletes, so the entry is read again. An entry that is written between that and
        the delete is lost, which costs a miss.
        """
        dropped = False
        try:
            if self._store.get(place, limit=POINTER_LIMIT + 1) == data:
                self._store.delete(place)
                dropped = True
        except NotStored:
            log.debug("the entry %s was removed meanwhile", place)
        except StoreError as error:
            log.warning("a cache entry that nobody can use stays where it is: %s", error)
        return Lookup(miss_reason=f"{why}; the entry was dropped." if dropped else f"{why}.", dropped=dropped)


def read_entry(store: Store, place: str) -> CacheEntry:
    """The entry at a place. Raises `NotStored`, `StoreUnavailable`, and `ValueError` for what no lookup would take."""
    return checked_entry(place, store.get(place, limit=POINTER_LIMIT + 1))


def checked_entry(place: str, data: bytes) -> CacheEntry:
    """The entry in an object. Raises `ValueError` for one that cannot be read, or that contradicts place or digest."""
    entry = CacheEntry.load(data)
    if not place.endswith("/" + pointer_name(entry.key)):
        raise ValueError("it is the entry of another key")
    result = entry.result
    copies = {} if result.value is None else {"value": result.value.encode()}
    if result.inline is not None:
        copies["inline"] = base64.b64decode(result.inline, validate=True)
    for name, copy in copies.items():
        if len(copy) != result.size or hashlib.sha256(copy).hexdigest() != result.digest:
            raise ValueError(f"its {name} is not what its digest says")
    return entry
