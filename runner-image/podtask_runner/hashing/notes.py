"""What was worked out of an object, kept for as long as the object lives.

Under `podtask_runner.hashing.code` and `podtask_runner.script.identity`.
"""

from __future__ import annotations

import weakref
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Notes(Generic[T]):
    """A value per object, by which object it is: a metaclass may make classes equal, or refuse to hash them."""

    def __init__(self) -> None:
        self._values: dict[int, tuple[weakref.ref[Any], T]] = {}

    def get(self, obj: object) -> T | None:
        """What was noted of it."""
        ref, value = self._values.get(id(obj), (None, None))
        return value if ref is not None and ref() is obj else None

    def set(self, obj: object, value: T) -> None:
        """Note it for as long as the object lives."""
        key = id(obj)
        self._values[key] = (weakref.ref(obj, lambda gone: self._forget(key, gone)), value)

    def _forget(self, key: int, gone: weakref.ref[Any]) -> None:
        if self._values.get(key, (None,))[0] is gone:
            del self._values[key]
