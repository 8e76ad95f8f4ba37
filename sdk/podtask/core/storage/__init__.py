"""Where bytes live: one narrow protocol, three stores (S3, a directory, memory), one shared test suite.

`base` is the protocol and its errors, `address` opens what `s3://…` and `file:///…` name; `s3` is the only
file of the project that imports boto3, and nobody imports `s3` before a bucket is asked for.
"""

from podtask.core.storage.base import (
    AlreadyStored,
    NotStored,
    ObjectInfo,
    S3Settings,
    Signer,
    Store,
    StoreError,
    StoreRefused,
    StoreUnavailable,
)
from podtask.core.storage.url import key_prefix, open_signer, open_store, parse_store_url

__all__ = [
    "AlreadyStored",
    "NotStored",
    "ObjectInfo",
    "S3Settings",
    "Signer",
    "Store",
    "StoreError",
    "StoreRefused",
    "StoreUnavailable",
    "key_prefix",
    "open_signer",
    "open_store",
    "parse_store_url",
]
