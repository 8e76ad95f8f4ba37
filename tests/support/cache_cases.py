"""What may lie under a cache key and is no entry of it: the cases that operator, laptop and command agree on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from podtask.core.api.status import ResultInfo
from podtask.core.cache.entry import POINTER_LIMIT, CacheEntry, Producer
from podtask.core.storage import Store
from podtask.core.storage.layout import Bucket

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
KEY = "k"
DATA = b"[1,2]"
DIGEST = hashlib.sha256(DATA).hexdigest()
UID = "11111111-0000-4000-8000-000000000001"

Document = dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """A part of a store with the result of one attempt, and what lies under its cache key."""

    store: Store
    bucket: Bucket

    @property
    def place(self) -> str:
        """Of the entry."""
        return self.bucket.cache(KEY)

    @property
    def result(self) -> str:
        """The key of the result that the entry names."""
        return self.bucket.attempt(UID, 1).result

    def document(self, **change: Any) -> Document:
        """A good entry, but for the change; the result is stored."""
        etag = self.store.put(self.result, DATA)
        result = ResultInfo(DIGEST, len(DATA), "json", value=DATA.decode())
        entry = CacheEntry(KEY, result, etag, Producer("maker", UID, 1), NOW)
        return {**json.loads(entry.dump()), **change}

    def write(self, document: Document | bytes) -> None:
        """Under the key."""
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.store.put(self.place, data)

    def put(self, **change: Any) -> None:
        """A good entry, but for the change."""
        self.write(self.document(**change))


@dataclass(frozen=True)
class Unusable:
    """How an entry comes to be of no use, and what a miss says of it."""

    make: Callable[[Stored], object]
    reason: str


def _unreadable(make: Callable[[Stored], object], why: str) -> Unusable:
    return Unusable(make, f"The entry is not readable ({why}); the entry was dropped.")


def _removed(stored: Stored) -> None:
    stored.put()
    stored.store.delete(stored.result)


def _rewritten(data: bytes) -> Callable[[Stored], None]:
    def rewritten(stored: Stored) -> None:
        stored.put()
        stored.store.put(stored.result, data)

    return rewritten


def _copied(stored: Stored) -> None:
    """A good entry of another key, as a file that somebody copied."""
    stored.put(key="another")


GONE = "The stored result of 'maker' is gone; the entry was dropped."
ALTERED = "The stored result of 'maker' was altered; the entry was dropped."
UNUSABLE = {
    "cut off": _unreadable(
        lambda stored: stored.write(b'{"v": 1, "key": '), "Expecting value: line 1 column 17 (char 16)"
    ),
    "no bytes": _unreadable(lambda stored: stored.write(b""), "Expecting value: line 1 column 1 (char 0)"),
    "no object": _unreadable(lambda stored: stored.write(b"[]"), "not a cache pointer: expected an object"),
    "too long": _unreadable(
        lambda stored: stored.write(b" " * (POINTER_LIMIT + 1)), f"not a cache pointer: {POINTER_LIMIT + 1} bytes"
    ),
    "nested": _unreadable(lambda stored: stored.write(b"[" * 100_000), "not a cache pointer: nested too deeply"),
    "another version": _unreadable(lambda stored: stored.put(v=2), "a cache pointer of another version"),
    "another key": _unreadable(_copied, "it is the entry of another key"),
    "a path as producer": _unreadable(
        lambda stored: stored.put(producer={"taskRun": "r", "uid": "../x", "attempt": 1}), "not a UID: '../x'"
    ),
    "a time without a zone": _unreadable(
        lambda stored: stored.put(expiresAt="2031-01-01T00:00:00"), "not a cache pointer: expiresAt has no time zone"
    ),
    "a value of another digest": _unreadable(
        lambda stored: stored.put(value="[9,2]"), "its value is not what its digest says"
    ),
    "a digest of another value": _unreadable(
        lambda stored: stored.put(digest="ab" * 32), "its value is not what its digest says"
    ),
    "a value of another size": _unreadable(
        lambda stored: stored.put(size=len(DATA) + 1), "its value is not what its digest says"
    ),
    "inline bytes of another digest": _unreadable(
        lambda stored: stored.put(inline="WzksMl0="), "its inline is not what its digest says"
    ),
    "inline bytes that are no base64": _unreadable(lambda stored: stored.put(inline="WzE"), "Incorrect padding"),
    "a value that is no UTF-8": _unreadable(
        lambda stored: stored.put(value="\udcff"),
        "'utf-8' codec can't encode character '\\udcff' in position 0: surrogates not allowed",
    ),
    "the result is gone": Unusable(_removed, GONE),
    "the result was altered": Unusable(_rewritten(DATA[::-1]), ALTERED),
    "the result was cut off": Unusable(_rewritten(DATA[:-1]), ALTERED),
    "the result has another size": Unusable(lambda stored: stored.put(value=None, size=4), ALTERED),
    "the result has another ETag": Unusable(lambda stored: stored.put(etag="another"), ALTERED),
}
"""Entries that nobody can use: a miss that says why, and they are removed."""

EXPIRED = "2020-01-01T00:00:00+00:00"
