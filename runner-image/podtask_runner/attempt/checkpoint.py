"""What `get_run_context().checkpoint` is: the progress of a task run, from one attempt to the next.

    save ──> a file ──> one of the attempt's own objects, which take turns: the one before stays whole meanwhile
    load ──> the newest object of this attempt, else of the attempts before it, that is what its header says

An attempt writes into objects of its own only, so one that was given up and yet runs on changes nothing of a later one.
Used inside the child (`podtask_runner.attempt.context`) and by the backend `local`. Nobody else opens a checkpoint. The
object itself: `podtask_runner.attempt.checkpoint_object`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from podtask_runner.errors import CheckpointError
from podtask_runner.names import FILE_LIMIT
from podtask_runner.protocol import Checkpoints, Grants, Put, SavedCheckpoint
from podtask_runner.storage.spool import NoRoom, temporary

if TYPE_CHECKING:
    from podtask_runner.attempt.checkpoint_object import PickUrl
    from podtask_runner.storage.client import Store

_ELSEWHERE: Final = (
    "Checkpoints belong to the task's own process, and this is another one. Return the progress to the task, and save "
    "it there."
)
_CURE_SIZE: Final = "Save less, or store the data elsewhere and save where it is."


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
        from podtask_runner.attempt.checkpoint_object import WHAT, written

        with self._ready() as store, self._file() as path:
            number = self._number + 1
            size = written(value, path, number)
            if size > FILE_LIMIT:
                raise CheckpointError(f"The checkpoint has {size} bytes; 5 GiB are the most. {_CURE_SIZE}")
            self._number = number
            store.replace(lambda grants: self._slot(grants, number), path, WHAT)

    def load(self, default: Any = None) -> Any:
        """A fresh copy of the newest value that this attempt or an earlier one of the same run saved, else `default`.

        Reads the store. What is damaged is passed over for the one before it, with a warning. Raises the exceptions of
        unpickling.
        """
        with self._ready() as store:
            from podtask_runner.attempt.checkpoint_object import fetched
            from podtask_runner.serialization import pickling

            for attempt, places in self._places(store.grants):
                for _, place in sorted(self._numbered(store, attempt, places), key=_number, reverse=True):
                    with self._file() as path:
                        header = fetched(store, place, path)
                        if header is not None:
                            return pickling.deserialize(path, header.serializer)
        return default

    def __deepcopy__(self, _: object) -> Checkpoint:
        return self

    def __reduce__(self) -> Any:
        raise CheckpointError(_ELSEWHERE)

    @contextmanager
    def _ready(self) -> Iterator[Store]:
        if self._open_store is None:
            raise CheckpointError(
                "This task keeps no checkpoints. Declare them with @task(checkpoints=True), or with "
                "spec.checkpoints: true in a TaskRun."
            )
        if os.getpid() != self._process:
            raise CheckpointError(_ELSEWHERE)
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
        from podtask_runner.attempt.checkpoint_object import peeked

        for place in places:
            header = peeked(store, place)
            if header is not None:
                yield header.number, place


UNDECLARED: Final = Checkpoint()
"""Of a task that did not ask for checkpoints, and outside of an attempt."""


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


def _number(numbered: tuple[int, PickUrl]) -> int:
    return numbered[0]
