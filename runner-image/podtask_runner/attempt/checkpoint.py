"""What `get_run_context().checkpoint` is: the progress of a task run, from one attempt to the next.

    save ──> a file ──> one of the attempt's own objects, which take turns: the one before stays whole meanwhile
    load ──> the newest object of this attempt, else of the attempts before it, that is what its header says

An object is a header of `HEADER` bytes (number, size, digest, serializer) and the payload. The bucket replaces an
object whole or not at all; the digest shows where something else was done to it. An attempt writes into objects of its
own only, so one that was given up and yet runs on changes nothing of a later one. Used inside the child
(`podtask_runner.attempt.context`) and by the backend `local`. Nobody else opens a checkpoint.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from podtask_runner.errors import CheckpointError
from podtask_runner.names import FILE_LIMIT
from podtask_runner.protocol import Checkpoints, Grants, Put, SavedCheckpoint
from podtask_runner.storage.spool import Buffer, Digesting, NoRoom, close, temporary

if TYPE_CHECKING:
    from podtask_runner.storage.client import Store

HEADER: Final = 4096
"""Bytes before the payload; more than the longest word for a serializer takes."""
_MAGIC: Final = "podtask-checkpoint"
_WHAT: Final = "the checkpoint"
_DAMAGED: Final = "A checkpoint is damaged and passed over; an older one is taken, if there is one."
_CURE_SIZE: Final = "Save less, or store the data elsewhere and save where it is."

PickUrl = Callable[[Grants], str]


class Checkpoint:
    """Saves the progress of a task run, and loads it in the next attempt. Raises `CheckpointError`.

    For tasks with `checkpoints=True`, in the task's own process; threads may share it.
    """

    def __init__(
        self, attempt: int = 0, store: Callable[[], Store] | None = None, room: Callable[[], Path] = temporary
    ) -> None:
        self._attempt = attempt
        self._open_store = store
        self._room = room
        self._store: Store | None = None
        self._number = 0
        self._process = os.getpid()
        self._lock = threading.RLock()  # a handler of SIGTERM may save while its own thread does

    def save(self, value: object) -> None:
        """Keep the value for the next attempt, in the place of what was saved before; it is stored when this returns.

        The value is pickled, and an array is written as an array. At most 5 GiB. A store that does not answer is
        waited for. Raises `CheckpointError` for a value that cannot be pickled or is too large.
        """
        with self._ready() as store, self._file() as path:
            number = self._number + 1
            size = _written(value, path, number)
            if size > FILE_LIMIT:
                raise CheckpointError(f"The checkpoint has {size} bytes; 5 GiB are the most. {_CURE_SIZE}")
            self._number = number
            store.replace(lambda grants: self._slot(grants, number), path, _WHAT)

    def load(self, default: Any = None) -> Any:
        """A fresh copy of the newest value that this attempt or an earlier one of the same run saved, else `default`.

        Reads the store. What is damaged is passed over for the one before it, with a warning. Raises the exceptions of
        unpickling.
        """
        with self._ready() as store:
            for attempt, places in self._places(store.grants):
                for _, place in sorted(self._numbered(store, attempt, places), key=_number, reverse=True):
                    with self._file() as path:
                        header = _fetched(store, place, path)
                        if header is not None:
                            from podtask_runner.serialization import pickling

                            return pickling.deserialize(path, header.serializer)
        return default

    @contextmanager
    def _ready(self) -> Iterator[Store]:
        if self._open_store is None:
            raise CheckpointError(
                "This task keeps no checkpoints. Declare them with @task(checkpoints=True), or with "
                "spec.checkpoints: true in a TaskRun."
            )
        if os.getpid() != self._process:
            raise CheckpointError(
                "Checkpoints belong to the task's own process, and this is another one. Return the progress to the "
                "task, and save it there."
            )
        with self._lock:
            if self._store is None:
                self._store = self._open_store()
            yield self._store

    @contextmanager
    def _file(self) -> Iterator[Path]:
        path = self._room()
        try:
            yield path
        except NoRoom as error:
            cure = "Give the pod more ephemeral storage, or save less."
            raise CheckpointError(f"There is no room in TMPDIR for the checkpoint: {error}. {cure}") from error
        finally:
            path.unlink(missing_ok=True)

    def _slot(self, grants: Grants, number: int) -> Put:
        slots = _granted(grants).slots
        return slots[number % len(slots)].put

    def _places(self, grants: Grants) -> Iterator[tuple[int, list[PickUrl]]]:
        """Where to look, attempt by attempt, the newest first. Of this one only what it can have saved."""
        granted = _granted(grants)
        own = [_own(index) for index in range(len(granted.slots))] if self._number else []
        yield self._attempt, own
        for attempt in sorted({saved.attempt for saved in granted.earlier}, reverse=True):
            yield attempt, [_earlier(saved) for saved in granted.earlier if saved.attempt == attempt]

    def _numbered(self, store: Store, attempt: int, places: list[PickUrl]) -> Iterator[tuple[int, PickUrl]]:
        if len(places) == 1 and attempt != self._attempt:
            yield 0, places[0]  # nothing to choose among
            return
        for place in places:
            header = _peeked(store, place)
            if header is not None:
                yield header.number, place


UNDECLARED: Final = Checkpoint()
"""Of a task that did not ask for checkpoints, and outside of an attempt."""


@dataclass(frozen=True)
class _Header:
    number: int
    size: int
    digest: str
    serializer: str

    def dump(self) -> bytes:
        line = json.dumps({"format": _MAGIC, "v": 1, **asdict(self)}).encode()
        return line.ljust(HEADER - 1) + b"\n"

    @classmethod
    def load(cls, data: bytes) -> _Header | None:
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
        self.header: _Header | None = None

    def consume(self, piece: Buffer) -> None:
        view = memoryview(piece)
        missing = HEADER - len(self._begun)
        if missing > 0:
            self._begun += view[:missing]
            if len(self._begun) < HEADER:
                return
            self.header, view = _Header.load(bytes(self._begun)), view[missing:]
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


def _peeked(store: Store, place: PickUrl) -> _Header | None:
    """What an object says of itself; None where there is none, or none of ours."""
    readers: list[_Reader] = []

    def begin() -> Callable[[bytes], object]:
        readers.append(_Reader(None))
        return readers[-1].consume

    try:
        there = store.pass_on(place, begin, _WHAT)
    except _Enough:
        there = True
    if there and readers[-1].header is None:
        _warn(_DAMAGED)
    return readers[-1].header if there else None


def _fetched(store: Store, place: PickUrl, path: Path) -> _Header | None:
    """The payload in the file, proved; None where it is gone or damaged."""
    readers: list[_Reader] = []
    stream = _opened(path)

    def begin() -> Callable[[bytes], object]:
        stream.seek(0)
        stream.truncate()
        readers.append(_Reader(stream))
        return readers[-1].consume

    try:
        there = store.pass_on(place, begin, _WHAT)
    except _Enough:
        there = True
    finally:
        close(stream)
    if not there:
        return None
    if not readers[-1].whole:
        _warn(_DAMAGED)
        return None
    return readers[-1].header


def _written(value: object, path: Path, number: int) -> int:
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
        stream.write(_Header(number, passed.size, passed.digest, serializer).dump())
    finally:
        close(stream)
    return HEADER + passed.size


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise NoRoom(*error.args) from error


def _granted(grants: Grants) -> Checkpoints:
    if grants.checkpoints is None or not grants.checkpoints.slots:
        raise CheckpointError("The grants of this attempt allow no checkpoints any more. Look at the operator's log.")
    return grants.checkpoints


def _own(index: int) -> PickUrl:
    return lambda grants: _granted(grants).slots[index].get


def _earlier(saved: SavedCheckpoint) -> PickUrl:
    """Of renewed grants, which may list others."""

    def pick(grants: Grants) -> str:
        now = (one for one in _granted(grants).earlier if (one.attempt, one.slot) == (saved.attempt, saved.slot))
        return next(now, saved).get

    return pick


def _number(found: tuple[int, PickUrl]) -> int:
    return found[0]


def _warn(text: str) -> None:
    import logging

    logging.getLogger("podtask.checkpoints").warning("%s", text)
