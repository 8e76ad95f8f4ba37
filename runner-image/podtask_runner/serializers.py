"""The serializers that users registered: formats of their own for results.

Asked by `podtask_runner.serialization.registry`; public as `podtask.register_serializer`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from podtask_runner.names import CLOUDPICKLE, FILE, JSON, NPY, PARQUET

T = TypeVar("T")
_TAKEN: Final = frozenset({JSON, CLOUDPICKLE, FILE, NPY, PARQUET})
_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class Serializer:
    """A user's own format."""

    name: str
    kind: type
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


REGISTERED: Final[dict[str, Serializer]] = {}


def register_serializer(name: str, kind: type[T], *, dumps: Callable[[T], bytes], loads: Callable[[bytes], T]) -> None:
    """Store results of exactly the type `kind` by `dumps`, and read them by `loads`.

    `name` stands in the status; whoever reads such a result must have registered it too. Tasks that are called
    afterwards take all registered ones along. JSON still comes first where it is exact. Raises `ValueError` for a name
    that is none (lower-case letters, digits, `_.-`, at most 63) or is taken by podtask; registering again replaces.
    """
    if name in _TAKEN or not _NAME.fullmatch(name):
        taken = "is podtask's own" if name in _TAKEN else "must be lower-case letters, digits and any of _.-"
        raise ValueError(f"a serializer cannot be named {name!r}: that name {taken}")
    for other in [other for other in REGISTERED.values() if other.kind is kind]:
        del REGISTERED[other.name]
    REGISTERED[name] = Serializer(name, kind, dumps, loads)


register_serializer.__module__ = "podtask"  # pickles name the public place
