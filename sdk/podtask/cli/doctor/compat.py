"""`podtask doctor store`: the compatibility table of an S3 server, by doing once what podtask does.

Objects go below `<prefix>/podtask-doctor/<random>/` and are deleted afterwards. Signed URLs are used as pods use
them: plain HTTP, nothing else. Before: `podtask.core.storage` (client and signer).
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from podtask.cli.common.exits import CommandFailed, Exit
from podtask.cli.common.session import Session
from podtask.core.storage.base import AlreadyStored, S3Settings, StoreError
from podtask.core.storage.probe import probe_conditional_writes
from podtask.core.storage.url import parse_store_url

if TYPE_CHECKING:
    from podtask.core.storage.s3 import S3Signer, S3Store

YES, NO, PARTLY = "yes", "NO", "partly"
SECONDS = 300.0
MIB = 1024 * 1024
PAGE = 1000
"""Keys in one answer of a list, on most servers."""


@dataclass(frozen=True)
class CheckedCall:
    """One row."""

    feature: str
    works: str
    used_for: str
    note: str = ""
    vital: bool = True
    """Without it podtask does not work."""


class Lacking(Exception):
    """The server does not do it; the text says what it did instead."""


@dataclass
class Scene:
    """One server under test."""

    store: S3Store
    signer: S3Signer
    base: str
    large: int
    """Bytes."""
    http: Any = field(default=None)

    def asked(self, method: str, url: str, status: int, **more: Any) -> Any:
        """A request as a pod makes it. Raises `Lacking` for another status."""
        answer = self.http.request(method, url, redirect=False, **more)
        if answer.status != status:
            body = answer.data[:160].decode("utf-8", "replace").replace("\n", " ")
            raise Lacking(f"{method}: {answer.status} instead of {status}: {body}".rstrip(": "))
        return answer


def settings_of(session: Session, url: str | None, endpoint_url: str | None) -> S3Settings:
    """Which bucket: arguments, settings, what the cluster publishes. Raises `CommandFailed`."""
    settings = session.settings
    url, endpoint_url = url or settings.store, endpoint_url or settings.s3_endpoint_url
    try:
        if url is not None:
            return parse_store_url(url, endpoint_url)
        found = session.bucket(session.namespace).published()
        if found is not None:
            return parse_store_url(found[0], endpoint_url or found[1], region=found[2])
    except ValueError as error:
        raise CommandFailed(str(error), Exit.USAGE) from error
    raise CommandFailed("Which bucket? --store s3://bucket/prefix, or PODTASK_STORE.", Exit.USAGE)


def examined(settings: S3Settings, large_mib: int) -> list[CheckedCall]:
    """All rows. What breaks is a row; the objects are removed."""
    import urllib3

    from podtask.core.storage.s3 import S3Signer, S3Store

    base = "/".join(part for part in (settings.prefix, "podtask-doctor", secrets.token_hex(8)) if part)
    http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(5.0, read=60.0))
    scene = Scene(S3Store(settings), S3Signer(settings), base, large_mib * MIB, http)
    try:
        return [_row(scene, *row) for row in ROWS]
    finally:
        with suppress(StoreError):
            for info in list(scene.store.list(f"{base}/")):
                scene.store.delete(info.key)
        http.clear()


Try = Callable[[Scene], str]
RACY = "racy: of 16 writers several won"


def _row(scene: Scene, feature: str, used_for: str, vital: bool, attempt: Try) -> CheckedCall:  # noqa: FBT001 - a row
    try:
        told = attempt(scene)
    except Lacking as lacking:
        return CheckedCall(feature, NO, used_for, str(lacking), vital)
    except Exception as error:  # noqa: BLE001 - a server that breaks is what this is to show
        text = " ".join(str(error).split())
        return CheckedCall(feature, NO, used_for, f"{type(error).__name__}: {text[:160]}", vital)
    return CheckedCall(feature, PARTLY if told == RACY else YES, used_for, told, vital)


def _put_get(scene: Scene) -> str:
    key = f"{scene.base}/object"
    etag = scene.store.put(key, b"0123456789")
    _same(scene.store.get(key), b"0123456789")
    info = scene.store.head(key)
    if info is None or info.size != 10 or info.etag != etag:
        raise Lacking(f"HEAD says {info} after a PUT of 10 bytes with ETag {etag}")
    return ""


def _list(scene: Scene) -> str:
    keys = [f"{scene.base}/list/{number:02}" for number in range(12)]
    for key in keys:
        scene.store.put(key, b"x")
    listed = [info.key for info in scene.store.list(f"{scene.base}/list/")]
    if listed != keys:
        raise Lacking(f"of {len(keys)} objects {len(listed)} are listed, or in another order")
    return "in the order of keys"


def _range(scene: Scene) -> str:
    url = scene.signer.sign_get(f"{scene.base}/object", SECONDS)
    answer = scene.asked("GET", url, 206, headers={"Range": "bytes=2-5"})
    _same(answer.data, b"2345")
    return ""


def _signed_get(scene: Scene) -> str:
    _same(scene.asked("GET", scene.signer.sign_get(f"{scene.base}/object", SECONDS), 200).data, b"0123456789")
    return ""


def _signed_put(scene: Scene) -> str:
    put = scene.signer.sign_put(f"{scene.base}/signed", SECONDS)
    scene.asked("PUT", put.url, 200, body=b"first", headers=dict(put.headers))
    scene.asked("PUT", put.url, 412, body=b"second", headers=dict(put.headers))
    scene.asked("PUT", put.url, 403, body=b"third")
    _same(scene.store.get(f"{scene.base}/signed"), b"first")
    return "the second write is refused (412), one without the header too (403)"


def _signed_post(scene: Scene) -> str:
    post = scene.signer.sign_post(f"{scene.base}/log/", 100, SECONDS)
    for number in (1, 2):
        _posted(scene, post, f"{post.prefix}{number:06d}", b"chunk", (200, 204))
    _same(scene.store.get(f"{scene.base}/log/000002"), b"chunk")
    _posted(scene, post, f"{scene.base}/elsewhere", b"chunk", (400, 403))
    _posted(scene, post, f"{post.prefix}000003", b"x" * 200, (400, 403, 413))
    return "outside of the prefix, and beyond the size, it is refused"


def _dots(scene: Scene) -> str:
    """A key is a text on S3; a server that takes it for a path lets '..' leave the prefix of the policy."""
    post = scene.signer.sign_post(f"{scene.base}/log/", 100, SECONDS)
    _posted(scene, post, f"{post.prefix}../outside", b"chunk", (200, 204, 400, 403))
    if scene.store.head(f"{scene.base}/outside") is not None:
        raise Lacking("a key with '..' leaves the prefix: a task can write over what is not its own")
    return "a key with '..' is a name like others, or refused"


def _posted(scene: Scene, post: Any, key: str, data: bytes, expected: tuple[int, ...]) -> None:
    fields = {**post.fields, "key": key, "file": ("chunk", data, "application/octet-stream")}
    answer = scene.http.request("POST", post.url, fields=fields, redirect=False)
    if answer.status not in expected:
        raise Lacking(f"POST of {key.rpartition('/')[2]}: {answer.status} instead of {expected[0]}")


def _conditional(scene: Scene) -> str:
    try:
        scene.store.put(f"{scene.base}/object", b"other", if_absent=True)
    except AlreadyStored:
        pass
    else:
        raise Lacking("a second write replaces the first: If-None-Match is ignored")
    return ""


def _race(scene: Scene) -> str:
    answer = probe_conditional_writes(scene.store, f"{scene.base}/race")
    if answer == "none":
        raise Lacking("conditional writes are ignored")
    return "atomic: of 16 writers one won, 8 times" if answer == "atomic" else RACY


def _large(scene: Scene) -> str:
    block = secrets.token_bytes(MIB)
    data = block * (scene.large // MIB)
    began = time.monotonic()
    scene.store.put(f"{scene.base}/large", data)
    written = time.monotonic()
    if hashlib.sha256(scene.store.get(f"{scene.base}/large")).digest() != hashlib.sha256(data).digest():
        raise Lacking("other bytes came back")
    size, read = scene.large // MIB, time.monotonic()
    return f"{size} MiB as one PUT in {written - began:.1f} s, read in {read - written:.1f} s"


def _checksums(scene: Scene) -> str:
    told = scene.store.put_with_checksum(f"{scene.base}/checksum", b"0123456789")
    return "sha256 is kept and given back" if told else "accepted, not given back"


def _delete(scene: Scene) -> str:
    scene.store.delete(f"{scene.base}/object")
    scene.store.delete(f"{scene.base}/object")
    if scene.store.head(f"{scene.base}/object") is not None:
        raise Lacking("the object is still there")
    return "also of what is not there"


def _same(written: bytes, stored: bytes) -> None:
    if bytes(written) != stored:
        raise Lacking(f"other bytes came back: {bytes(written)[:40]!r}")


ROWS: tuple[tuple[str, str, bool, Try], ...] = (
    ("put, get, head", "everything", True, _put_get),
    ("list", "logs, the sweep", True, _list),
    ("range", "nothing yet", False, _range),
    ("presigned GET", "a pod's inputs", True, _signed_get),
    ("presigned PUT, once", "a pod's result", True, _signed_put),
    ("presigned POST", "a pod's log", False, _signed_post),
    ("… keeps its prefix", "a pod's log", False, _dots),
    ("conditional write", "write-once results", False, _conditional),
    ("… in a race", "write-once results", False, _race),
    ("large object", "large results", True, _large),
    ("checksum headers", "nothing; clients send them", False, _checksums),
    ("delete", "the sweep", True, _delete),
)
