"""gzip where it pays: more than 64 KiB, and a sample says that it shrinks. Level 1, streamed, nothing twice in memory.

Results carry it in their serializer (`json+gzip;size=70000`), pickled code and arguments in their header; both say how
large the content is, and unpacking stops there: an object that claims less than it holds is refused, not unpacked.
Digests are of the object as it is stored. Used by: `execute`, `pickling`, and the SDK for what it uploads.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import Any, Final

from podtask_runner.errors import InputCorrupted
from podtask_runner.names import FILE_LIMIT, INLINE_LIMIT
from podtask_runner.storage.spool import PIECE, SPOOL_ABOVE, Buffer, Payload, Spool, pieces

WORTH: Final = 0.6
"""A sample must shrink to this part of itself."""
_SAMPLE: Final = 32 * 1024
_LEVEL: Final = 1
_GZIP: Final = 31
"""`wbits` of zlib: 15 for the window, 16 for a gzip header and trailer."""


class Squeezing:
    """A writer in front of another that compresses what passes, or does not: decided when 64 KiB have come."""

    def __init__(self, sink: Any) -> None:
        self._sink = sink
        self._waiting = bytearray()
        self._packer: Any = None
        self._decided = False
        self.size = 0
        """Bytes that came."""

    @property
    def gzipped(self) -> bool:
        """Whether what went on is compressed."""
        return self._packer is not None

    def write(self, data: Buffer) -> int:
        """All of it. Raises what the other writer raises."""
        view = memoryview(data).cast("B")
        self.size += len(view)
        if not self._decided and self.size <= INLINE_LIMIT:
            self._waiting += view
            return len(view)
        if not self._decided:
            self._decide(view)
        self._pass_on(view)
        return len(view)

    def finish(self) -> None:
        """Nothing more comes."""
        if not self._decided:
            self._sink.write(bytes(self._waiting))
        elif self._packer is not None:
            self._sink.write(self._packer.flush())

    def _decide(self, view: memoryview) -> None:
        self._decided = True
        samples = [bytes(self._waiting[-_SAMPLE:]), *_samples(view)]
        if pays(samples):
            self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        waiting, self._waiting = self._waiting, bytearray()
        self._pass_on(memoryview(waiting))

    def _pass_on(self, view: memoryview) -> None:
        if self._packer is None:
            self._sink.write(view)
            return
        for at in range(0, len(view), PIECE):
            self._sink.write(self._packer.compress(view[at : at + PIECE]))


def _samples(view: memoryview) -> Iterator[bytes]:
    """The beginning, the middle and the end."""
    for at in sorted({0, max(0, len(view) // 2 - _SAMPLE // 2), max(0, len(view) - _SAMPLE)}):
        yield bytes(view[at : at + _SAMPLE])


def pays(samples: list[bytes]) -> bool:
    """Whether these parts of a payload shrink enough."""
    whole = sum(map(len, samples))
    return whole > 0 and sum(len(zlib.compress(sample, _LEVEL)) for sample in samples) <= WORTH * whole


def parts(data: Buffer | os.PathLike[str]) -> Iterator[Buffer]:
    """A payload in memory or in a file, piece by piece."""
    if isinstance(data, os.PathLike):
        yield from pieces(data)
        return
    view = memoryview(data)
    yield from (view[at : at + PIECE] for at in range(0, len(view), PIECE))


def unpacked(stream: Iterator[Buffer], size: int, above: int = SPOOL_ABOVE) -> Payload:
    """The content of a gzip stream that is said to hold `size` bytes. Raises `InputCorrupted` for any other."""
    if size > FILE_LIMIT:
        raise InputCorrupted(f"A compressed payload says that it holds {size} bytes; {FILE_LIMIT} are the most.")
    opener, spool, left = zlib.decompressobj(_GZIP), Spool(above), size
    try:
        for part in stream:
            todo: Buffer = part
            while True:
                limit = min(left, PIECE) + 1
                out = opener.decompress(todo, limit)
                left -= len(out)
                if left < 0:
                    raise InputCorrupted(f"A compressed payload holds more than the {size} bytes that it says.")
                spool.write(out)
                todo = opener.unconsumed_tail
                if not todo and len(out) < limit:
                    break
        if left or not opener.eof:
            raise InputCorrupted(f"A compressed payload ends {left} bytes before the {size} bytes that it says.")
    except zlib.error as error:
        spool.drop()
        raise InputCorrupted(f"A payload that says it is compressed cannot be unpacked: {error}.") from None
    except BaseException:
        spool.drop()
        raise
    return spool.payload()
