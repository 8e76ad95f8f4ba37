"""Removes from the bucket what nobody needs any more: the only place that ever does.

    TaskRuns ──mark──> Marks ─┐
    bucket, listed once in order ──> per namespace: blobs, cache, recent, runs ──> kept, or removed with a reason

Kept is whatever is named by a TaskRun that exists (its own objects, the run its result or an input came from, the blobs
of its spec), by a cache pointer that is live, by a `keep` note that is not over (resultRetentionSeconds), and whatever
is younger than `spare`: objects are written before they are named. What is not of the known layout is never touched.
Marks name more than they need to, on purpose: a UID keeps everything of that run, any digest anywhere keeps its blob.

The bucket's prefix must belong to one cluster: a run of another cluster is nobody's here.
Users: the operator (`podtask_operator.sweep`), the command. Blocking.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from podtask.core.api.status import camel_case
from podtask.core.cache.entry import POINTER_LIMIT, CacheEntry
from podtask.core.storage.base import NotStored, ObjectInfo, Store, checked_key
from podtask.core.storage.layout import KEEP

SPARE: Final = timedelta(days=1)
LEAST_SPARE: Final = timedelta(hours=13)
"""Where the sweep runs by itself: clients count for 12 h on an upload, and write what names it a moment later."""
REMEMBERED: Final = timedelta(days=30)
"""How long the last runs of a task explain a miss (`podtask.core.cache.explain`), after the last one that stored an
entry."""
NOTE_LIMIT: Final = 1024
"""Bytes of a `keep` note that are read; one that is longer cannot be read."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_POINTER: Final = re.compile(r"[0-9a-f]{64}\.json")
_UID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OF_A_RUN: Final = re.compile(rf"/runs/[^/]+/([0-9]+/(result|error|outcome|log/.+)|{KEEP})\Z", re.DOTALL)
"""The layout of `podtask.core.storage.layout`. A bucket may hold other things; below `log/` a pod chooses the names
(its policy grants the prefix), and no choice of them may keep the objects of its run for ever."""
_UID_FIELDS: Final = frozenset(map(camel_case, ("uid", "source_uid")))
"""As the status names runs whose objects it needs (`podtask.core.api.status`)."""


@dataclass
class Marks:
    """What must stay: everything of these runs, and these blobs."""

    uids: set[str] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)

    def add_run(self, obj: Mapping[str, Any]) -> None:
        """Mark what a TaskRun names, as the API server has it. Nothing needs to be well-formed."""
        self._walk(obj.get("metadata"))
        self._walk(obj.get("spec"))
        self._walk(obj.get("status"))

    def add_entry(self, entry: CacheEntry) -> None:
        """Mark what a live cache pointer names."""
        self.uids.add(entry.producer.uid)

    def _walk(self, value: Any) -> None:
        todo = [value]
        while todo:
            found = todo.pop()
            if isinstance(found, Mapping):
                self.uids.update(str(found[name]) for name in _UID_FIELDS & found.keys())
                todo.extend(found.values())
            elif isinstance(found, list):
                todo.extend(found)
            elif isinstance(found, str) and _DIGEST.fullmatch(found):
                self.digests.add(found)


@dataclass(frozen=True)
class Removal:
    """One object that nobody needs, and why."""

    key: str
    size: int
    why: str


def mark(runs: Iterable[Mapping[str, Any]]) -> Marks:
    """What these TaskRuns name. They must be all of the namespaces that are swept."""
    marks = Marks()
    for run in runs:
        marks.add_run(run)
    return marks


def sweep(
    store: Store,
    prefix: str,
    namespaces: Iterable[str] | None,
    marks: Marks,
    now: datetime,
    *,
    spare: timedelta = SPARE,
    dry_run: bool = False,
    go_on: Callable[[], bool] = lambda: True,
) -> Iterator[Removal]:
    """Remove what nobody needs, one object after the other, and tell of each after it is gone.

    `namespaces`: None for all below the bucket's `prefix`. `marks` must be made right before, of the TaskRuns of just
    these namespaces or more. `go_on` is asked before each removal. May raise `StoreUnavailable`: what was told of is
    gone, the rest is there.
    """
    base = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    this = _Pass(store, marks, now, spare)
    for below in [base] if namespaces is None else [f"{base}{namespace}/" for namespace in namespaces]:
        for removal in _needless(this, below, len(base)):
            if not go_on():
                return
            if dry_run or this.removed(removal.key):
                yield removal


