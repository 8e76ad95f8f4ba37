"""The cluster's bucket as the SDK needs it: for what is too large for a TaskRun or for its status.

Which bucket: PODTASK_STORE (with PODTASK_S3_ENDPOINT_URL) where it is set, else what the chart publishes in the
ConfigMap `podtask-client` (see `client_config`). Credentials: boto3's own chain. Small flows
never get here. Used by: `backend`. Keys are spelled by `podtask.core.storage.layout`.
"""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from podtask.core.api.names import CLIENT_CONFIG_MAP, OPERATOR_NAMESPACE
from podtask.core.storage.layout import Bucket
from podtask.errors import PodtaskError
from podtask.kube.client_config import Published, client_config
from podtask_runner.names import INLINE_LIMIT
from podtask_runner.storage.spool import Payload, digest_of

if TYPE_CHECKING:
    from podtask.core.storage import Store
    from podtask_runner.files import File

T = TypeVar("T")
FRESH_SECONDS = 12 * 3600.0
"""Younger objects are safe from the sweep (`podtask.core.gc.LEAST_SPARE`); older ones are written again."""

SMALL = 1024
"""Bytes that a TaskRun carries itself, though others carry the same."""


class NoBucket(PodtaskError):
    """Something is too large to travel without the bucket, and the bucket cannot be used from here."""


