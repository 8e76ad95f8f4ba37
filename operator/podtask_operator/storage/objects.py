"""The operator's own use of the bucket: stored outcomes, logs and the cache. Blocking calls run in threads.

The operator derives every key itself and reads only JSON that the runner or it wrote; it never loads a payload.
Who wrote an object chose its size: of each no more is read than one of ours can have.
Used by: `observer` (reads), `applier` (pointers).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from podtask.core.cache.explain import Compared
from podtask.core.cache.repository import CacheRepository, Lookup
from podtask.core.gc import keep_note
from podtask.core.lifecycle.model import Publish
from podtask.core.storage import AlreadyStored, NotStored, Store, StoreUnavailable, checkpoints
from podtask.core.storage.layout import Bucket
from podtask.core.storage.log_tail import ANCHOR
from podtask_operator.pods import outcome
from podtask_operator.storage.calls import StoreCalls
from podtask_operator.storage.grants import LOG_CHUNK_LIMIT
from podtask_operator.storage.owners import Owners
from podtask_operator.task_runs.cache_key import Composed
from podtask_operator.task_runs.parse import FOR_EVER, TaskRun
from podtask_runner.protocol import Outcome

log = logging.getLogger(__name__)

OUTCOME_LIMIT: Final = 64 * 1024
"""Bytes of a stored outcome; the runner's has 4096 at most (`dump_outcome`), but its URL lets a pod PUT anything."""
CHUNKS_READ: Final = 200
"""Of a log that ends in crumbs; a pod may have stored as many and as small ones as it liked."""
LAST_CHUNK: Final = 999_998
TASKS_HELD: Final = 1000
"""Tasks whose last runs, which explain a miss, are kept in memory; those of others are read again."""