@dataclass(frozen=True)
class _Pass:
    store: Store
    marks: Marks
    now: datetime
    spare: timedelta

    def removed(self, key: str) -> bool:
        """Remove it, unless it was written anew, or removed, since it was listed: a listing may be hours old."""
        info = self.store.head(key)
        if info is None or self.young(info):
            return False
        self.store.delete(key)
        return True

    def young(self, info: ObjectInfo) -> bool:
        return datetime.fromtimestamp(info.modified, timezone.utc) > self.now - self.spare

    def entry_over(self, info: ObjectInfo) -> str | None:
        """Why a cache pointer is not needed; a live one marks its producer. One that just expired may be in use."""
        try:
            entry = CacheEntry.load(self.store.get(info.key, limit=POINTER_LIMIT + 1))
        except NotStored:
            return None
        except ValueError:
            return None if self.young(info) else "a cache entry that cannot be read"
        if not entry.live(self.now - self.spare):
            return None if self.young(info) else f"a cache entry that expired at {entry.expires_at}"
        self.marks.add_entry(entry)
        return None

    def forgotten(self, info: ObjectInfo) -> str | None:
        """Why the last runs of a task need no more be remembered."""
        if datetime.fromtimestamp(info.modified, timezone.utc) > self.now - max(self.spare, REMEMBERED):
            return None
        return f"no run of its task has stored a cache entry for {REMEMBERED.days} days"

    def run_over(self, uid: str, objects: list[ObjectInfo]) -> str | None:
        """Why the objects of a run are not needed."""
        if uid in self.marks.uids or any(map(self.young, objects)):
            return None
        note = next((info.key for info in objects if info.key.endswith(f"/{KEEP}")), None)
        until = kept_until(self.store, note) if note else None
        if until is not None and until > self.now:
            return None
        return "its TaskRun is gone, and no status and no live cache entry names it"


def kept_until(store: Store, key: str) -> datetime | None:
    """What a `keep` note says. One that cannot be read says: for ever."""
    try:
        until = datetime.fromisoformat(json.loads(store.get(key, limit=NOTE_LIMIT))["until"])
        return until if until.tzinfo else until.replace(tzinfo=timezone.utc)
    except NotStored:
        return None
    except (ValueError, KeyError, TypeError):
        return datetime.max.replace(tzinfo=timezone.utc)


def keep_note(until: datetime) -> bytes:
    """The note beside the objects of a run that they are to be kept although their TaskRun may be gone."""
    return json.dumps({"until": until.isoformat()}).encode()


def _needless(this: _Pass, below: str, depth: int) -> Iterator[Removal]:
    """In the order of the keys, each namespace: blobs, cache, recent, runs; so pointers mark before runs come."""

    def group(info: ObjectInfo) -> tuple[str, str, str]:
        namespace, _, rest = info.key[depth:].partition("/")
        kind, _, name = rest.partition("/")
        return namespace, kind, name.partition("/")[0]

    for (_, kind, name), found in itertools.groupby(this.store.list(below), group):
        objects = list(found)
        why = None
        if kind == "blobs" and _DIGEST.fullmatch(name) and name not in this.marks.digests:
            why = None if this.young(objects[0]) else "no TaskRun names this code or input"
        elif kind == "cache" and _POINTER.fullmatch(name):
            why = this.entry_over(objects[0])
        elif kind == "recent" and _POINTER.fullmatch(name):
            why = this.forgotten(objects[0])
        elif kind == "runs" and _UID.fullmatch(name) and all(_OF_A_RUN.search(info.key) for info in objects):
            why = this.run_over(name, objects)
        if why is not None:
            yield from (Removal(info.key, info.size, why) for info in objects if _holdable(info.key))


def _holdable(key: str) -> bool:
    """False for a name that no store of ours takes (`log/..`), which only a pod can have chosen: it stays, alone."""
    try:
        return bool(checked_key(key))
    except ValueError:
        return False
