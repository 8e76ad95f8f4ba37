"""Names derived from identities: pods, Secrets keys and every object in the bucket. Pure.

The operator derives every object key itself from namespace, UID, attempt and digest; a spec, a termination
message or a cache pointer carries digests and sizes, never keys. Otherwise a user could name another
namespace's object and the operator would sign it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

KEEP = "keep"
"""Beside the attempts of a run: until when its objects are kept (`spec.resultRetentionSeconds`)."""

CHUNK_DIGITS = 6
"""Of the number of a log's chunk: they are listed in the order of their numbers."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


def namespace_of(prefix: str, key: str) -> str:
    """The namespace that an object belongs to, of any key that a `Bucket` of this prefix makes."""
    folder = "/".join((*filter(None, (prefix.strip("/"),)), ""))
    return key.removeprefix(folder).removeprefix(".grants/").partition("/")[0]


@dataclass(frozen=True)
class Bucket:
    """The part of the bucket that belongs to one namespace: `<prefix>/<namespace>/…`.

    What the cache keeps is below the namespace's UID as well, `cache/<uid>/…` and `recent/<uid>/…`: a namespace that
    was deleted and made anew under the same name must not find the entries of the one before. Runs and blobs need no
    such part: they are named by UIDs and digests.
    """

    prefix: str
    namespace: str
    namespace_uid: str | None = None
    """None where there is no cluster, and for whoever needs no cache: then the cache's keys have no UID in them."""

    @property
    def folder(self) -> str:
        """Everything of the namespace; ends with a slash."""
        return self._key("")

    def blob(self, digest: str) -> str:
        """Shipped code and inputs, content-addressed. Raises `ValueError` unless it is a sha256 in hex."""
        return self._key("blobs", checked_digest(digest))

    def run(self, uid: str) -> str:
        """Everything of one TaskRun; ends with a slash."""
        return self._key("runs", _segment(uid), "")

    def keep(self, uid: str) -> str:
        """The note that a run's objects outlive it."""
        return self.run(uid) + KEEP

    def attempt(self, uid: str, attempt: int) -> AttemptKeys:
        """The objects of one attempt."""
        return AttemptKeys(f"{self.run(uid)}{attempt}/")

    def checkpoints(self, uid: str) -> str:
        """What the attempts of a run have saved of their progress; ends with a slash."""
        return self.run(uid) + "checkpoints/"

    def checkpoint(self, uid: str, attempt: int, slot: int) -> str:
        """One of the objects that an attempt saves its progress in by turns."""
        return f"{self.checkpoints(uid)}{attempt}/{slot}"

    def grants(self, uid: str, attempt: int) -> str:
        """Documents of grants that fit into no Secret, numbered from 1; ends with a slash.

        Outside of the namespace's folder: whoever may read that (`podtask logs`, `cache`) may not write what a running
        attempt may.
        """
        return self.all_grants + "/".join((_segment(self.namespace), _segment(uid), str(attempt), ""))

    @property
    def all_grants(self) -> str:
        """Those of all namespaces; ends with a slash. No namespace has such a name."""
        return "/".join((*filter(None, (self.prefix.strip("/"),)), ".grants", ""))

    def cache(self, key: str) -> str:
        """The pointer of a cache key."""
        return self.cache_prefix + pointer_name(key)

    @property
    def cache_prefix(self) -> str:
        """All pointers of this very namespace; ends with a slash."""
        return self._of_namespace("cache")

    def recent(self, task: str) -> str:
        """The last runs of a task that stored entries: what a miss is explained with."""
        return self._of_namespace("recent") + pointer_name(task)

    @property
    def owner(self) -> str:
        """The mark that says which namespace of which cluster this part of the bucket belongs to."""
        return self._key("owner.json")

    @property
    def sweep_stopped(self) -> str:
        """The note that a sweep stopped here, because unexpectedly much would have gone."""
        return self._key("sweep-stopped.json")

    def _of_namespace(self, kind: str) -> str:
        return self._key(kind, *(() if self.namespace_uid is None else (_segment(self.namespace_uid),)), "")

    def _key(self, *parts: str) -> str:
        base = (self.prefix.strip("/"), _segment(self.namespace)) if self.prefix else (_segment(self.namespace),)
        return "/".join((*base, *parts))


@dataclass(frozen=True)
class AttemptKeys:
    """`…/runs/<uid>/<n>/{result,error,outcome}` and `log/<seq>`."""

    base: str

    @property
    def result(self) -> str:
        return self.base + "result"

    @property
    def error(self) -> str:
        return self.base + "error"

    @property
    def outcome(self) -> str:
        return self.base + "outcome"

    @property
    def log(self) -> str:
        """Prefix of the log chunks."""
        return self.base + "log/"

    def chunk(self, number: int) -> str:
        """A chunk of the runner's; from 1 on, without a gap."""
        return f"{self.log}{number:0{CHUNK_DIGITS}d}"

    def is_chunk(self, key: str) -> bool:
        """Whether the key is a chunk's. Below the prefix a pod may choose other names."""
        number = key.removeprefix(self.log)
        return number != key and len(number) >= CHUNK_DIGITS and number.isascii() and number.isdecimal()

    @property
    def log_tail(self) -> str:
        """The chunk that the operator writes where the runner could not: after all of the runner's, `log/000001` on."""
        return self.log + "999999"


def pointer_name(text: str) -> str:
    """The last part of a pointer's key; hashed, because users choose cache keys and names of tasks."""
    return f"{hashlib.sha256(text.encode()).hexdigest()}.json"


def secret_name(task_run: str, uid: str) -> str:
    """The Secret with the grants of all attempts of a run, one key each.

    With the start of the run's UID: the pod of an earlier run of the name, which somebody orphaned, mounts another one,
    so it never sees what this run may write.
    """
    return f"{task_run}-{uid[:8]}-grants"


def secret_key(attempt: int) -> str:
    """The key of one attempt inside that Secret."""
    return f"{attempt}.json"


def checked_digest(digest: str) -> str:
    """The digest itself, if it is a sha256 in lower-case hex. Raises `ValueError` otherwise."""
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"not a sha256 digest: {digest[:80]!r}")
    return digest


def _segment(text: str) -> str:
    if not text or "/" in text or text in (".", ".."):
        raise ValueError(f"not one path segment: {text[:80]!r}")
    return text
