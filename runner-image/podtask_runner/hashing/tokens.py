"""Tokens, the bytes that stand for a value; `Unhashable`; and the hashers that users register.

Next on the road: `podtask_runner.hashing.encoder`. Public: `podtask.register_hasher`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")
PREFIX: Final = "h1:"
"""Version of the encoding. Change an encoding, change the prefix: old keys then miss instead of lying."""

ATOM: Final = 40
"""Payloads up to this many bytes stand in the token as they are, longer ones by digest."""


class Unhashable(TypeError):
    """The value has no stable form. `path` leads to the culprit (`[3].lock`), `why` says what is wrong with it."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return f"{self.path or 'the value'}: {self.why}"

    def within(self, step: str) -> Unhashable:
        """The same finding, seen from one level further out."""
        return Unhashable(step + self.path, self.why)


def register_hasher(kind: type[T], hasher: Callable[[T], object]) -> None:
    """Let `hasher(value)` stand for every value of `kind` and its subclasses in cache keys (the type counts too).

    For classes of others; one of your own defines `__podtask_hash__(self)`, unless a hasher is registered for it. Both
    answer any value that can be hashed; what they raise makes the run uncached, and its status says why. Register at
    import time, in every process that hashes such values, or their keys differ; registering again replaces.
    """
    REGISTERED[kind] = hasher


register_hasher.__module__ = "podtask"  # pickles name the public place

REGISTERED: Final[dict[type, Callable[[Any], object]]] = {}


def token(tag: bytes, *parts: bytes) -> bytes:
    """One token: the tag and the length-prefixed parts, by digest when they are long."""
    body = b"".join([b"%d:%b" % (len(part), part) for part in parts])
    if len(body) > ATOM:
        return b"%b#%b" % (tag, hashlib.sha256(body).digest())
    return b"%b=%b" % (tag, body)


def text(value: str) -> bytes:
    """A string's bytes; lone surrogates included, since a Python str may hold them."""
    return value.encode("utf-8", "surrogatepass")
