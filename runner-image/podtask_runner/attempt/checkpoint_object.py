"""One checkpoint as an object in the store: how it is written, and how it is proved before a byte is unpickled.

    HEADER bytes (number, size, digest and serializer of the payload, as JSON) | payload

The store replaces an object whole or not at all; the digest shows where something else was done to it. Used by:
`podtask_runner.attempt.checkpoint`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from podtask_runner.errors import CheckpointError
from podtask_runner.protocol import Grants
from podtask_runner.storage.spool import Buffer, Digesting, NoRoom, close

if TYPE_CHECKING:
    from podtask_runner.storage.client import Store

WHAT: Final = "the checkpoint"
HEADER: Final = 4096
"""Bytes before the payload; more than the longest word for a serializer takes."""
_MAGIC: Final = "podtask-checkpoint"
_DAMAGED: Final = "A checkpoint is damaged and passed over; an older one is taken, if there is one."

PickUrl = Callable[[Grants], str]


@dataclass(frozen=True)
class CheckpointHeader:
    number: int
    size: int
    digest: str
    serializer: str

    def dump(self) -> bytes:
        line = json.dumps({"format": _MAGIC, "v": 1, **asdict(self)}).encode()
        return line.ljust(HEADER - 1) + b"\n"

    @classmethod
    def load(cls, data: bytes) -> CheckpointHeader | None:
        """None for what is none."""
        try:
            found = json.loads(data)
            if found["format"] != _MAGIC:
                return None
            return cls(int(found["number"]), int(found["size"]), str(found["digest"]), str(found["serializer"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            return None


class _Enough(Exception):
    """The rest of the object is not wanted."""


class _Reader:
    """Takes the header of an object apart, and its payload into a writer; at most what the header announces."""

    def __init__(self, sink: BinaryIO | None) -> None:
        self._begun = bytearray()
        self._passed = None if sink is None else Digesting(sink)
        self.header: CheckpointHeader | None = None

    def consume(self, piece: Buffer) -> None:
        view = memoryview(piece)
        missing = HEADER - len(self._begun)
        if missing > 0:
            self._begun += view[:missing]
            if len(self._begun) < HEADER:
                return
            self.header, view = CheckpointHeader.load(bytes(self._begun)), view[missing:]
        if self.header is None or self._passed is None or self._passed.size + len(view) > self.header.size:
            raise _Enough
        self._passed.write(view)

    @property
    def whole(self) -> bool:
        """Whether all came that was announced, and as it was written."""
        header, passed = self.header, self._passed
        return (
            header is not None and passed is not None and (passed.size, passed.digest) == (header.size, header.digest)
        )


def _passed_on(store: Store, place: PickUrl, begin: Callable[[], Callable[[bytes], object]]) -> bool:
    """Whether there is an object; as much of it as its reader wants went to it."""
    try:
        return store.pass_on(place, begin, WHAT)
    except _Enough:
        return True


def peeked(store: Store, place: PickUrl) -> CheckpointHeader | None:
    """What an object says of itself; None where there is none, or none of ours."""
    readers: list[_Reader] = []

    def begin() -> Callable[[bytes], object]:
        readers.append(_Reader(None))
        return readers[-1].consume

    there = _passed_on(store, place, begin)
    if there and readers[-1].header is None:
        _warn()
    return readers[-1].header if there else None


def fetched(store: Store, place: PickUrl, path: Path) -> CheckpointHeader | None:
    """The payload in the file, proved; None where it is gone or damaged."""
    readers: list[_Reader] = []
    stream = _opened(path)

    def begin() -> Callable[[bytes], object]:
        stream.seek(0)
        stream.truncate()
        readers.append(_Reader(stream))
        return readers[-1].consume

    try:
        there = _passed_on(store, place, begin)
    finally:
        close(stream)
    if not there:
        return None
    if not readers[-1].whole:
        _warn()
        return None
    return readers[-1].header


def opened(data: bytes) -> tuple[int, Callable[[], object]] | None:
    """Number and content of a whole object that is at hand, proved; None for what is damaged, or none of ours."""
    from podtask_runner.serialization import pickling

    reader = _Reader(BytesIO())
    with suppress(_Enough):
        reader.consume(data)
    header = reader.header
    if header is None or not reader.whole:
        return None
    return header.number, lambda: pickling.deserialize(data[HEADER:], header.serializer)


def written(value: object, path: Path, number: int) -> int:
    """The value in a file, behind its header; the size of both."""
    from podtask_runner.serialization import pickling

    stream = _opened(path)
    try:
        stream.write(bytes(HEADER))
        passed = Digesting(stream)
        try:
            serializer = pickling.write_result(value, passed)
        except NoRoom:
            raise
        except Exception as error:
            raise CheckpointError(
                f"The checkpoint ({type(value).__qualname__}) cannot be pickled: {error}. Save plain data."
            ) from error
        stream.seek(0)
        stream.write(CheckpointHeader(number, passed.size, passed.digest, serializer).dump())
    finally:
        close(stream)
    return HEADER + passed.size


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise NoRoom(*error.args) from error


def _warn() -> None:
    import logging  # not before it is needed: the supervisor loads this module

    logging.getLogger("podtask.checkpoints").warning(_DAMAGED)
