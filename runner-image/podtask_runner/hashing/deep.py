"""Code that is too deep for one walk: a function that uses a function that uses a function, hundreds of times.

    f0 → f1 → … → f999 ──from the last one on──> each token is made of tokens that are there

Asked only where a walk has met Python's limit. The token of code that is in no circle does not depend on where a walk
began, so the hash is that of one walk on an interpreter without a limit. Code that uses itself through other code has
to be walked in one piece; of such there stays a limit. Used by: `podtask_runner.hashing.content_hash`, `remembered`.
"""

from __future__ import annotations

import types
from collections.abc import Iterator

from podtask_runner.hashing import code
from podtask_runner.hashing.encoder import Encoder


def encode(encoder: Encoder, value: object) -> bytes:
    """The token of a value. Raises `Unhashable`, and `RecursionError` where it stays too deep."""
    for part in _from_the_last(value):
        encoder.encode(part)
        if encoder.in_circles():
            raise RecursionError
    return encoder.encode(value)


def _from_the_last(value: object) -> Iterator[object]:
    """Functions and classes below a value, those that use no others first."""
    seen = {id(value)}
    stack = [(value, _used(value))]
    while stack:
        at, parts = stack[-1]
        following = next((part for part in parts if id(part) not in seen), None)
        if following is None:
            stack.pop()
            if _is_code(at):
                yield at
        else:
            seen.add(id(following))
            stack.append((following, _used(following)))


def _used(value: object) -> Iterator[object]:
    try:
        if isinstance(value, types.FunctionType):
            parts = code.function_parts(value)
        elif isinstance(value, type):
            parts = code.class_parts(value)
        else:
            return
    except Exception:  # noqa: BLE001 - properties of users may do anything; the walk itself tells of it
        return
    yield from (parts.live[name] for name in sorted(parts.live) if _is_code(parts.live[name]))


def _is_code(value: object) -> bool:
    if isinstance(value, type):
        return not hasattr(type(value), "__podtask_hash__")
    return isinstance(value, types.FunctionType)
