"""Bytes on their way: counted and hashed as they pass, in memory while they are few, in a file when they are many.

A large pickle must not lie in memory beside the object it is made of. Standard library only. Users: `pickling`
(writing), `transfer` (downloads), and the SDK for arguments and results.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

Buffer: TypeAlias = "bytes | bytearray | memoryview"
PIECE: Final = 1 << 20
"""Bytes moved at a time."""
SPOOL_ABOVE: Final = 8 << 20
"""Bytes above which a payload lives in a file. Below, a file costs more than the memory."""


class NoRoom(OSError):
    """The payload cannot be written: the disk is full, or there is none."""


class Digesting:
    """A binary writer in front of another: sha256, size and the first bytes of what went through."""

    def __init__(self, stream: BinaryIO, keep: int = 0) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self._keep = keep
        self.size = 0
        self.head = bytearray()
        """The first `keep` bytes."""

    def write(self, data: Buffer) -> int:
        """All of it, or `NoRoom`."""
        view = memoryview(data).cast("B") if not isinstance(data, (bytes, bytearray)) else data
        try:
            left = memoryview(view)
            while left:  # a stream without a buffer takes what fits
                left = left[self._stream.write(left) :]
        except OSError as error:
            raise NoRoom(*error.args) from error
        self._hash.update(view)
        if self.size < self._keep:
            self.head += view[: self._keep - self.size]
        self.size += len(view)
        return len(view)

    @property
    def digest(self) -> str:
        """sha256 so far, lower-case hex."""
        return self._hash.hexdigest()


class SpoolFile:
    """A payload in a file of its own, which goes when nobody holds this object any more."""

    def __init__(self, path: Path, digest: str, size: int) -> None:
        self.path, self.digest, self.size = path, digest, size
        self._gone = weakref.finalize(self, _unlink, path)

    def __fspath__(self) -> str:
        return str(self.path)

    def __len__(self) -> int:
        return self.size


Payload: TypeAlias = "bytes | SpoolFile"


class Spool:
    """A writer that begins in memory and goes on in a private temporary file."""

    def __init__(self, above: int = SPOOL_ABOVE) -> None:
        self._above = above
        self._memory = io.BytesIO()
        self._file: BinaryIO | None = None
        self._path = Path()
        self._sink = Digesting(self._memory)

    def write(self, data: Buffer) -> int:
        """All of it, or `NoRoom`."""
        if self._file is None and self._sink.size + memoryview(data).nbytes > self._above:
            self._move()
        return self._sink.write(data)

    def payload(self) -> Payload:
        """What was written. Nothing can be written afterwards."""
        if self._file is None:
            return self._memory.getvalue()
        close(self._file)
        return SpoolFile(self._path, self._sink.digest, self._sink.size)

    def drop(self) -> None:
        """It went wrong; leave nothing."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            _unlink(self._path)

    def _move(self) -> None:
        self._path = temporary()
        try:
            self._file = open(self._path, "xb", opener=_private)  # noqa: SIM115 - a Path has no opener
        except OSError as error:
            raise NoRoom(*error.args) from error
        self._sink = Digesting(self._file)
        self._sink.write(self._memory.getvalue())
        self._memory = io.BytesIO()


def close(stream: BinaryIO) -> None:
    """Its buffer goes to the disk here at the latest. Raises `NoRoom`."""
    try:
        stream.close()
    except OSError as error:
        raise NoRoom(*error.args) from error


def temporary() -> Path:
    """A new name in TMPDIR (not `tempfile`: it costs as much to import as the rest of the supervisor's start)."""
    return Path(os.environ.get("TMPDIR") or "/tmp") / f"podtask-{os.getpid()}-{os.urandom(8).hex()}.spool"  # noqa: S108


def pieces(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The content of a file, a mebibyte at a time."""
    with open(path, "rb") as stream:  # noqa: PTH123 - any path-like
        while piece := stream.read(PIECE):
            yield piece


def digest(data: Buffer) -> str:
    """sha256 of the whole object, lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: str | os.PathLike[str]) -> str:
    """sha256 of a file, read piece by piece."""
    hasher = hashlib.sha256()
    for piece in pieces(path):
        hasher.update(piece)
    return hasher.hexdigest()


def digest_of(data: Buffer | SpoolFile) -> str:
    """sha256 of a payload."""
    return data.digest if isinstance(data, SpoolFile) else hashlib.sha256(data).hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _unlink(path: Path) -> None:
    if sys is not None and path is not None:
        path.unlink(missing_ok=True)
