"""From the one line a person writes (`PODTASK_STORE`, `store.url`) to an opened store.

    s3://bucket/prefix     an S3 bucket, credentials by boto3's own chain
    file:///folder         a folder of this machine

The prefix is for `podtask.core.storage.layout.Bucket`, which spells every key; a store itself only sees full keys.
Next on the road: `s3` or `directory`, imported when their scheme is asked for.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from podtask.core.storage.base import S3Settings, Signer, Store, checked_key

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # Amazon S3 user guide, bucket naming rules
_EXPECTED: Final = "write s3://bucket/prefix or file:///folder"


def parse_store_url(
    url: str,
    endpoint_url: str | None = None,
    public_endpoint_url: str | None = None,
    region: str | None = None,
) -> S3Settings:
    """`s3://bucket/prefix` as settings. Raises `ValueError` with a sentence for anything else."""
    parts = urlsplit(url)
    if parts.scheme != "s3":
        raise ValueError(f"not a bucket address: {url!r}; write s3://bucket/prefix")
    if not _BUCKET.fullmatch(parts.netloc) or parts.query or parts.fragment:
        raise ValueError(f"not a bucket address: {url!r}; a bucket name is 3 to 63 of a-z, 0-9, '.' and '-'")
    prefix = parts.path.removeprefix("/").removesuffix("/")
    if prefix:
        checked_key(prefix)
    return S3Settings(parts.netloc, prefix, _endpoint(endpoint_url), _endpoint(public_endpoint_url), region)


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
    if urlsplit(url).scheme == "file":
        from podtask.core.storage.directory import DirectoryStore

        return DirectoryStore(_folder(url))
    settings = _settings(url, endpoint_url, region)
    from podtask.core.storage.s3 import QUICK, Patience, S3Store

    patience = QUICK if quick else Patience()
    return S3Store(replace(settings, conditional_writes=conditional_writes), patience=patience)


def open_signer(
    url: str, endpoint_url: str | None = None, region: str | None = None, *, conditional_writes: bool = True
) -> Signer:
    """The signer for a store; `endpoint_url` as the holders of the URLs see it. Raises `ValueError` as `open_store`."""
    if urlsplit(url).scheme == "file":
        from podtask.core.storage.directory import DirectorySigner

        return DirectorySigner(_folder(url))
    settings = _settings(url, endpoint_url, region)
    from podtask.core.storage.s3 import S3Signer

    return S3Signer(replace(settings, conditional_writes=conditional_writes))


def key_prefix(url: str) -> str:
    """The prefix part of an address, for `podtask.core.storage.layout.Bucket`; a folder has none. Raises
    `ValueError`."""
    return "" if urlsplit(url).scheme == "file" else _settings(url, None, None).prefix


def _settings(url: str, endpoint_url: str | None, region: str | None) -> S3Settings:
    if urlsplit(url).scheme != "s3":
        raise ValueError(f"not a store address: {url!r}; {_EXPECTED}")
    return parse_store_url(url, endpoint_url, region=region)


def _endpoint(url: str | None) -> str | None:
    """Empty counts as not given (an unset Helm value arrives as an empty string)."""
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"not an S3 endpoint: {url!r}; write http://host:port or https://host")
    return url.rstrip("/")


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.netloc not in ("", "localhost") or not path.is_absolute() or parts.query or parts.fragment:
        raise ValueError(f"not a folder address: {url!r}; write file:///folder with three slashes")
    return path
