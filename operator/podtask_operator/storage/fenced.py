"""The bucket of an operator that may have lost its Lease: asked right before each write, in the thread that writes.

A reconcile that began while the Lease was held can come to its write long after another operator took over (a thread
that waited, a pause of the process). Writes to the API server are refused then by resourceVersion or UID; the bucket
has no such thing for pointers, notes and logs. Reads need no fence. Used by: `process.wiring`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from podtask.core.storage import ObjectInfo, Store, StoreUnavailable


class Fenced:
    """A store that writes only while `may_write` says so. Raises `StoreUnavailable` otherwise: try again later."""

    def __init__(self, store: Store, may_write: Callable[[], bool]) -> None:
        self._store = store
        self._may_write = may_write

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        """Read an object."""
        return self._store.get(key, limit=limit)

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
        """Write an object."""
        self._check(f"PUT {key}")
        return self._store.put(key, data, if_absent=if_absent)

    def put_file(self, key: str, path: Path, *, if_absent: bool = False) -> str:
        """Write an object from a file."""
        self._check(f"PUT {key}")
        return self._store.put_file(key, path, if_absent=if_absent)

    def download(self, key: str, path: Path) -> str:
        """Read an object into a file."""
        return self._store.download(key, path)

    def head(self, key: str) -> ObjectInfo | None:
        """Size and ETag of an object."""
        return self._store.head(key)

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._check(f"DELETE {key}")
        self._store.delete(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects below a prefix."""
        return self._store.list(prefix)

    def _check(self, what: str) -> None:
        if not self._may_write():
            raise StoreUnavailable(f"{what}: not sent, because the operator's Lease is not renewed at present")
