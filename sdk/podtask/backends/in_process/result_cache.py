"""The cache of this machine: who has a key, who goes first, and the results in the directory store.

Entries are read and written by `podtask.core.cache.repository`, as in the operator; here below `PODTASK_HOME`. Runs
with the same key go one after the other: those of this process in a queue, whose head asks
`podtask.backends.in_process.single_flight` whether another process is ahead. Asked by:
`podtask.backends.in_process.controller`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from podtask.backends.in_process.single_flight import Flights
from podtask.core import clock
from podtask.core.api.status import ErrorInfo, ResultInfo
from podtask.core.lifecycle.model import CacheView, Publish
from podtask.core.storage.layout import Bucket
from podtask.errors import ResultUnavailable
from podtask.support.thread_pool import Workers
from podtask_runner.storage.spool import file_digest

if TYPE_CHECKING:
    from podtask.core.cache.entry import Components
    from podtask.core.cache.repository import CacheRepository, Lookup
    from podtask.core.storage import Signer
    from podtask.core.storage.directory import DirectoryStore
    from podtask.model.task_run import TaskRun
    from podtask.payloads.hashing import InputHash

log = logging.getLogger("podtask.cache")
T = TypeVar("T")
NAMESPACE = "local"
"""Stands where a cluster has its namespace in object keys."""
OFF = "cache_key_fn returned no key"


@dataclass(frozen=True)
class CachePlan:
    """The cache key of one run: asked for once, after its upstreams are there (as in Prefect 2.0b5)."""

    asked: bool = False
    key: str | None = None
    components: Components | None = None
    """What the key stands for, where podtask made it."""
    off_reason: str | None = None
    error: BaseException | None = None


@dataclass
class _Queue:
    """Runs of one key in this process."""

    leader: str
    followers: list[str] = field(default_factory=list)


class ResultCache:
    """Keys, pointers and results below one folder."""

    def __init__(self, home: Path, workers: Workers) -> None:
        self._home = home
        self._workers = workers
        self._queues: dict[str, _Queue] = {}
        self._flights = Flights(home / "locks")
        self._abroad: set[str] = set()
        self._lock = threading.Lock()
        self._opened: DirectoryStore | None = None
        self.bucket = Bucket("", NAMESPACE)

    @property
    def root(self) -> Path:
        """The folder of the store."""
        return self._home / "store"

    @property
    def store(self) -> DirectoryStore:
        """The directory store; its folder is made by the first write."""
        from podtask.core.storage.directory import DirectoryStore

        if self._opened is None:
            self._opened = DirectoryStore(self.root)
        return self._opened

    @property
    def _entries(self) -> CacheRepository:
        """The cache entries. Nothing is kept in memory, because other processes write as well."""
        from podtask.core.cache.repository import CacheRepository

        return CacheRepository(self.store)

    @property
    def signer(self) -> Signer:
        """`file://` addresses in the store, for the runner."""
        from podtask.core.storage.directory import DirectorySigner

        return DirectorySigner(self.root)

    def plan(self, run: TaskRun, tell: Callable[[CachePlan], None]) -> None:
        """Ask the task for its key, on a worker thread: it is the user's code."""
        self._workers.submit(lambda: tell(_plan_or_why(run)))

    def look_up(self, run: TaskRun, plan: CachePlan, now: datetime) -> CacheView:
        """Look up the key. The first run that asks leads until `leave`."""
        if not plan.key:
            return CacheView(None, off_reason=plan.off_reason)
        leader = self._follow(plan.key, run.id)
        found = self._asked(plan.key, now)
        if found.entry is None and leader is None:
            leader = self._ahead(plan.key, run.id)
            again = self._asked(plan.key, now) if leader is None else found  # it may have been stored just now
            found = found if found.dropped and again.absent else again
        if found.entry is not None:
            made_by, expires = found.entry.producer, found.entry.expires_at
            return CacheView(plan.key, leader=leader, hit=found.result, hit_run=made_by.task_run, expires_at=expires)
        if found.absent and leader is None and plan.components is not None:
            compared = self._entries.explain(self.bucket, run.key.task_key, plan.components)
            if compared is not None:
                reason = f"{found.miss_reason} {compared.text}"
                return CacheView(plan.key, miss_reason=reason, compared_with=compared.task_run)
        return CacheView(plan.key, leader=leader, miss_reason=found.miss_reason)

    def waits_abroad(self, run_id: str) -> bool:
        """Whether the run was found behind one of another process, of whose end nobody will tell."""
        return run_id in self._abroad

    def leave(self, key: str, run_id: str) -> list[str]:
        """The run has ended. Returns the runs that waited for it, where it led."""
        self._abroad.discard(run_id)
        try:
            self._flights.land(key, run_id)
        except OSError as error:  # the lock goes with this process at the latest
            log.debug("The lock of cache key %s cannot be removed: %s", key, error)
        with self._lock:
            queue = self._queues.get(key)
            if queue is None or queue.leader != run_id:
                return []
            return self._queues.pop(key).followers

    def publish(self, effect: Publish, run: TaskRun, uid: str, components: Components | None) -> str | None:
        """Write the entry of a completed attempt; its result is stored already. Returns why there is none, if so."""
        return self._entries.publish(
            self.bucket,
            effect.key,
            effect.result,
            task_run=run.id,
            uid=uid,
            task=run.key.task_key,
            components=components,
            now=clock.now(),
            expires_at=effect.expires_at,
        )

    def keep(self, uid: str, attempt: int, payload: bytes | Path) -> None:
        """Store the result of an attempt, or a copy of the file that is its result, so that a pointer can name it."""
        key = self.bucket.attempt(uid, attempt).result
        if isinstance(payload, Path):
            self.store.put_file(key, payload)
        else:
            self.store.put(key, payload)

    def place(self, run: TaskRun, what: ResultInfo | ErrorInfo) -> str:
        """The object key of a finished run's result or error. Raises `ResultUnavailable` where nothing was stored."""
        uid = getattr(what, "source_uid", None) or run.uid
        if uid is None or what.attempt is None:
            raise ResultUnavailable(f"Nothing is stored of task run '{run.name}'.")
        keys = self.bucket.attempt(uid, what.attempt)
        return keys.result if isinstance(what, ResultInfo) else keys.error

    def read_of(self, run: TaskRun, what: ResultInfo | ErrorInfo) -> bytes:
        """The bytes behind a finished run's status. Raises `ResultUnavailable`."""
        return self._looked_up(run, lambda: self.store.get(self.place(run, what)))

    def file_of(self, run: TaskRun, what: ResultInfo | ErrorInfo) -> tuple[Path, str]:
        """The same as a file in the store, and its sha256. Raises `ResultUnavailable`."""
        path = self._looked_up(run, lambda: self.store.where(self.place(run, what)))
        return path, file_digest(path)

    def _looked_up(self, run: TaskRun, look: Callable[[], T]) -> T:
        from podtask.core.storage import StoreError

        try:
            return look()
        except StoreError as error:
            raise ResultUnavailable(
                f"What task run '{run.name}' stored is not in {self.root} any more ({error}); run it again, a cached "
                f"one with refresh_cache=True."
            ) from error

    def _ahead(self, key: str, run_id: str) -> str | None:
        leader = self._flights.lead(key, run_id)
        if leader is None:
            self._abroad.discard(run_id)
        elif run_id not in self._abroad:
            self._abroad.add(run_id)
            log.info("Task run '%s' waits: the identical run %s goes first.", run_id, leader)
        return leader

    def _follow(self, key: str, run_id: str) -> str | None:
        with self._lock:
            queue = self._queues.setdefault(key, _Queue(run_id))
            if queue.leader == run_id:
                return None
            if run_id not in queue.followers:
                queue.followers.append(run_id)
            return queue.leader

    def _asked(self, key: str, now: datetime) -> Lookup:
        """What is stored under the key. A store that cannot be read is a miss: nobody waits for it to come back."""
        from podtask.core.cache.repository import Lookup
        from podtask.core.storage import StoreError

        try:
            return self._entries.lookup(self.bucket, key, now)
        except StoreError as error:
            return Lookup(miss_reason=f"The cache cannot be read: {error}")


