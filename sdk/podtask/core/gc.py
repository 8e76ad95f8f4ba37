"""Removes from the bucket what nobody needs any more: the only place that ever does.

    TaskRuns ──mark──> Marks ─┐
    bucket, listed in order ──> survey: per namespace its mark of ownership, live pointers, candidates
                                     │  at least SETTLE later
    TaskRuns again ──mark────> Marks ┴─> remove: each candidate is judged again by what is there now

Kept is whatever is named by a TaskRun that exists (its own objects, the run its result or an input came from, the blobs
of its spec), by a cache pointer that is live, by a `keep` note that is not over (resultRetentionSeconds), and whatever
is younger than `spare`: objects are written before they are named.

A name may be under way when nothing holds it: a run hits an entry, the entry is replaced, and only then the run's
status names the result. So nothing goes that only one look did not see: two lists, `SETTLE` apart, the pointers read
before the second one. Whoever reads a name writes it down within that time, or reads again.

What is not of the known layout is never touched, nor is what is older than the mark of ownership while that is young
(`owner`); who calls asks first whose folder it is. Where most runs of a namespace would go,
`NamespaceObjects.too_much` says so.
Users: the operator (`podtask_operator.sweep`), the command. Blocking.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Final

from podtask.core.cache.repository import read_entry
from podtask.core.storage import owner as owners
from podtask.core.storage.base import NotStored, ObjectInfo, Store
from podtask.core.storage.layout import KEEP, Bucket
from podtask.core.storage.marks import Marks

SPARE: Final = timedelta(days=1)
LEAST_SPARE: Final = timedelta(hours=13)
"""Clients count for 12 h on an upload, and write what names it a moment later."""
SETTLE: Final = timedelta(minutes=5)
"""What was read is written down by then: the operator's slowest look (two reads of the bucket of 69 s and a write of
30 s), and a `podtask retry`, which reads a TaskRun and creates another one."""
REMEMBERED: Final = timedelta(days=30)
"""How long the last runs of a task explain a miss (`podtask.core.cache.explain`), after the last one that stored an
entry."""
SKEW: Final = timedelta(minutes=15)
"""How far the clock of a store may be off: with more it refuses every request (S3, RequestTimeTooSkewed)."""
GRANTS_DEAD: Final = timedelta(days=8)
"""A signed URL lives for 7 days at most (SigV4), and what lives longer is renewed as another document."""
NOTE_LIMIT: Final = 1024
"""Bytes of a `keep` note that are read; one that is longer cannot be read."""
MANY: Final = 100
"""Fewer runs than that never are unexpectedly many."""
BATCH: Final = 5000
"""Candidates that are removed by one list of the TaskRuns."""
CANDIDATES: Final = 200_000
"""Candidates of one namespace that one pass remembers (some 150 bytes each); the next pass takes the rest."""

_NAMESPACE: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_BLOB: Final = re.compile(r"blobs/(?P<digest>[0-9a-f]{64})")
_POINTER: Final = re.compile(r"(?P<kind>cache|recent)/((?P<namespace_uid>[^/]+)/)?[0-9a-f]{64}\.json")
_RUN: Final = re.compile(r"runs/(?P<uid>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})/.*", re.DOTALL)
_GRANTS: Final = re.compile(r"\.grants/[^/]+/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/[0-9]+/[0-9]+\Z")
_OF_A_RUN: Final = re.compile(
    rf"/runs/[^/]+/([0-9]+/(result|error|outcome|log/.+)|checkpoints/[0-9]+/[0-9]+|{KEEP})\Z", re.DOTALL
)
"""The layout of `podtask.core.storage.layout`. A bucket may hold other things; below `log/` a pod chooses the names
(its policy grants the prefix), and no choice of them may keep the objects of its run for ever."""


@dataclass(frozen=True)
class Removal:
    """One object that nobody needs, and why."""

    key: str
    size: int
    why: str


@dataclass(frozen=True)
class Candidate:
    """A blob, a pointer, the last runs of a task, or everything of a run: what nobody needed when it was looked at."""

    kind: str
    """blobs, cache, recent or runs."""
    name: str
    """A digest, the UID of a run, or the rest of a key below the namespace's folder."""


