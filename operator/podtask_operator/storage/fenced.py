"""The bucket of an operator that may have lost its Lease: asked right before each write, in the thread that writes.

A reconcile that began while the Lease was held can come to its write long after another operator took over (a thread
that waited, a pause of the process). Writes to the API server are refused then by resourceVersion or UID; the bucket
has no such thing for pointers, notes and logs. Reads need no fence. The store below makes one quick try per call, so
that a write arrives soon after it was allowed or never; what only met a connection that the server had closed meanwhile
is asked for, and sent, once more. Used by: `process.wiring`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from podtask.core.storage import ObjectInfo, Store, StoreUnavailable

T = TypeVar("T")

_CLOSED: Final = "ConnectionClosedError"
"""botocore's name for a kept connection that was closed before the answer came."""


class WriteFenced(StoreUnavailable):
    """Not sent: this process may not be the only operator any more. It says nothing about the bucket."""


class Fenced:
    """A store that writes only while `may_write` says so. Raises `WriteFenced` otherwise: try again later.

    `may_write_key`: the same for one key, by the namespace that it belongs to.
    """

    def __init__(
        self, store: Store, may_write: Callable[[], bool], may_write_key: Callable[[str], bool] = lambda _: True
    ) -> None:
        self._store = store
        self._may_write = may_write
        self._may_write_key = may_write_key

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        """Read an object."""
        return _once_more(lambda: self._store.get(key, limit=limit))

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
        """Write an object."""
        return self._write("PUT", key, lambda: self._store.put(key, data, if_absent=if_absent))

    def put_file(self, key: str, path: Path, *, if_absent: bool = False) -> str:
        """Write an object from a file."""
        return self._write("PUT", key, lambda: self._store.put_file(key, path, if_absent=if_absent))

    def download(self, key: str, path: Path) -> str:
        """Read an object into a file."""
        return self._store.download(key, path)

    def head(self, key: str) -> ObjectInfo | None:
        """Size and ETag of an object."""
        return _once_more(lambda: self._store.head(key))

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._write("DELETE", key, lambda: self._store.delete(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects below a prefix."""
        return self._store.list(prefix)

    def _write(self, method: str, key: str, send: Callable[[], T]) -> T:
        def allowed() -> T:
            if not self._may_write():
                raise WriteFenced(f"{method} {key}: not sent, because the operator's Lease is not renewed at present")
            if not self._may_write_key(key):
                raise WriteFenced(f"{method} {key}: not sent, because another release may work in its namespace by now")
            return send()

        return _once_more(allowed)


def _once_more(call: Callable[[], T]) -> T:
    try:
        return call()
    except StoreUnavailable as error:
        if error.code != _CLOSED:
            raise
    return call()