class Objects:
    """The objects of all namespaces in one bucket. `owners`: None where no cluster owns the folders."""

    def __init__(
        self, store: Store, prefix: str, owners: Owners | None = None, calls: StoreCalls | None = None
    ) -> None:
        self._store = store
        self._calls = calls or StoreCalls()
        self._prefix = prefix
        self._owners = owners
        self._cache = CacheRepository(store, tasks_held=TASKS_HELD)

    def bucket(self, namespace: str) -> Bucket:
        """The keys of one namespace."""
        return Bucket(self._prefix, namespace)

    async def outcome(self, run: TaskRun, attempt: int) -> Outcome | None:
        """The outcome that the runner stored, or None. Raises `StoreUnavailable`."""
        key = self.bucket(run.namespace).attempt(run.uid, attempt).outcome
        try:
            data = await self._calls(self._store.get, key, limit=OUTCOME_LIMIT + 1)
        except NotStored:
            return None
        said = outcome.parse(data) if len(data) <= OUTCOME_LIMIT else None
        if said is None:
            log.warning("the stored outcome of %s/%s is not readable", run.namespace, run.name)
        return said

    async def answered(self, run: TaskRun, attempt: int) -> bool:
        """True where the runner stored how the attempt ended. Raises `StoreUnavailable`."""
        key = self.bucket(run.namespace).attempt(run.uid, attempt).outcome
        return await self._calls(self._store.head, key) is not None

    async def end_of_log(self, run: TaskRun, attempt: int) -> bytes:
        """The end of what the runner shipped of its output, `ANCHOR` bytes or all. Raises `StoreUnavailable`.

        Nothing is listed: what else a pod stored there, and how much of it, costs nothing.
        """
        keys = self.bucket(run.namespace).attempt(run.uid, attempt)

        def read() -> bytes:
            number = last_number(lambda number: self._store.head(keys.chunk(number)) is not None)
            first = max(0, number - CHUNKS_READ)
            end = b""
            while number > first and len(end) < ANCHOR:
                end = self._store.get(keys.chunk(number), limit=LOG_CHUNK_LIMIT) + end
                number -= 1
            return end

        try:
            return await self._calls(read)
        except NotStored:  # removed in between
            return b""

    async def retain(self, run: TaskRun, now: datetime) -> None:
        """Note how long the objects of a run that ends are kept, if it asks for that. Raises `StoreUnavailable`."""
        seconds = run.spec.result_retention_seconds
        if seconds is not None:
            until = now + timedelta(seconds=min(seconds, FOR_EVER))
            await self._calls(self._store.put, self.bucket(run.namespace).keep(run.uid), keep_note(until))

    async def saved(self, run: TaskRun, attempt: int) -> list[checkpoints.Place]:
        """Where attempts before this one have saved their progress, if the run asks for that.

        One list, which has no more than a few objects of each attempt. Raises `StoreUnavailable`.
        """
        if not run.spec.checkpoints or attempt == 1:
            return []
        bucket = self.bucket(run.namespace)

        def look() -> list[checkpoints.Place]:
            keys = (info.key for info in self._store.list(bucket.checkpoints(run.uid)))
            return checkpoints.newest(keys, bucket, run.uid, attempt)

        return await self._calls(look)

    async def drop_checkpoints(self, run: TaskRun) -> None:
        """Remove what a completed run has saved of its progress. What is missed here goes with the run."""
        if not run.spec.checkpoints:
            return
        folder = self.bucket(run.namespace).checkpoints(run.uid)

        def drop() -> None:
            for info in list(self._store.list(folder)):
                self._store.delete(info.key)

        try:
            await self._calls(drop)
        except StoreUnavailable as error:
            log.warning("%s/%s: its checkpoints stay as long as its result: %s", run.namespace, run.name, error)

    async def put_log_tail(self, run: TaskRun, attempt: int, chunk: bytes) -> None:
        """Write the last chunk of a log, once. Raises `StoreUnavailable`."""
        key = self.bucket(run.namespace).attempt(run.uid, attempt).log_tail
        try:
            await self._calls(lambda: self._store.put(key, chunk, if_absent=True))
        except AlreadyStored:
            log.debug("the last words of %s/%s are written already", run.namespace, run.name)

    async def store_grants(self, run: TaskRun, attempt: int, data: bytes) -> str:
        """Write grants that fit into no Secret; the key. Never over earlier ones: the Secret names those until now.

        Raises `StoreUnavailable`.
        """
        base = self.bucket(run.namespace).grants(run.uid, attempt)

        def write() -> str:
            number = last_number(lambda number: self._store.head(f"{base}{number}") is not None)
            while True:
                number += 1
                try:
                    self._store.put(f"{base}{number}", data, if_absent=True)
                    return f"{base}{number}"
                except AlreadyStored:  # by an operator before this one
                    continue

        return await self._calls(write)

    def seen(self, namespace: str) -> None:
        """A pod starts in that namespace: its folder is marked, in the background."""
        if self._owners is not None:
            self._owners.seen(namespace)

    async def cache_off(self, namespace: str) -> str | None:
        """Why the namespace's cache is not used. Raises `ApiUnavailable`, `StoreUnavailable`."""
        return (await self._cache_bucket(namespace))[1]

    async def _cache_bucket(self, namespace: str) -> tuple[Bucket, str | None]:
        if self._owners is None:
            return self.bucket(namespace), None
        return await self._owners.cache_bucket(namespace)

    async def lookup(self, namespace: str, cache_key: str, now: datetime) -> Lookup:
        """A live entry whose result is still what it was; a broken one is dropped. Raises as `cache_off`."""
        bucket, off = await self._cache_bucket(namespace)
        if off is not None:
            return Lookup(miss_reason=off)
        return await self._calls(self._cache.lookup, bucket, cache_key, now)

    async def why_missed(self, namespace: str, composed: Composed) -> Compared | None:
        """What differs from the nearest earlier run of the task; None where nothing is known. Raises as `cache_off`."""
        bucket, off = await self._cache_bucket(namespace)
        if off is not None or composed.components is None:
            return None
        return await self._calls(self._cache.explain, bucket, composed.task, composed.components)

    async def publish(self, run: TaskRun, effect: Publish, composed: Composed, now: datetime) -> None:
        """Write the pointer of a completed attempt. Raises as `cache_off`."""
        bucket, why_not = await self._cache_bucket(run.namespace)
        if why_not is None:
            why_not = await self._calls(
                self._cache.publish,
                bucket,
                effect.key,
                effect.result,
                task_run=run.name,
                uid=run.uid,
                task=composed.task,
                components=composed.components,
                now=now,
                expires_at=effect.expires_at,
            )
        if why_not is not None:
            log.warning("no cache entry for %s/%s: %s", run.namespace, run.name, why_not)


def last_number(exists: Callable[[int], bool]) -> int:
    """The last of the numbers from 1 on that exist without a gap, or 0. Asks about 2 log2 N times."""
    low, high = 0, 1
    while high <= LAST_CHUNK and exists(high):
        low, high = high, 2 * high
    high = min(high, LAST_CHUNK + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if exists(middle) else (low, middle)
    return low
