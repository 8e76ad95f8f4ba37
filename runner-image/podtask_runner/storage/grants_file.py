"""The file with the grants of an attempt: the grants, or where in the bucket they are, compressed or not.

Large ones (a thousand upstream results) fit into no Secret. Before: the operator (`podtask_operator.storage.grants`).
Next: `podtask_runner.process.supervisor`; read again whenever the store refuses what was allowed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from podtask_runner import protocol
from podtask_runner.protocol import Code, Grants, GrantsDocument, Put, Slot
from podtask_runner.storage.client import Store

GZIP: Final = b"\x1f\x8b"
"""How gzip begins; no JSON does."""
LARGEST: Final = 256 * 1024 * 1024
"""Bytes of grants, decompressed."""


def read(path: Path) -> Grants:
    """The grants. Raises `OSError` and `ValueError` for the file, `InputCorrupted` and `StoreUnavailable` besides."""
    return opened(path.read_bytes(), path)


def opened(content: bytes, path: Path) -> Grants:
    """The grants behind the content of that file, which is read again only where it may have been renewed."""
    data = unpacked(content)
    found = protocol.load_grants_document(data)
    if found is None:
        return protocol.load_grants(data)
    store = Store(_only_that(found), lambda: _only_that(_document(path)))
    try:
        return protocol.load_grants(unpacked(bytes(store.read(_blob, "the grants"))))
    finally:
        store.close()


def unpacked(data: bytes) -> bytes:
    """The JSON. Raises `ValueError` for what is cut off, and for more than anybody wrote."""
    if not data.startswith(GZIP):
        return data
    import zlib

    unpacking = zlib.decompressobj(wbits=31)
    try:
        text = unpacking.decompress(data, LARGEST)
    except zlib.error as error:
        raise ValueError(f"not gzip: {error}") from None
    if not unpacking.eof:
        raise ValueError(f"cut off, or more than {LARGEST} bytes")
    return text


def _document(path: Path) -> GrantsDocument:
    """As it is by now: renewed grants are another object."""
    found = protocol.load_grants_document(unpacked(path.read_bytes()))
    if found is None:
        raise ValueError("the grants have moved into their file")
    return found


def _only_that(document: GrantsDocument) -> Grants:
    """Grants that allow to read the grants, so that the store is as patient with them as with everything."""
    none = Slot(Put(""), "")
    patience = document.store_timeout_seconds
    return Grants("", "", "", 0, Code(), none, none, none, inputs=document.document, store_timeout_seconds=patience)


def _blob(grants: Grants) -> protocol.Blob:
    if grants.inputs is None:
        raise ValueError("the grants name no document")
    return grants.inputs