def _plan_or_why(run: TaskRun) -> CachePlan:
    try:
        return _plan(run)
    except BaseException as error:  # noqa: BLE001 - a failing cache_key_fn crashes the run (as in Prefect 2.0b5)
        return CachePlan(asked=True, error=error)


def _plan(run: TaskRun) -> CachePlan:
    from podtask.backends.in_process.attempt import cache_key
    from podtask.payloads.hashing import input_hash_of

    counting = input_hash_of(run.task.options.cache_key_fn)
    if counting is not None:
        return _plan_of_inputs(run, counting)
    key = cache_key(run)
    if key and run.task.batched and run.shipment is not None and (changed := run.shipment.outdated(run.task)):
        return CachePlan(asked=True, off_reason=f"{changed} was changed after the call, so no key can be made of it.")
    return CachePlan(asked=True, key=key or None, off_reason=None if key else OFF)


def _plan_of_inputs(run: TaskRun, counting: InputHash) -> CachePlan:
    """As `task_input_hash` would answer, with what its answer is made of."""
    from podtask.backends.in_process.attempt import arguments, named
    from podtask.core.cache.entry import compose
    from podtask.payloads.hashing import components_or_why

    packed = run.shipment.identity if run.shipment is not None else None  # what it was when the code was packed
    found = components_or_why(run.task, named(run, *arguments(run)), packed, counting)
    if isinstance(found, str):
        return CachePlan(asked=True, off_reason=found)
    changed = run.shipment.changed() if run.shipment is not None else None
    if changed is not None:  # the key would be of what it is now, and the task runs with what it was
        return CachePlan(asked=True, off_reason=f"{changed} was changed after the call, so no key can be made of it.")
    return CachePlan(asked=True, key=compose(found), components=found)
