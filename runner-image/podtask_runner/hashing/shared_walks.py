"""Hashes of arguments, with the classes among them walked once for many calls.

    Row(1), Row(2), … ── the class Row: is everything still what it was? ──yes──> the token of the first walk

A map over ten thousand objects would walk their class ten thousand times. As with the code of a task
(`podtask_runner.hashing.remembered`), what a walk met is noted, and any change means another walk. The hash is that of
a full walk, always. In code that refers to itself a token depends on where the walk entered; where two walks may have
entered the same cycle at different places, the whole value is walked in full. Used by: `podtask.payloads.hashing`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from podtask_runner.hashing import code, types
from podtask_runner.hashing.content_hash import TOO_DEEP, content_hash, walked
from podtask_runner.hashing.encoder import Encoder
from podtask_runner.hashing.remembered import Walk, Witness
from podtask_runner.hashing.tokens import Unhashable

_MOST: Final = 256
"""Classes that are remembered; the memory keeps them alive."""


@dataclass(frozen=True)
class _Known:
    """One class."""

    kind: type
    witness: Witness
    token: bytes
    met: frozenset[int]
    inner: frozenset[int]
    kept: object
    """Alive, so that the ids stay what they are."""


class _Classes:
    """Thread-safe: at worst two threads walk."""

    def __init__(self) -> None:
        self._entries: OrderedDict[int, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, kind: type) -> _Known:
        """The class as it is now. Raises `Unhashable`, `RecursionError`."""
        with self._lock:
            known = self._entries.get(id(kind))
        if known is None or known.kind is not kind or not known.witness.holds():
            known = _walk(kind)
        with self._lock:
            self._entries[id(kind)] = known
            self._entries.move_to_end(id(kind))
            if len(self._entries) > _MOST:
                self._entries.popitem(last=False)
        return known


def _walk(kind: type) -> _Known:
    witness = Witness()
    walk = Walk(witness)
    token = walk.encode(kind)
    witness.seal()
    met, inner = walk.seen()
    return _Known(kind, witness, token, met, inner, walk)


_CLASSES: Final = _Classes()


class _Clash(BaseException):
    """A cycle may have been entered twice. No Exception: hashers of users may raise those, and are told of."""


class _Sharing(Encoder):
    """One walk over an argument."""

    def __init__(self) -> None:
        super().__init__(self._one)
        self._elsewhere: set[int] = set()
        """What remembered walks met."""
        self._entered: set[int] = set()
        """Of that, the inside of cycles."""

    def encode(self, value: object) -> bytes:
        if self._entered and id(value) in self._entered:
            raise _Clash
        return super().encode(value)

    def _one(self, encoder: Encoder, value: object) -> bytes:
        if isinstance(value, type) and code.is_written(value) and not hasattr(type(value), "__podtask_hash__"):
            try:
                known = _CLASSES.get(value)
            except (Unhashable, RecursionError):  # told by a walk that knows the way to it
                return types.encode(encoder, value)
            if self._fits(known):
                self._elsewhere |= known.met
                self._entered |= known.inner
                return known.token
        return types.encode(encoder, value)

    def _fits(self, entry: _Known) -> bool:
        """Whether a walk from here would have entered all cycles where the remembered one did."""
        here = self._ancestors.keys() - {id(entry.kind)}
        return (
            entry.met.isdisjoint(here)
            and entry.met.isdisjoint(self._inner)
            and entry.met.isdisjoint(self._entered)
            and entry.inner.isdisjoint(self._done)
            and entry.inner.isdisjoint(self._elsewhere)
        )


def argument_hash(value: Any, *, name: str = "") -> str:
    """As `content_hash`. Raises `Unhashable`."""
    try:
        return walked(_Sharing, value)
    except _Clash:
        return content_hash(value, name=name)
    except Unhashable as found:
        raise (found.within(name) if name else found) from None
    except RecursionError:
        raise Unhashable(name, TOO_DEEP) from None
