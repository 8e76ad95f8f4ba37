"""The hashes that everybody asks for: of values, of live code, of source text.

The walk is `podtask_runner.hashing.encoder`, what it asks of objects `podtask_runner.hashing.types`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from podtask_runner.hashing import deep, sources, types
from podtask_runner.hashing.encoder import Encoder
from podtask_runner.hashing.tokens import PREFIX, Unhashable, text, token


def content_hash(value: object, *, name: str = "", limit: int | None = None) -> str:
    """`h1:` and the sha256 of the value's canonical form. `name` (such as `args['df']`) begins error paths.

    A class may define `__podtask_hash__(self)`, which returns a value that stands for the object; for classes of
    others there is `register_hasher`. A walk costs about a microsecond and 100 bytes per element (arrays count as one);
    with a `limit`, a value of more elements is `Unhashable` too. Raises `Unhashable`.
    """
    try:
        return walked(lambda: Encoder(types.encode, limit), value)
    except Unhashable as found:
        raise (found.within(name) if name else found) from None
    except RecursionError:
        raise Unhashable(name, TOO_DEEP) from None


TOO_DEEP: Final = (
    "it is nested too deeply to be walked (values in values, or functions that use each other in a circle); pass less "
    "of it, or break the circle"
)


def walked(encoder: Callable[[], Encoder], value: object) -> str:
    """The hash by an encoder. Raises `Unhashable`, `RecursionError`."""
    try:
        found = encoder().encode(value)
    except RecursionError:
        found = deep.encode(encoder(), value)
    return PREFIX + hashlib.sha256(found).hexdigest()


def code_identity(fn: Callable[..., Any]) -> str:
    """`h1:` and a digest of what `fn` does: its code, defaults, closure, globals, and its helpers transitively.

    Comments, layout, docstrings, and the decorators of `fn` itself do not count. Raises `Unhashable` with the path to
    a value that has no stable form (`etl → client: ...`).
    """
    return content_hash(fn, name=getattr(fn, "__qualname__", type(fn).__qualname__))


def source_identity(source: str, function: str) -> str:
    """`h1:` and a digest of the text of `task.source` and the name of its function. Raises `SyntaxError`."""
    tree = sources.normal(sources.file_tree(source))
    return PREFIX + hashlib.sha256(token(b"source", text(tree), text(function))).hexdigest()