class BucketAccess:
    """Opened on first need. Thread-safe."""

    def __init__(self, namespace: str, published: Published, store: str | None, endpoint_url: str | None) -> None:
        self._namespace = namespace
        self._published = published
        self._store = store
        self._endpoint_url = endpoint_url
        self._opened: tuple[Store, Bucket] | None = None
        self._uploaded: dict[str, float] = {}
        """Digest -> when the object was written, in seconds since the epoch."""
        self._usable, self._why = True, ""
        self._lock = threading.Lock()

    def carry(self, data: Payload, what: str) -> dict[str, Any]:
        """A pickled payload as a field of a TaskRun, compressed where it pays: inline up to 64 KiB, else uploaded.

        Raises `NoBucket` that names `what` and its size.
        """
        from podtask_runner.serialization.pickling import squeezed

        data = squeezed(data)
        if isinstance(data, bytes) and len(data) <= INLINE_LIMIT:
            return {"inline": b64encode(data).decode()}
        return self._stored(digest_of(data), data if isinstance(data, bytes) else data.path, len(data), what)

    def carry_once(self, data: bytes, what: str) -> dict[str, Any] | None:
        """What many TaskRuns name alike, compressed already: by its digest where the bucket can be used from here.

        Else inline, where a TaskRun has room for it; None where not. What is smaller than a digest is worth is inline.
        """
        if len(data) > SMALL and self._usable:
            try:
                return self._stored(digest_of(data), data, len(data), what)
            except NoBucket as why:
                self._usable = False  # asked once: each try may take as long as a connection does
                self._why = str(why)
        return {"inline": b64encode(data).decode()} if len(data) <= INLINE_LIMIT else None

    def refuse(self, size: int, what: str) -> NoBucket:
        """The error about something that `carry_once` found no way for."""
        return NoBucket(self._why or f"{what} ({human(size)}) needs the cluster's bucket.")

    def carry_file(self, file: File, what: str) -> dict[str, Any]:
        """The content of a file, uploaded under its digest unless it is there. Raises `NoBucket` as `carry`."""
        return self._stored(file.digest, file.path, file.size, what)

    def _stored(self, digest: str, body: bytes | Path, size: int, what: str) -> dict[str, Any]:
        with self._lock:
            known = _fresh(self._uploaded.get(digest))
        if not known:
            written = self._upload(digest, body, size, what)
            with self._lock:
                self._uploaded[digest] = written
        return {"digest": digest, "size": size}

    def read(self, uid: str, attempt: int, kind: str, what: str, size: int) -> bytes:
        """The object `result` or `error` of an attempt. Raises `NoBucket`."""
        limit = size + 1 if size else None  # a byte more shows that the object is another one
        return self._read(uid, attempt, kind, what, size, lambda store, key: store.get(key, limit=limit))

    def download(self, uid: str, attempt: int, kind: str, what: str, size: int, path: Path) -> str:
        """The same into a file; the sha256 of what was written. Raises `NoBucket`."""

        def take(store: Store, key: str) -> str:
            found = store.head(key)
            if size and found is not None and found.size != size:
                raise NoBucket(f"{what} in the bucket has {found.size} bytes and not {size}; run it again.")
            return store.download(key, path)

        return self._read(uid, attempt, kind, what, size, take)

    def _read(self, uid: str, attempt: int, kind: str, what: str, size: int, take: Callable[[Store, str], T]) -> T:
        from podtask.core.storage import NotStored, StoreError

        because = f"{what} ({human(size)}) is in the cluster's bucket"
        instead = "return less, or pass the future on to the task that needs it"
        store, bucket = self.open(because, instead)
        keys = bucket.attempt(uid, attempt)
        key = keys.result if kind == "result" else keys.error
        try:
            return take(store, key)
        except NotStored:
            raise NoBucket(f"{because} no more: there is no {key}; run the task again.") from None
        except StoreError as error:
            raise NoBucket(f"{because}, which cannot be used from here: {error} Or {instead}.") from error

    def log_tail(self, uid: str, attempt: int) -> bytes:
        """The chunk that the operator wrote at the end of an attempt's log; empty without one, and without a bucket."""
        from podtask.core.storage import StoreError

        try:
            store, bucket = self.open("The end of a log", "")
            return store.get(bucket.attempt(uid, attempt).log_tail)
        except (NoBucket, StoreError):
            return b""

    def _upload(self, digest: str, body: bytes | Path, size: int, what: str) -> float:
        """When the object was written: the sweep goes by that."""
        from podtask.core.storage import AlreadyStored, StoreError

        because = f"{what} ({human(size)}) needs the cluster's bucket: a TaskRun carries at most {human(INLINE_LIMIT)}"
        instead = "pass less: where the data is, instead of the data itself"
        store, bucket = self.open(because, instead)
        key = bucket.blob(digest)
        try:
            found = store.head(key)
            if found is not None and _fresh(found.modified):
                return found.modified
            if isinstance(body, bytes):
                store.put(key, body, if_absent=found is None)
            else:
                store.put_file(key, body, if_absent=found is None)
        except AlreadyStored:  # since we looked
            pass
        except StoreError as error:
            raise NoBucket(f"{because}, and it cannot be used from here: {error} Or {instead}.") from error
        return time.time()

    def open(self, because: str, instead: str) -> tuple[Store, Bucket]:
        """The store, and what is where in it. Raises `NoBucket`: `because` of what, and what to do `instead`."""
        with self._lock:
            if self._opened is None:
                self._opened = self._find()
            if self._opened is None:
                raise NoBucket(
                    f"{because}, and nobody said here which one that is. Set PODTASK_STORE=s3://bucket/prefix (with "
                    f"PODTASK_S3_ENDPOINT_URL and AWS credentials), or let the operator's chart publish it: ConfigMap "
                    f"{CLIENT_CONFIG_MAP} in this namespace or in {OPERATOR_NAMESPACE}. Or {instead}."
                )
            return self._opened

    def _find(self) -> tuple[Store, Bucket] | None:
        from podtask.core.storage import key_prefix, open_store

        url, endpoint, region, conditional = self._store, self._endpoint_url, None, True
        if url is None:
            found = self.published()
            if found is None:
                return None
            url, endpoint, region = found[0], endpoint or found[1], found[2]
            conditional = (self._client_config() or {}).get("conditionalWrites") != "off"
        try:
            return open_store(url, endpoint, region, conditional_writes=conditional), Bucket(
                key_prefix(url), self._namespace
            )
        except ValueError as error:
            raise NoBucket(
                f"The bucket cannot be opened: {error} (PODTASK_STORE or ConfigMap {CLIENT_CONFIG_MAP})."
            ) from error

    def published(self) -> tuple[str, str | None, str | None] | None:
        """Address, endpoint and region, as the chart publishes them; None where they cannot be read."""
        data = self._client_config()
        if data is None:
            return None
        url = "/".join(part for part in (f"s3://{data['bucket']}", data.get("prefix", "")) if part)
        return url, data.get("endpoint") or None, data.get("region") or None

    def _client_config(self) -> Mapping[str, str] | None:
        return client_config(self._namespace, self._published, "bucket")


def _fresh(at: float | None) -> bool:
    return at is not None and time.time() - at < FRESH_SECONDS


def human(size: int) -> str:
    """`3.4 MiB`."""
    number, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{number:.1f}".removesuffix(".0") + f" {unit}"
