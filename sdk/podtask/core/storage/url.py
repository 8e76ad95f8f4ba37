"""From the one line a person writes (`PODTASK_STORE`, `store.url`) to an opened store.

    s3://bucket/prefix     an S3 bucket, credentials by boto3's own chain
    file:///folder         a folder of this machine

The prefix is for `podtask.core.storage.layout.Bucket`, which spells every key; a store itself only sees full keys. A
new scheme is one entry of `SCHEMES`.
Next on the road: `s3` or `directory`, imported when their scheme is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from typing_extensions import override

from podtask.core.storage.base import S3Settings, Signer, Store, checked_key

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # Amazon S3 user guide, bucket naming rules


def parse_store_url(
    url: str,
    endpoint_url: str | None = None,
    region: str | None = None,
) -> S3Settings:
    """`s3://bucket/prefix` as settings. Raises `ValueError` with a sentence for anything else."""
    parts = _parts(url)
    if parts.scheme != "s3":
        raise ValueError(f"not a bucket address: {url!r}; write s3://bucket/prefix")
    if not _BUCKET.fullmatch(parts.netloc) or parts.query or parts.fragment:
        raise ValueError(f"not a bucket address: {url!r}; a bucket name is 3 to 63 of a-z, 0-9, '.' and '-'")
    prefix = parts.path.removeprefix("/").removesuffix("/")
    if prefix:
        checked_key(prefix)
    return S3Settings(parts.netloc, prefix, _endpoint(endpoint_url), region)


class StoreAddress(Protocol):
    """A parsed address: what it opens. Nothing here reaches a server."""

    @property
    def prefix(self) -> str:
        """For `podtask.core.storage.layout.Bucket`."""
        ...

    def store(self, *, conditional_writes: bool = True, quick: bool = False) -> Store:
        """The store; see `open_store`."""
        ...

    def signer(self, *, conditional_writes: bool = True) -> Signer:
        """Its signer; see `open_signer`."""
        ...


@dataclass(frozen=True)
class BucketAddress:
    """`s3://bucket/prefix`."""

    settings: S3Settings

    @property
    def prefix(self) -> str:
        """Of all keys."""
        return self.settings.prefix

    def store(self, *, conditional_writes: bool = True, quick: bool = False) -> Store:
        """By boto3's own chain of credentials."""
        from podtask.core.storage.s3 import QUICK, CallPatience, S3Store

        settings = replace(self.settings, conditional_writes=conditional_writes)
        return S3Store(settings, patience=QUICK if quick else CallPatience())

    def signer(self, *, conditional_writes: bool = True) -> Signer:
        """Of presigned URLs."""
        from podtask.core.storage.s3 import S3Signer

        return S3Signer(replace(self.settings, conditional_writes=conditional_writes))


@dataclass(frozen=True)
class FolderAddress(StoreAddress):
    """`file:///folder`. Writes are always conditional, and a folder has no prefix."""

    root: Path

    @property
    @override
    def prefix(self) -> str:
        """None."""
        return ""

    @override
    def store(self, *, conditional_writes: bool = True, quick: bool = False) -> Store:
        """A folder of this machine."""
        from podtask.core.storage.directory import DirectoryStore

        return DirectoryStore(self.root)

    @override
    def signer(self, *, conditional_writes: bool = True) -> Signer:
        """Of `file://` URLs."""
        from podtask.core.storage.directory import DirectorySigner

        return DirectorySigner(self.root)


SCHEMES: Final[Mapping[str, tuple[str, Callable[[str, str | None, str | None], StoreAddress]]]] = {
    "s3": ("s3://bucket/prefix", lambda url, endpoint, region: BucketAddress(_settings(url, endpoint, region))),
    "file": ("file:///folder", lambda url, _endpoint, _region: FolderAddress(_folder(url))),
}
"""Scheme -> the form that people are shown, and its parser of address, endpoint and region. All schemes are here."""


def store_address(url: str, endpoint_url: str | None = None, region: str | None = None) -> StoreAddress:
    """The parsed address. Raises `ValueError` with a sentence for an address that is none."""
    scheme = SCHEMES.get(_parts(url).scheme)
    if scheme is None:
        forms = " or ".join(form for form, _ in SCHEMES.values())
        raise ValueError(f"not a store address: {url!r}; write {forms}")
    return scheme[1](url, endpoint_url, region)


def open_store(
    url: str,
    endpoint_url: str | None = None,
    region: str | None = None,
    *,
    conditional_writes: bool = True,
    quick: bool = False,
) -> Store:
    """The store at an address. Reaches no server yet. Raises `ValueError` for an address that is none.

    `conditional_writes`: False for a server that does not know them; see `S3Settings`. Folders always do.
    `quick`: one try of a few seconds per call, for callers that come back by themselves.
    """
    return store_address(url, endpoint_url, region).store(conditional_writes=conditional_writes, quick=quick)


def open_signer(
    url: str, endpoint_url: str | None = None, region: str | None = None, *, conditional_writes: bool = True
) -> Signer:
    """The signer for a store; `endpoint_url` as the holders of the URLs see it. Raises `ValueError` as `open_store`."""
    return store_address(url, endpoint_url, region).signer(conditional_writes=conditional_writes)


def key_prefix(url: str) -> str:
    """The prefix part of an address; a folder has none. Raises `ValueError`."""
    return store_address(url).prefix


def _settings(url: str, endpoint_url: str | None, region: str | None) -> S3Settings:
    return parse_store_url(url, endpoint_url, region=region)


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:  # "Invalid IPv6 URL"
        raise ValueError(f"not an address: {url!r} ({error}); write s3://bucket/prefix or file:///folder") from None


def _endpoint(url: str | None) -> str | None:
    """Empty counts as not given (an unset Helm value arrives as an empty string)."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
        sound = sound and parts.port != 0  # a port that is none raises
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"not an S3 endpoint: {url!r}; write http://host:port or https://host")
    return url.rstrip("/")


def _folder(url: str) -> Path:
    parts = _parts(url)
    path = Path(unquote(parts.path))
    if parts.netloc not in ("", "localhost") or not path.is_absolute() or parts.query or parts.fragment:
        raise ValueError(f"not a folder address: {url!r}; write file:///folder with three slashes")
    return path