@dataclass
class NamespaceObjects:
    """What one namespace has in the bucket."""

    bucket: Bucket
    owner: owners.BucketOwner | None
    abandoned: bool = False
    """The namespace was deleted: its UID never comes back, so no run can ever use its cache."""
    runs: int = 0
    needless_runs: int = 0
    candidates: list[Candidate] = field(default_factory=list)
    live: set[str] = field(default_factory=set)
    """Runs that live cache pointers name."""
    stopped: ObjectInfo | None = None
    """The note of an earlier pass that stopped here."""

    @property
    def too_much(self) -> str | None:
        """Why this is more than one would expect: a list of TaskRuns may be wrong, or they were lost."""
        if self.needless_runs <= MANY or self.needless_runs * 2 <= self.runs:
            return None
        return (
            f"{self.needless_runs} of {self.runs} runs that namespace '{self.bucket.namespace}' has in the bucket would"
            f" go, because no TaskRun and no cache entry names them"
        )

    def batches(self) -> Iterator[list[Candidate]]:
        """The candidates, so many at a time as one list of the TaskRuns serves for."""
        for start in range(0, len(self.candidates), BATCH):
            yield self.candidates[start : start + BATCH]


def survey(
    store: Store,
    prefix: str,
    namespaces: Iterable[str] | None,
    marks: Marks,
    now: datetime,
    *,
    spare: timedelta = SPARE,
    abandoned: bool = False,
) -> Iterator[NamespaceObjects]:
    """What each namespace has that nobody needs. Removes nothing. May raise `StoreUnavailable`.

    `namespaces`: None for all below the bucket's `prefix`. `now` is from before `marks` were made, and those are of the
    TaskRuns of just these namespaces or more. `abandoned`: these namespaces are no more.
    """
    base = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def folder(info: ObjectInfo) -> str:
        name, slash, _ = info.key[len(base) :].partition("/")
        return name if slash else ""

    for below in [base] if namespaces is None else [f"{base}{namespace}/" for namespace in namespaces]:
        for namespace, objects in itertools.groupby(store.list(below), folder):
            if _NAMESPACE.fullmatch(namespace):
                bucket = Bucket(prefix, namespace)
                part = NamespaceObjects(bucket, owners.read(store, bucket), abandoned)
                _Judge(store, part, marks, now, spare).look(objects)
                yield part


def remove(
    store: Store,
    part: NamespaceObjects,
    candidates: Iterable[Candidate],
    marks: Marks,
    now: datetime,
    *,
    spare: timedelta = SPARE,
    dry_run: bool = False,
    go_on: Callable[[], bool] = lambda: True,
) -> Iterator[Removal]:
    """Remove those of the candidates that nobody needs now, one object after the other, and tell of each afterwards.

    `marks` are of a list that was made right before, `SETTLE` after the survey; `now` is that of the survey. `go_on` is
    asked right before each removal. May raise `StoreUnavailable`: what was told of is gone, the rest is there.
    """
    judge = _Judge(store, part, marks, now, spare)
    judge.look_at_new_pointers()
    for candidate in candidates:
        for info, why in judge.again(candidate):
            if not go_on():
                return
            if not dry_run:
                store.delete(info.key)
            yield Removal(info.key, info.size, why)


