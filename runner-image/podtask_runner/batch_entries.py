"""What a batch says of its items, as one value: written by `attempt.batch`, read by the driver."""

from __future__ import annotations

import pickle
import zlib

Entry = tuple[bytes, "bytes | None"]
"""The outcome of an item as JSON, and its payload."""


def packed(entries: dict[int, Entry]) -> bytes:
    """Entries as the value of a batch: what they have in common is there once, and more of them fit into a TaskRun."""
    return zlib.compress(pickle.dumps(sorted(entries.items()), protocol=4))


def unpacked(value: bytes) -> dict[int, Entry]:
    """The entries in the value of a batch, which was checked against its digest as every value is."""
    return dict(pickle.loads(zlib.decompress(value)))  # noqa: S301
