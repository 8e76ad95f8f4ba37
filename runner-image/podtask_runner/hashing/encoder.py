"""The canonical encoder: equal values give equal bytes, in every process, and different values different ones.

Shared by runner (content hashes of results), SDK (cache keys, replay digests) and operator (parameters): standard
library only. A value becomes a token: a type tag, then length-prefixed parts; anything longer than a digest is
replaced by its sha256, so a token is small, sets and dicts can be sorted by their tokens, and a shared part is
walked once. Decisions:

- Types are told apart: `1`, `1.0` and `True` differ, as do `(1, 2)` and `[1, 2]`, `{1: 0}` and `{"1": 0}`.
- All NaNs are one value; `-0.0` differs from `0.0`, because code can tell them apart.
- dict and set have no order, OrderedDict has. Identity does not count: a list twice equals two equal lists.
- A cycle is written as the distance to the ancestor it returns to.
- Functions and classes count by what they do (`podtask_runner.hashing.code`), objects by `__reduce_ex__`, never by raw
  pickle bytes. What has no stable form is `Unhashable`, with the path to it.

Below: `podtask_runner.hashing.tokens`. Handlers for types beyond the built-in ones: `podtask_runner.hashing.types`; for
arrays and tables of libraries: `podtask_runner.hashing.arrays`. Asked through `podtask_runner.hashing.content_hash`.
"""

from __future__ import annotations

import hashlib
import math
import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Any, Final, Literal

from podtask_runner.hashing.tokens import ATOM, Unhashable, text, token

_MANY: Final = 64
"""From this many items on, a list or tuple of one scalar type is encoded at once."""


Other = Callable[["Encoder", object], bytes]
"""The token of a value that is not of a built-in type."""


class Encoder:
    """One walk. Handlers get the encoder and the value, and answer its token."""

    def __init__(self, other: Other, limit: int | None = None) -> None:
        self._other = other
        self._left = float("inf") if limit is None else limit
        self._ancestors: dict[int, int] = {}
        self._done: dict[int, tuple[object, bytes]] = {}
        self._inner: set[int] = set()
        """Parts of cycles that were come to in the middle: their tokens depend on where the walk entered."""
        self._reaches = _NOWHERE
        """The outermost ancestor that the part being encoded returns to; its token has meaning only below that."""

    def encode(self, value: object) -> bytes:
        """The token of a value. Raises `Unhashable`."""
        scalar = SCALARS.get(type(value))
        if scalar is not None:
            return scalar(value)
        key = id(value)
        if key in self._done:
            return self._done[key][1]
        depth = len(self._ancestors)
        if key in self._ancestors:
            target = self._ancestors[key]
            self._reaches = min(self._reaches, target)
            return token(b"cycle", b"%d" % (depth - target))
        outer, self._reaches = self._reaches, _NOWHERE
        self._ancestors[key] = depth
        try:
            handler = _CONTAINERS.get(type(value))
            answer = handler(self, value) if handler is not None else self._other(self, value)
        finally:
            del self._ancestors[key]
            free = self._reaches >= depth
            self._reaches = outer if free else min(outer, self._reaches)
        if free:  # keeps the value alive, so that its id stays its own
            self._done[key] = (value, answer)
        else:
            self._inner.add(key)
        return answer

    def in_circles(self) -> bool:
        """Whether something was met that is reached from itself through others."""
        return bool(self._inner)

    def met(self, value: object, parts: Any) -> None:
        """A piece of code was taken apart (`podtask_runner.hashing.code.Parts`), and its parts are encoded next."""

    def at(self, step: str, value: object) -> bytes:
        """The token of a part; `step` (`[3]`, `.lock`) leads to it in error paths."""
        try:
            return self.encode(value)
        except Unhashable as found:
            raise found.within(step) from None

    def sequence(self, tag: bytes, items: Iterable[object], *before: bytes) -> bytes:
        """Items in their order."""
        self._spend(items)
        if isinstance(items, (list, tuple)) and len(items) >= _MANY and (packed := _packed(items)):
            return token(tag, *before, *packed)
        parts = list(before)
        try:
            for item in items:
                scalar = SCALARS.get(type(item))
                parts.append(self.encode(item) if scalar is None else scalar(item))
        except Unhashable as found:
            raise found.within(f"[{len(parts) - len(before)}]") from None
        return token(tag, *parts)

    def unordered(self, tag: bytes, items: Iterable[object], *before: bytes) -> bytes:
        """Items sorted by their tokens."""
        self._spend(items)
        return token(tag, *before, *sorted(self.at("{…}", item) for item in items))

    def mapping(self, tag: bytes, items: Iterable[tuple[object, object]], *before: bytes) -> bytes:
        """Entries sorted by the tokens of their keys."""
        self._spend(items)
        entries = []
        for key, value in items:
            step = f"[{key!r}]" if type(key) in SCALARS else "[…]"
            entries.append((self.at(step, key), self.at(step, value)))
        entries.sort()
        return token(tag, *before, *(part for entry in entries for part in entry))

    def named(self, tag: bytes, items: Iterable[tuple[str, object]], *before: bytes) -> bytes:
        """Attributes, sorted by name."""
        parts = [part for name, value in sorted(items, key=_name) for part in (text(name), self.at(f".{name}", value))]
        return token(tag, *before, *parts)

    def _spend(self, items: object) -> None:
        self._left -= len(items) if isinstance(items, Sized) else 1
        if self._left < 0:
            raise Unhashable("", "it has more elements than may be walked")


