"""A bucket whose objects have ages, and passes of the garbage collection over it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from podtask.core.api.status import ResultInfo
from podtask.core.cache.entry import CacheEntry, Producer
from podtask.core.gc import NamespaceObjects, remove, survey
from podtask.core.storage import owner as owners
from podtask.core.storage.layout import Bucket
from podtask.core.storage.marks import mark
from podtask.core.storage.memory import MemoryStore

NOW = datetime(2026, 1, 10, tzinfo=timezone.utc)
OLD, YOUNG = timedelta(days=3), timedelta(hours=3)
LONG_AGO = timedelta(days=400)
TEAM, CLUSTER = "44444444-0000-4000-8000-000000000004", "55555555-0000-4000-8000-000000000005"
BUCKET = Bucket("clusters/one", "team", namespace_uid=TEAM)

Object = dict[str, Any]


def uid(number: int) -> str:
    """Of a run."""
    return str(UUID(int=number))


def digest(text: str) -> str:
    """Of anything."""
    return hashlib.sha256(text.encode()).hexdigest()


def run(number: int, status: Object | None = None, spec: Object | None = None) -> Object:
    """A TaskRun as the API server has it."""
    return {"metadata": {"uid": uid(number)}, "spec": spec or {}, "status": status or {}}


class Scene:
    """A bucket; its namespace was marked long ago, unless `owned` says otherwise."""

    def __init__(self, *, owned: timedelta | None = LONG_AGO) -> None:
        self.at = NOW
        self.store = MemoryStore(clock=self._modified)
        if owned is not None:
            self.put(BUCKET.owner, owners.dump(TEAM, CLUSTER), owned)

    def _modified(self) -> float:
        return self.at.timestamp()

    def put(self, key: str, data: bytes = b"data", age: timedelta = OLD) -> str:
        self.at = NOW - age
        self.store.put(key, data)
        return key

    def attempt(self, number: int, attempt: int = 1, age: timedelta = OLD) -> set[str]:
        keys = BUCKET.attempt(uid(number), attempt)
        return {self.put(key, age=age) for key in (keys.result, keys.outcome, keys.log + "000001", keys.log_tail)}

    def entry(
        self, key: str, number: int, *, expires: timedelta | None = None, age: timedelta = OLD, bucket: Bucket = BUCKET
    ) -> str:
        """A cache pointer to the first attempt of a run."""
        entry = CacheEntry(
            key=key,
            result=ResultInfo(digest(key), 4, "json"),
            etag="e",
            producer=Producer("name", uid(number), 1),
            created_at=NOW - age,
            expires_at=None if expires is None else NOW + expires,
        )
        return self.put(bucket.cache(key), entry.dump(), age)

    def held(self) -> set[str]:
        """All keys but that of the mark."""
        return {info.key for info in self.store.list("")} - {BUCKET.owner}

    def parts(self, *runs: Object, namespaces: Sequence[str] | None = None) -> list[NamespaceObjects]:
        return list(survey(self.store, BUCKET.prefix, namespaces, mark(runs), NOW))

    def removed(
        self,
        parts: Iterable[NamespaceObjects],
        *runs: Object,
        dry_run: bool = False,
        go_on: Callable[[], bool] = lambda: True,
    ) -> set[str]:
        """The second half, by the TaskRuns as they are then."""
        return {
            gone.key
            for part in parts
            for batch in part.batches()
            for gone in remove(self.store, part, batch, mark(runs), NOW, dry_run=dry_run, go_on=go_on)
        }

    def swept(
        self,
        *runs: Object,
        dry_run: bool = False,
        namespaces: Sequence[str] | None = None,
        go_on: Callable[[], bool] = lambda: True,
    ) -> set[str]:
        """Both halves, while nothing happens."""
        return self.removed(self.parts(*runs, namespaces=namespaces), *runs, dry_run=dry_run, go_on=go_on)
