"""A bucket as a store, and signed URLs for those who hold no credentials. The only file that imports boto3.

Importing this costs 0.1 to 0.7 s, so `address` does it when a bucket is asked for. Keys arrive complete
(`podtask.core.storage.layout`); errors leave as sentences (`s3_errors`). What retries what:

    botocore, "standard" mode   no connection, time-outs, 5xx, SlowDown: `CallPatience.attempts` in all
    here                        a body that breaks off (botocore has returned by then), 409 on a conditional PUT
    nobody                      what a person has to cure
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar
from urllib.parse import quote

import boto3
from botocore.auth import S3SigV4PostAuth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from podtask.core.storage.base import (
    AlreadyStored,
    NotStored,
    ObjectInfo,
    S3Settings,
    checked_grant_prefix,
    checked_key,
    checked_prefix,
    is_key,
)
from podtask.core.storage.s3_errors import explain
from podtask_runner.protocol import LogPost, Put
from podtask_runner.storage.spool import PIECE, Digesting, file_digest

if TYPE_CHECKING:
    from botocore.credentials import Credentials, ReadOnlyCredentials
    from botocore.response import StreamingBody
    from types_boto3_s3 import S3Client

T = TypeVar("T")
SIGNATURE_LIMIT: Final = 7 * 24 * 3600
"""Seconds a signed URL may live (Amazon S3 API reference, X-Amz-Expires)."""
_IF_ABSENT: Final = {"If-None-Match": "*"}
_CONFLICTS: Final = ("ConditionalRequestConflict", "OperationAborted")


@dataclass(frozen=True)
class CallPatience:
    """How long one call may take: about `attempts * read_seconds` when a server accepts and then says nothing."""

    connect_seconds: float = 3.0
    read_seconds: float = 20.0
    attempts: int = 3
    conflicts: int = 8
    """Tries of a conditional PUT that meets another one in flight (409); the waits add up to at most 5 s."""


_PATIENCE: Final = CallPatience()
QUICK: Final = CallPatience(connect_seconds=2.0, read_seconds=4.0, attempts=1)
"""For a caller that comes back by itself, and whose write must not arrive long after it was allowed."""


class _Access:
    """Session and client of one bucket, made on first use; boto3 clients are thread-safe, making them is not."""

    def __init__(self, settings: S3Settings, session: boto3.Session | None, patience: CallPatience) -> None:
        self.settings = settings
        self.patience = patience
        self._session = session
        self._made: S3Client | None = None
        self._lock = threading.Lock()

    def session(self) -> boto3.Session:
        with self._lock:
            return self._open_session()

    def client(self) -> S3Client:
        if self._made is None:
            with self._lock:
                self._made = self._made or self._make(self._open_session())
        return self._made

    def _open_session(self) -> boto3.Session:
        if self._session is None:
            self._session = boto3.Session()
        return self._session

    def _make(self, session: boto3.Session) -> S3Client:
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},  # servers behind an IP address or a plain name have no bucket hosts
            connect_timeout=self.patience.connect_seconds,
            read_timeout=self.patience.read_seconds,
            retries={"mode": "standard", "total_max_attempts": self.patience.attempts},
            # Newer checksum headers are unknown to many servers, and every payload has its own digest.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=32,
            tcp_keepalive=True,
        )
        # Without a region AWS cannot be signed for; other servers take any, and this one by custom.
        region = self.settings.region or session.region_name or "us-east-1"
        try:
            return session.client("s3", region_name=region, endpoint_url=self.settings.endpoint_url, config=config)
        except ValueError as error:  # a malformed endpoint
            raise explain(self._place(), "connect", "ValueError", 0, str(error)) from error

    @contextmanager
    def asking(self, verb: str, key: str) -> Iterator[S3Client]:
        """The client; its exceptions leave as `StoreUnavailable` that names the object."""
        try:
            yield self.client()
        except ClientError as error:
            code, status, message = _facts(error)
            raise explain(self._place(), f"{verb} {key!r}", code, status, message) from error
        except BotoCoreError as error:
            raise explain(self._place(), f"{verb} {key!r}", type(error).__name__, 0, str(error)) from error

    def _place(self) -> str:
        endpoint = self._made.meta.endpoint_url if self._made else self.settings.endpoint_url or "AWS"
        return f"bucket {self.settings.bucket!r} at {endpoint}"


class S3Store:
    """`Store` in a bucket. Reaches the server on the first call, by `settings.endpoint_url`.

    `session` carries credentials explicitly; without it boto3's own chain finds (and refreshes) them.
    """

    def __init__(
        self,
        settings: S3Settings,
        *,
        session: boto3.Session | None = None,
        patience: CallPatience = _PATIENCE,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._bucket = settings.bucket
        self._access = _Access(settings, session, patience)
        self._sleep = sleep

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        def read(body: StreamingBody) -> bytes:
            with closing(body):  # what is beyond the limit stays unread; no Range: an empty object has none (416)
                return body.read(limit)

        return self._read(key, read)

    def download(self, key: str, path: Path) -> str:
        def write(body: StreamingBody) -> str:
            with path.open("wb") as stream:
                passed = Digesting(stream)
                while piece := body.read(PIECE):
                    passed.write(piece)
            return passed.digest

        return self._read(key, write)

    def _read(self, key: str, take: Callable[[StreamingBody], T]) -> T:
        """What `take` makes of the body; from the start again where it breaks off."""
        attempts = range(1, self._access.patience.attempts + 1)
        with self._access.asking("read", checked_key(key)) as s3:
            for attempt in attempts:
                try:
                    response = s3.get_object(Bucket=self._bucket, Key=key)
                except ClientError as error:
                    if _facts(error)[0] == "NoSuchKey":
                        raise NotStored(f"no object {key!r} in bucket {self._bucket!r}") from None
                    raise
                try:
                    return take(response["Body"])
                except BotoCoreError:  # broken off within the body
                    if attempt == attempts[-1]:
                        raise
        raise AssertionError("the last attempt returns or raises")

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
        checked_key(key)
        if if_absent:
            return self._put_if_absent(key, data, lambda: hashlib.sha256(data).hexdigest())
        with self._access.asking("write", key) as s3:
            return _etag(s3.put_object(Bucket=self._bucket, Key=key, Body=data))

    def put_file(self, key: str, path: Path, *, if_absent: bool = False) -> str:
        checked_key(key)
        with path.open("rb") as data:
            if if_absent:
                return self._put_if_absent(key, data, lambda: file_digest(path))
            with self._access.asking("write", key) as s3:
                return _etag(s3.put_object(Bucket=self._bucket, Key=key, Body=data))

    def _put_if_absent(self, key: str, data: bytes | BinaryIO, digest: Callable[[], str]) -> str:
        conflicts, retried = 0, False
        with self._access.asking("write", key) as s3:
            if not self._access.settings.conditional_writes:
                return self._look_and_put(key, data)
            while True:
                if not isinstance(data, bytes):
                    data.seek(0)  # an earlier try has read it; botocore rewinds only for its own
                try:
                    return _etag(s3.put_object(Bucket=self._bucket, Key=key, Body=data, IfNoneMatch="*"))
                except ClientError as error:
                    code, status, _ = _facts(error)
                    retried = retried or error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0
                    if status == 412 and retried and (etag := self._own_earlier_try(key, digest())):
                        return etag
                    if status == 412:
                        raise AlreadyStored(f"{key!r} is in bucket {self._bucket!r} already") from None
                    conflicts += 1
                    if code not in _CONFLICTS or conflicts >= self._access.patience.conflicts:
                        raise
                self._sleep(random.uniform(0.5, 1) * min(0.05 * 2**conflicts, 1.0))  # noqa: S311 - jitter

    def _look_and_put(self, key: str, data: bytes | BinaryIO) -> str:
        """The most that is possible without: who comes later is refused, who comes at the same time is not."""
        if self.head(key) is not None:
            raise AlreadyStored(f"{key!r} is in bucket {self._bucket!r} already")
        return _etag(self._access.client().put_object(Bucket=self._bucket, Key=key, Body=data))

    def _own_earlier_try(self, key: str, digest: str) -> str | None:
        """After botocore's own retry, 412 may mean that the first try had arrived: then the same bytes are there."""
        info = self.head(key)
        return info.etag if info is not None and self._read(key, _digest_of) == digest else None

    def head(self, key: str) -> ObjectInfo | None:
        with self._access.asking("look at", checked_key(key)) as s3:
            try:
                found = s3.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if _facts(error)[1] == 404:
                    return None
                raise
            return ObjectInfo(key, found["ContentLength"], _etag(found), found["LastModified"].timestamp())

    def delete(self, key: str) -> None:
        with self._access.asking("delete", key) as s3:
            if key and key.isprintable() and not is_key(key):
                _delete_literally(s3, self._bucket, key)
                return
            try:
                s3.delete_object(Bucket=self._bucket, Key=checked_key(key))
            except ClientError as error:
                if _facts(error)[0] != "NoSuchKey":  # most servers answer 204, some do not
                    raise

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._access.asking("list", checked_prefix(prefix)) as s3:
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                for item in page.get("Contents", ()):
                    yield ObjectInfo(item["Key"], item["Size"], _etag(item), item["LastModified"].timestamp())

    def put_with_checksum(self, key: str, data: bytes) -> bool:
        """A PUT with the newer checksum headers, for `podtask doctor store`; whether the server gives them back."""
        with self._access.asking("write", checked_key(key)) as s3:
            s3.put_object(Bucket=self._bucket, Key=key, Body=data, ChecksumAlgorithm="SHA256")
            return "ChecksumSHA256" in s3.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")