def _name(item: tuple[str, object]) -> str:
    return item[0]


_NOWHERE: Final = 1 << 60


def _packed(items: Sequence[Any]) -> tuple[bytes, ...] | None:
    """Many numbers or strings of one type, a few times faster than one by one; None for anything else.

    What begins with `packed` is no token of an item: those have a `=` or `#` behind their tags.
    """
    kinds = set(map(type, items))
    kind = kinds.pop()
    if kinds:
        return None
    if kind is str:
        return b"packed str", _machine_words("q", map(len, items)), text("".join(items))
    if kind is float:
        return None if any(map(math.isnan, items)) else (b"packed float", _machine_words("d", items))
    try:
        return (b"packed int", _machine_words("q", items)) if kind is int else None
    except OverflowError:
        return None


def _machine_words(code: Literal["q", "d"], values: Iterable[Any]) -> bytes:
    words: array[Any] = array(code, values)
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()


def _int(value: int) -> bytes:
    return b"int=" + value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _float(value: float) -> bytes:
    return b"float=" + (b"nan" if value != value else struct.pack(">d", value))


def _bytes(tag: bytes) -> Callable[[Any], bytes]:
    def encode(value: Any) -> bytes:
        if len(value) > ATOM:
            return b"%b#%d:%b" % (tag, len(value), hashlib.sha256(value).digest())
        return b"%b=%b" % (tag, value)

    return encode


_encode_text: Final = _bytes(b"str")


def _str(value: str) -> bytes:
    return _encode_text(text(value))


SCALARS: Final[dict[type, Callable[[Any], bytes]]] = {
    type(None): lambda _: b"none=",
    type(...): lambda _: b"ellipsis=",
    type(NotImplemented): lambda _: b"notimplemented=",
    bool: lambda value: b"bool=1" if value else b"bool=0",
    int: _int,
    float: _float,
    complex: lambda value: token(b"complex", _float(value.real), _float(value.imag)),
    str: _str,
    bytes: _bytes(b"bytes"),
    bytearray: _bytes(b"bytearray"),
}

_CONTAINERS: Final[dict[type, Callable[[Encoder, Any], bytes]]] = {
    list: lambda encoder, value: encoder.sequence(b"list", value),
    tuple: lambda encoder, value: encoder.sequence(b"tuple", value),
    dict: lambda encoder, value: encoder.mapping(b"dict", value.items()),
    set: lambda encoder, value: encoder.unordered(b"set", value),
    frozenset: lambda encoder, value: encoder.unordered(b"frozenset", value),
    range: lambda encoder, value: encoder.sequence(b"range", (value.start, value.stop, value.step)),
    slice: lambda encoder, value: encoder.sequence(b"slice", (value.start, value.stop, value.step)),
}
