"""A dict as a store: for unit tests, and for runs that need no bytes after the process."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from podtask.core.storage.base import AlreadyStored, NotStored, ObjectInfo, checked_key, checked_prefix

Fault = Callable[[str, str, str], None]
"""Called with verb, key and "before" or "after"; what it raises is the answer. "after" a put: an answer lost."""


class MemoryStore:
    """`Store` in memory. `clock` gives seconds since the epoch; `fault` lets tests break any step."""

    def __init__(self, *, clock: Callable[[], float] = time.time, fault: Fault | None = None) -> None:
        self._objects: dict[str, tuple[bytes, ObjectInfo]] = {}
        self._lock = threading.Lock()
        self._clock = clock
        self.fault: Fault = fault or (lambda *_: None)
        """May be replaced at any time."""

    @contextmanager
    def _step(self, verb: str, key: str) -> Iterator[dict[str, tuple[bytes, ObjectInfo]]]:
        self.fault(verb, key, "before")
        with self._lock:
            yield self._objects
        self.fault(verb, key, "after")

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        with self._step("get", checked_key(key)) as objects:
            if key not in objects:
                raise NotStored(f"no object {key!r} in memory")
            return objects[key][0][:limit]

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
        with self._step("put", checked_key(key)) as objects:
            if if_absent and key in objects:
                raise AlreadyStored(f"{key!r} is in memory already")
            etag = hashlib.sha256(data).hexdigest()
            objects[key] = (bytes(data), ObjectInfo(key, len(data), etag, self._clock()))
        return etag

    def put_file(self, key: str, path: Path, *, if_absent: bool = False) -> str:
        return self.put(key, path.read_bytes(), if_absent=if_absent)

    def download(self, key: str, path: Path) -> str:
        data = self.get(key)
        path.write_bytes(data)
        return hashlib.sha256(data).hexdigest()

    def head(self, key: str) -> ObjectInfo | None:
        with self._step("head", checked_key(key)) as objects:
            return objects[key][1] if key in objects else None

    def delete(self, key: str) -> None:
        with self._step("delete", key) as objects:
            objects.pop(key, None)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._step("list", checked_prefix(prefix)) as objects:
            found = [info for key, (_, info) in sorted(objects.items()) if key.startswith(prefix)]
        return iter(found)