def _delete_literally(s3: S3Client, bucket: str, key: str) -> None:
    """Delete a name that only a list can have told (`log/../x`). It travels in the body of the request: on its way in a
    URL a client or a proxy could make another path of it."""
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}], "Quiet": True})
    for error in answer.get("Errors", ()):
        raise ClientError({"Error": {"Code": error.get("Code", ""), "Message": error.get("Message", "")}}, "Delete")


class S3Signer:
    """`Signer` for a bucket, for `settings.endpoint_url` as the holders of the URLs see it.

    botocore's query signer by itself: half the time of `generate_presigned_url`, and it signs `If-None-Match`.
    A URL dies with the credentials it was signed with, however many seconds it was asked for: see
    `credentials_expire_at`. Credentials that refresh themselves may reach their issuer while signing.
    """

    def __init__(
        self,
        settings: S3Settings,
        *,
        session: boto3.Session | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._access = _Access(settings, session, _PATIENCE)
        self._clock = clock
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None

    def sign_get(self, key: str, seconds: float) -> str:
        return self._sign("GET", key, seconds, {})

    def sign_put(self, key: str, seconds: float, *, once: bool = True) -> Put:
        headers = _IF_ABSENT if once and self._access.settings.conditional_writes else {}
        return Put(self._sign("PUT", key, seconds, headers), dict(headers))

    def sign_post(self, prefix: str, max_bytes: int, seconds: float) -> LogPost:
        expires = self._clock() + _checked_seconds(seconds)
        with self._access.asking("sign for", checked_grant_prefix(prefix)) as s3:
            url = f"{s3.meta.endpoint_url.rstrip('/')}/{self._access.settings.bucket}"
            request = AWSRequest("POST", url)
            request.context["s3-presign-post-fields"] = {}
            request.context["s3-presign-post-policy"] = {
                "expiration": datetime.fromtimestamp(expires, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "conditions": [
                    {"bucket": self._access.settings.bucket},
                    ["starts-with", "$key", prefix],
                    ["content-length-range", 0, max_bytes],
                ],
            }
            S3SigV4PostAuth(self._frozen(), "s3", s3.meta.region_name).add_auth(request)
        return LogPost(url, prefix, max_bytes, request.context["s3-presign-post-fields"])

    def credentials_expire_at(self) -> float | None:
        """Seconds since the epoch when what is signed now dies with its credentials; None: they do not expire."""
        with self._access.asking("sign for", ""):
            self._frozen()  # a refresh that is due comes first
        expiry = getattr(self._credentials, "_expiry_time", None)  # botocore has no public name for it
        return expiry.timestamp() if isinstance(expiry, datetime) else None

    def _sign(self, method: str, key: str, seconds: float, headers: Mapping[str, str]) -> str:
        expires = _checked_seconds(seconds)
        with self._access.asking("sign for", checked_key(key)) as s3:
            path = quote(f"{self._access.settings.bucket}/{key}", safe="/-_.~")
            request = AWSRequest(method, f"{s3.meta.endpoint_url.rstrip('/')}/{path}", headers=dict(headers))
            S3SigV4QueryAuth(self._frozen(), "s3", s3.meta.region_name, expires=expires).add_auth(request)
            return str(request.url)

    def _frozen(self) -> ReadOnlyCredentials:
        if self._credentials is None:
            with self._lock:
                self._credentials = self._credentials or self._access.session().get_credentials()
        if self._credentials is None:
            raise explain(f"bucket {self._access.settings.bucket!r}", "sign", "NoCredentialsError", 0, "none found")
        return self._credentials.get_frozen_credentials()


def _digest_of(body: StreamingBody) -> str:
    hasher = hashlib.sha256()
    while piece := body.read(PIECE):
        hasher.update(piece)
    return hasher.hexdigest()


def _checked_seconds(seconds: float) -> int:
    if not 1 <= seconds <= SIGNATURE_LIMIT:
        raise ValueError(f"a signed URL lives 1 to {SIGNATURE_LIMIT} seconds, not {seconds}")
    return int(seconds)


def _facts(error: ClientError) -> tuple[str, int, str]:
    """Code, HTTP status and message of an answer; for a HEAD the code is the bare status."""
    told: Mapping[str, Any] = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return str(told.get("Code", status)), status, str(told.get("Message", ""))


def _etag(answer: Mapping[str, Any]) -> str:
    return str(answer["ETag"]).strip('"')