@dataclass(frozen=True)
class _Judge:
    store: Store
    part: NamespaceObjects
    marks: Marks
    now: datetime
    spare: timedelta

    def look(self, objects: Iterable[ObjectInfo]) -> None:
        """Take the objects of the namespace into its part, in the order of their keys: pointers come before runs."""
        start, part = len(self.part.bucket.folder), self.part

        def place(info: ObjectInfo) -> Candidate | None:
            return _place(info.key[start:])

        for candidate, group in itertools.groupby(objects, place):
            if candidate is None:
                part.stopped = next((info for info in group if info.key == part.bucket.sweep_stopped), part.stopped)
                continue
            needless = self._why(candidate, group) is not None
            if candidate.kind == "runs":
                part.runs += 1
                part.needless_runs += needless
            if needless and len(part.candidates) < CANDIDATES:
                part.candidates.append(candidate)

    def look_at_new_pointers(self) -> None:
        """Those that were written since the survey name runs, too: an operator that was away for days catches up."""
        for info in self.store.list(f"{self.part.bucket.folder}cache/"):
            candidate = _place(info.key[len(self.part.bucket.folder) :])
            new = datetime.fromtimestamp(info.modified, timezone.utc) > self.now - SKEW
            if new and candidate is not None:
                self._why(candidate, [info])

    def again(self, candidate: Candidate) -> Iterator[tuple[ObjectInfo, str]]:
        """The objects of a candidate as they are now, if nobody needs them now: a listing may be hours old."""
        objects = self._objects(candidate)
        why = self._why(candidate, self._objects(candidate))
        if why is not None:  # a control character does not pass through XML: such a name, a pod's own, stays alone
            yield from ((info, why) for info in objects if info.key.isprintable() and not self._kept(info))

    def _objects(self, candidate: Candidate) -> Iterator[ObjectInfo]:
        """Listed when they are asked for."""
        if candidate.kind == "runs":
            yield from self.store.list(self.part.bucket.run(candidate.name))
            return
        bucket = self.part.bucket
        key = bucket.blob(candidate.name) if candidate.kind == "blobs" else bucket.folder + candidate.name
        info = self.store.head(key)
        if info is not None:
            yield info

    def _why(self, candidate: Candidate, objects: Iterable[ObjectInfo]) -> str | None:
        """Why it is not needed; None where it is, or is not there."""
        if candidate.kind == "runs":
            return self._run_over(candidate.name, objects)
        info = next(iter(objects), None)
        if info is None:
            return None
        if candidate.kind == "blobs":
            needless = not self._kept(info) and candidate.name not in self.marks.digests
            return "no TaskRun names this code or input" if needless else None
        return self._pointer_over(candidate, info)

    def _kept(self, info: ObjectInfo) -> bool:
        """Whether its age alone keeps it. Without a mark of ownership there is none that it could be younger than."""
        young = datetime.fromtimestamp(info.modified, timezone.utc) > self.now - self.spare
        return young or self.part.owner is None or self.part.owner.protects(info.modified, self.now)

    def _pointer_over(self, candidate: Candidate, info: ObjectInfo) -> str | None:
        """Why a cache pointer, or what explains misses, is not needed. A live one marks its producer."""
        parts = _POINTER.fullmatch(candidate.name)
        owner = self.part.owner
        earlier = owner is not None and parts is not None and parts["namespace_uid"] != owner.namespace_uid
        if earlier or self.part.abandoned:
            return None if self._kept(info) else "its namespace was deleted, and no run can use it"
        if candidate.kind == "cache":
            return self._entry_over(info)
        old = datetime.fromtimestamp(info.modified, timezone.utc) <= self.now - max(self.spare, REMEMBERED)
        needless = old and not self._kept(info)
        return f"no run of its task has stored a cache entry for {REMEMBERED.days} days" if needless else None

    def _entry_over(self, info: ObjectInfo) -> str | None:
        """Why an entry is not needed. One that just expired may be in use."""
        try:
            entry = read_entry(self.store, info.key)
        except NotStored:
            return None
        except ValueError:
            return None if self._kept(info) else "a cache entry that cannot be read"
        if not entry.live(self.now - self.spare):
            return None if self._kept(info) else f"a cache entry that expired at {entry.expires_at}"
        self.part.live.add(entry.producer.uid)
        return None

    def _run_over(self, uid: str, objects: Iterable[ObjectInfo]) -> str | None:
        """Why the objects of a run are not needed. They may be many, and are not held."""
        if uid in self.marks.uids or uid in self.part.live:
            return None
        note, some = None, False
        for info in objects:
            if self._kept(info) or not _OF_A_RUN.search(info.key):
                return None
            note, some = info.key if info.key == self.part.bucket.keep(uid) else note, True
        until = kept_until(self.store, note) if note else None
        if not some or (until is not None and until > self.now):
            return None
        return "its TaskRun is gone, and no status and no live cache entry names it"


def dead_grants(store: Store, prefix: str, namespaces: Iterable[str] | None, now: datetime) -> Iterator[Removal]:
    """Documents of grants whose URLs nobody can use any more, whoever's they are. Removes nothing."""
    for below in [""] if namespaces is None else [f"{namespace}/" for namespace in namespaces]:
        for info in store.list(Bucket(prefix, "any").all_grants + below):
            old = datetime.fromtimestamp(info.modified, timezone.utc) <= now - GRANTS_DEAD
            if old and _GRANTS.search(info.key):
                yield Removal(info.key, info.size, "grants whose URLs have expired")


def kept_until(store: Store, key: str) -> datetime | None:
    """What a `keep` note says. One that cannot be read says: for ever."""
    try:
        until = datetime.fromisoformat(json.loads(store.get(key, limit=NOTE_LIMIT))["until"])
        return until if until.tzinfo else until.replace(tzinfo=timezone.utc)
    except NotStored:
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return datetime.max.replace(tzinfo=timezone.utc)


def keep_note(until: datetime) -> bytes:
    """The note beside the objects of a run that they are to be kept although their TaskRun may be gone."""
    return json.dumps({"until": until.isoformat()}).encode()


def _place(rest: str) -> Candidate | None:
    """What an object below the folder of a namespace belongs to; None for whatever is not of our layout."""
    if blob := _BLOB.fullmatch(rest):
        return Candidate("blobs", blob["digest"])
    if pointer := _POINTER.fullmatch(rest):
        return Candidate(pointer["kind"], rest)
    if run := _RUN.fullmatch(rest):
        return Candidate("runs", run["uid"])
    return None
