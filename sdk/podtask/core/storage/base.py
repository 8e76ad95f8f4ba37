"""The store protocol: a few verbs on keys and bytes, and signing for those who hold no credentials.

    StoreError
    ├── NotStored          no object of that key
    ├── AlreadyStored      `put(..., if_absent=True)` lost: somebody wrote it before
    └── StoreUnavailable   the server did not answer within the bounded retries; try later
        └── StoreRefused   it did answer: no, until a person changes something (bucket, credentials, permissions)

Implementations: `s3.S3Store`, `directory.DirectoryStore`, `memory.MemoryStore`. A key is what all three, and
S3 servers that keep objects as files, can hold: see `checked_key`; no key is a folder of another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from podtask_runner.protocol import LogPost, Put


class StoreError(Exception):
    """Anything a store can answer instead of the asked-for bytes."""


class NotStored(StoreError):
    """No object of that key."""


class AlreadyStored(StoreError):
    """The key was taken before; nothing was replaced."""


class StoreUnavailable(StoreError):
    """The store did not answer in time, or refused for a reason that may pass. The text names store, key and cause.

    `code` is the server's own word for it (`SlowDown`), the client's (`ReadTimeoutError`) or an errno (`ENOSPC`).
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class StoreRefused(StoreUnavailable):
    """The store answered, and will go on refusing until a person acts; the text says how. Waiting does not help."""


@dataclass(frozen=True)
class ObjectInfo:
    """What a HEAD tells. `etag` without quotes; `modified` in seconds since the epoch."""

    key: str
    size: int
    etag: str
    modified: float


class Store(Protocol):
    """Bytes by key. Thread-safe. Every method may raise `StoreUnavailable`."""

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        """The whole object, or its first `limit` bytes: no more is read of it. Raises `NotStored`."""
        ...

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
        """Write the object atomically, return its ETag. With `if_absent`, raises `AlreadyStored` for a taken key."""
        ...

    def put_file(self, key: str, path: Path, *, if_absent: bool = False) -> str:
        """As `put`, of a file that is streamed and never in memory. At most 5 GiB."""
        ...

    def download(self, key: str, path: Path) -> str:
        """The whole object into a file, streamed; the sha256 of what was written. Raises `NotStored`."""
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """Size, ETag and age, or None."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; removing what is not there is no error. A bucket takes any name that its `list` gives."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, ordered by key."""
        ...


class Signer(Protocol):
    """Time-limited URLs for exactly one object or one prefix. No network."""

    def sign_get(self, key: str, seconds: float) -> str:
        """A URL that reads `key`."""
        ...

    def sign_put(self, key: str, seconds: float, *, once: bool = True) -> Put:
        """A URL that writes `key`, and with `once` never again: with `If-None-Match: *` among the signed headers."""
        ...

    def sign_post(self, prefix: str, max_bytes: int, seconds: float) -> LogPost:
        """A policy that writes any number of objects under `prefix`, each at most `max_bytes`."""
        ...

    def credentials_expire_at(self) -> float | None:
        """Seconds since the epoch when what is signed now dies with its credentials; None: they do not expire."""
        ...


KEY_LIMIT: Final = 1024
"""Bytes of UTF-8 in a key (Amazon S3 user guide, Object key names)."""
SEGMENT_LIMIT: Final = 255
"""Bytes between two slashes: a file name (NAME_MAX), for directories and for S3 servers on top of one."""


def checked_key(key: str) -> str:
    """The key itself, if every store can hold it. Raises `ValueError` otherwise.

    `a/b/c`: 1 to 1024 bytes of UTF-8; segments of 1 to 255 bytes, none `.` or `..`, no control characters.
    """
    segments = key.encode().split(b"/")  # UnicodeEncodeError is a ValueError
    if len(key.encode()) > KEY_LIMIT or not key.isprintable():
        raise ValueError(f"not an object key: {key[:80]!r} is too long or holds unprintable characters")
    if any(not segment or segment in (b".", b"..") or len(segment) > SEGMENT_LIMIT for segment in segments):
        raise ValueError(f"not an object key: {key[:80]!r} has a segment that is empty, '.', '..' or too long")
    return key


def is_key(key: str) -> bool:
    """Whether every store can hold the key. A bucket may have others, which somebody else has named."""
    try:
        return bool(checked_key(key))
    except ValueError:
        return False


def checked_prefix(prefix: str) -> str:
    """The prefix itself, if keys can start with it: empty, or a key cut off anywhere. Raises `ValueError` otherwise."""
    folder, slash, _ = prefix.rpartition("/")
    if slash:
        checked_key(folder)
    return prefix


def checked_grant_prefix(prefix: str) -> str:
    """The prefix itself, if it may be signed: never empty, that would open everything. Raises `ValueError`."""
    if not prefix:
        raise ValueError("not a prefix to grant: an empty one opens the whole store")
    return checked_prefix(prefix)


@dataclass(frozen=True)
class S3Settings:
    """Which bucket, and by which way. None leaves the choice to boto3 (environment, profile, AWS itself)."""

    bucket: str
    prefix: str = ""
    """Without slashes at its ends; may be empty."""
    endpoint_url: str | None = None
    """As pods and the operator see the server. Signed URLs carry it: SigV4 signs the host name."""
    region: str | None = None
    conditional_writes: bool = True
    """Whether the server knows `If-None-Match`. Without it, two who write one key at once may both succeed."""
