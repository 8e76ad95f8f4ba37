"""What the globals of a module are at one moment, kept so that later changes show; and the changes themselves.

Most globals are functions, classes, modules and constants: to keep the object is enough, because a change is another
object. Lists, dicts and sets change inside: of them a digest is kept, too. Objects and classes of the user's own change
by their attributes, which are kept one by one, so that `settings.rate = 0.5` is a change of `rate` alone.
"""

from __future__ import annotations

import enum
import hashlib
import marshal
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from podtask_runner.hashing import modules

Change = tuple[tuple[str, ...], Any]
"""A name and those of attributes below it; the value now."""
_DEEPEST: Final = 3
_MOST_ATTRIBUTES: Final = 1000
_MOST_NESTED: Final = 100
"""Containers within containers that are looked into."""
_MOST_ITEMS: Final = 5000
"""Of a container that holds more than plain data."""
_CONTAINERS: Final = frozenset({list, dict, set, bytearray})
_ATOMS: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
_MISSING: Final = object()


@dataclass(frozen=True)
class KeptValue:
    """One value."""

    value: object
    content: bytes | None = None
    """Of a container."""
    attributes: Mapping[str, KeptValue] | None = None
    """Of an object or a class of the user's own."""
    complete: bool = True
    """Whether an attribute that is not among these is a change, too."""

    @classmethod
    def of(cls, value: Any, depth: int = _DEEPEST) -> KeptValue:
        """The value now."""
        kind = type(value)
        if kind in _CONTAINERS:
            return cls(value, content(value))
        if depth and is_own_object(value):
            inner = [(name, cls.of(item, depth - 1)) for name, item in attributes(value)]
            return cls(value, None, dict(inner) if len(inner) <= _MOST_ATTRIBUTES else None)
        return cls(value)

    def changes(self, now: Any) -> Iterator[Change]:
        """What differs by now."""
        if now is not self.value and not _equal(self, now):
            yield (), now
        elif self.content is not None:
            if content(now) != self.content:
                yield (), now
        elif self.attributes is not None:
            for name, item in attributes(now):
                kept = self.attributes.get(name)
                if kept is not None:
                    yield from (((name, *path), value) for path, value in kept.changes(item))
                elif self.complete:
                    yield (name,), item


@dataclass(frozen=True)
class Snapshot:
    """The globals of a module."""

    kept: Mapping[str, KeptValue]
    complete: bool = True
    """Whether a global that is not among these is a change, too."""

    @classmethod
    def of(cls, module: types.ModuleType) -> Snapshot:
        """The module now."""
        return cls({name: KeptValue.of(value) for name, value in globals_of(module)})

    def changes(self, module: types.ModuleType) -> Iterator[Change]:
        """What the program has changed since."""
        for name, value in globals_of(module):
            kept = self.kept.get(name)
            if kept is not None:
                yield from (((name, *path), now) for path, now in kept.changes(value))
            elif self.complete:
                yield (name,), value


def globals_of(module: types.ModuleType) -> list[tuple[str, Any]]:
    """Those that a statement of somebody's made; a submodule becomes one by being imported."""
    return [
        (name, value)
        for name, value in vars(module).copy().items()
        if not (name.startswith("__") and name.endswith("__")) and not isinstance(value, types.ModuleType)
    ]


def attributes(value: Any) -> list[tuple[str, Any]]:
    """Of an object or a class, those that a statement of somebody's made."""
    found = list(vars(value).copy().items())
    if isinstance(value, type):
        machinery = (types.GetSetDescriptorType, types.MemberDescriptorType)
        return [(name, item) for name, item in found if not name.startswith("__") and not isinstance(item, machinery)]
    return found


def is_own_object(value: Any) -> bool:
    """Whether it is an object of a class of the user's, or such a class, whose attributes may be set one by one."""
    kind = value if isinstance(value, type) else type(value)
    if issubclass(kind, enum.Enum) or isinstance(value, (types.FunctionType, types.ModuleType)):
        return False
    return isinstance(getattr(value, "__dict__", None), Mapping) and _is_own(str(kind.__module__))


def _is_own(name: str) -> bool:
    return name != "builtins" and modules.is_own(name, modules.file_of(name) or "")


def content(value: Any) -> bytes:
    """Equal as long as nothing in a container has changed."""
    try:
        data = marshal.dumps(value, 2)  # the last version that does not depend on who else holds the parts
    except ValueError:  # more than plain data
        data = repr(_outline(value, [_MOST_ITEMS])).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).digest()


def _outline(value: Any, left: list[int], within: tuple[int, ...] = ()) -> object:
    """Containers as what they hold, plain values as themselves, others by identity; a container inside of itself as
    the distance to it."""
    left[0] -= 1
    if left[0] < 0 or len(within) > _MOST_NESTED:
        return "…"
    kind = type(value)
    if kind not in _CONTAINERS and kind is not tuple and kind is not frozenset:
        return (kind.__name__, value if kind in _ATOMS else id(value))
    if id(value) in within:
        return ("cycle", len(within) - within.index(id(value)))
    inside = (*within, id(value))
    if kind is dict:
        return [(_outline(key, left, inside), _outline(item, left, inside)) for key, item in value.items()]
    return (kind.__name__, [_outline(item, left, inside) for item in value])


def _equal(kept: KeptValue, now: Any) -> bool:
    """Another object of the same value: set to what it was before, or known by its text only."""
    kind = type(now)
    if kind is not type(kept.value):
        return False
    if kind in _CONTAINERS:
        return kept.content is not None and content(now) == kept.content
    return kind in _ATOMS and (now == kept.value or now is kept.value)
