"""What a script defined, inside of a pickle: opened only where the reader does not have it.

    content   ... (defined, definitions, chunk, identity, number) ...     in place of a class or function
    chunk     a pickle of its own: one definition, with all that it needs

A reader that has a class or function of this identity takes its own, and the chunk stays closed: nothing in it is made
or run. Otherwise the chunks up to there are opened, which share one memo, so that what was one object is one object.
What makes the definitions: `podtask_runner.script.classes` and `podtask_runner.script.functions`. Used
by: `podtask_runner.serialization.pickler`, and by `podtask_runner.pickled_names` where a pickle is opened.
"""

from __future__ import annotations

import enum
import io
import pickle
import threading
import types
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from podtask_runner import pickled_names
from podtask_runner.script import identity

OPENER: Final[ContextVar[Callable[[Any], Any]]] = ContextVar("podtask_opener", default=pickle.Unpickler)
"""Makes the unpickler for a stream of chunks: that of the payload around it, which resolves the same references."""
_making: Final = threading.RLock()
"""One thread at a time makes definitions: nobody else may take a class that is half made."""
_unfinished: Final[dict[int, object]] = {}


class Stage(enum.Enum):
    """When the content of a class is written: with the class, after it, or after the class that it is a part of."""

    WHOLE = 0
    HOLLOW = 1
    POSTPONED = 2


class Conflict(Exception):
    """A class was met inside of what has to be there before it can be made."""

    def __init__(self, kind: type) -> None:
        super().__init__(f"the class {kind.__qualname__} needs itself before it is made")
        self.kind = kind


class Inside:
    """What the pickler of the chunks knows beyond its memo."""

    def __init__(self) -> None:
        self.met: list[object] = []
        self.numbers: dict[int, int] = {}
        self.in_progress: list[type] = []
        self.trail: list[type] = []
        """Classes in the order in which their parts were written; the last one led to where we are, most likely."""
        self.stages: dict[int, tuple[type, Stage]] = {}
        self.bare: dict[int, object] = {}
        """Functions and cells whose content follows later, of which class or function it is."""
        self.late: dict[int, list[tuple[object, object]]] = {}
        """By class: which globals and cells of functions are to be it."""
        self.postponed: list[tuple[type, Any, Any]] = []
        """What classes hold, to be written when no class is under way."""
        self.depth = 0
        """How many functions are being written inside of each other."""
        self.unfilled: list[types.FunctionType] = []
        """Functions whose content is written when none is."""

    def stage(self, kind: type) -> Stage:
        """How late the content of a class is written."""
        return self.stages.get(id(kind), (kind, Stage.WHOLE))[1]

    def relax(self) -> bool:
        """Write the content of one class later than before; False where nothing can be."""
        for kind in reversed(self.trail):
            stage = self.stage(kind)
            if stage is not Stage.POSTPONED:
                self.stages[id(kind)] = kind, Stage(stage.value + 1)
                return True
        return False

    def meet(self, obj: object) -> None:
        """The object is defined in this chunk."""
        if id(obj) not in self.numbers:
            self.numbers[id(obj)] = len(self.met)
            self.met.append(obj)

    def forget(self, count: int) -> None:
        """Only the first `count` objects were met, and nothing is under way."""
        for obj in self.met[count:]:
            del self.numbers[id(obj)]
        del self.met[count:]
        self.in_progress.clear()
        self.trail.clear()
        self.postponed.clear()
        self.bare.clear()
        self.late.clear()
        self.unfilled.clear()
        self.depth = 0


class Unfilled:
    """Functions whose content follows, because they were come to too deep inside of others."""

    def __init__(self, functions: list[types.FunctionType]) -> None:
        self.functions = functions


class Chunks:
    """The definitions of one pickle while it is written."""

    def __init__(self, pickler_for: Callable[[Any], Any]) -> None:
        self._stream = io.BytesIO()
        self._pickler = pickler_for(self._stream)
        self._inside = self._pickler.inside = Inside()
        self._book = Book()

    def reduced(self, obj: object, who: identity.Identity) -> tuple[Any, ...]:
        """How the content refers to a definition."""
        chunk = b"" if id(obj) in self._inside.numbers else self._chunk(obj)
        return pickled_names.defined, (self._book, chunk, tuple(who), self._inside.numbers[id(obj)])

    def _chunk(self, obj: object) -> bytes:
        inside = self._inside
        count, memo = len(inside.met), self._pickler.memo.copy()
        while True:
            try:
                self._pickler.dump(obj)
                while inside.unfilled:
                    deeper, inside.unfilled = inside.unfilled, []
                    self._pickler.dump(Unfilled(deeper))
                inside.meet(obj)
                self._pickler.dump(inside.met[count:])
            except Conflict as found:
                again = inside.relax()
                self._back_to(count, memo)
                if not again:
                    raise pickle.PicklingError(str(found)) from None
                continue
            except BaseException:
                self._back_to(count, memo)
                raise
            chunk = self._stream.getvalue()
            self._stream.seek(0)
            self._stream.truncate()
            return chunk

    def _back_to(self, count: int, memo: Any) -> None:
        self._pickler.memo = memo
        self._inside.forget(count)
        self._stream.seek(0)
        self._stream.truncate()


class Book:
    """Stands for all chunks of one pickle in its content."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pickled_names.definitions, ()


class Opened:
    """The definitions of one pickle while it is read."""

    def __init__(self) -> None:
        self._stream = io.BytesIO()
        self._unpickler = OPENER.get()(self._stream)
        self._waiting: list[bytes] = []
        self._items: list[object] = []

    def get(self, chunk: bytes, who: identity.Identity, number: int) -> object:
        """The reader's own, or the one that the chunks make."""
        if chunk:
            self._waiting.append(chunk)
        with _making:
            own = identity.find(who)
            if own is not None and id(own) not in _unfinished:
                return own
            while number >= len(self._items):
                self._open(self._waiting.pop(0))
            return self._items[number]

    def _open(self, chunk: bytes) -> None:
        at = self._stream.tell()
        self._stream.seek(0, io.SEEK_END)
        self._stream.write(chunk)
        self._stream.seek(at)
        before = set(_unfinished)
        try:
            self._unpickler.load()
            while not isinstance(met := self._unpickler.load(), list):
                pass  # contents of functions
            self._items += met
        finally:
            for key in set(_unfinished) - before:  # only where something was raised
                del _unfinished[key]


def begin(obj: object) -> None:
    """The object was made just now, and its content follows."""
    _unfinished[id(obj)] = obj


def finishes(obj: object) -> bool:
    """Whether this is the moment to fill an object; not of one that the reader had before."""
    return _unfinished.pop(id(obj), None) is not None
