"""Something replaced or found wherever it stands in containers and in the fields of objects, which may hold themselves.

Looked into: the containers of the standard library (exact types, and namedtuples), and the fields of dataclasses,
pydantic models and attrs classes. Everything else stays as it is, and so does all that holds nothing to be replaced.
What was one container is one afterwards. Used by `podtask.payloads.arguments`, `podtask.engine.flow_engine` and
`podtask.engine.flow_result`.
"""

from __future__ import annotations

import copy
import inspect
import io
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from types import MemberDescriptorType
from typing import Any
from weakref import WeakKeyDictionary

from podtask_runner.loaded_modules import loaded

_ATOMS = frozenset({int, float, complex, bool, str, bytes, type(None)})
_FLAT = frozenset({list, tuple, set, frozenset, deque})
_PAIRS = frozenset({dict, OrderedDict, defaultdict})
_ABSENT = object()


def replaced(value: Any, wanted: Callable[[Any], bool], by: Callable[[Any], Any]) -> Any:
    """The value, or a copy where something in it is wanted. Everything in it is asked for, in its order."""
    if not sum(1 for item in leaves(value) if wanted(item)):  # all are asked
        return value
    holding = _holding(value, wanted)
    return _Copy(wanted, by, holding).of(value)


def listed(value: Any) -> Any:
    """The value with iterators as the lists of what they give, those inside of lists of iterators as well."""
    return replaced(value, is_iterator, lambda item: listed(list(item)))


def is_iterator(value: Any) -> bool:
    """Whether something can be gone through once; a file is no list of its lines."""
    return isinstance(value, Iterator) and not isinstance(value, io.IOBase)


def leaves(value: Any) -> Iterator[Any]:
    """Everything in the value that is not looked into, in its order; what stands there twice once."""
    seen: set[int] = set()
    todo = [iter((value,))]
    while todo:
        for item in todo[-1]:
            if type(item) in _ATOMS:
                continue
            if not is_looked_into(item):
                yield item
            elif id(item) not in seen and not _is_flat_of_atoms(item):
                seen.add(id(item))
                todo.append(iter(parts(item)))
                break
        else:
            todo.pop()


def is_looked_into(value: Any) -> bool:
    """Whether the value is a container here, or an object with fields."""
    kind = type(value)
    return kind in _FLAT or kind in _PAIRS or _names(kind) is not None


def has_fields(value: Any) -> bool:
    """Whether the value is an object with fields: a namedtuple, a dataclass, a pydantic model, one of attrs."""
    return _names(type(value)) is not None


def parts(value: Any) -> Iterable[Any]:
    """What stands in a container or in the fields of an object; keys, too."""
    kind = type(value)
    if kind in _PAIRS:
        return (part for pair in value.items() for part in pair)
    return value if kind in _FLAT or issubclass(kind, tuple) else _fields(value).values()


def _is_flat_of_atoms(value: Any) -> bool:
    """A quick look at what most large containers are."""
    return type(value) in _FLAT and set(map(type, value)) <= _ATOMS


def _names(kind: type) -> tuple[str, ...] | None:
    """The fields of objects of this class; None for one that has none."""
    try:
        return _known[kind]
    except KeyError:
        return _known.setdefault(kind, _names_of(kind))


_known: WeakKeyDictionary[type, tuple[str, ...] | None] = WeakKeyDictionary()


def _names_of(kind: type) -> tuple[str, ...] | None:
    if issubclass(kind, tuple):
        named = getattr(kind, "_fields", None)
        return named if kind is not tuple and isinstance(named, tuple) else None
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind))
    if (found := getattr(kind, "__attrs_attrs__", None)) is not None:
        return tuple(attribute.name for attribute in found)
    pydantic = loaded("pydantic")
    if pydantic is not None and issubclass(kind, pydantic.BaseModel):
        return tuple(getattr(kind, "model_fields", ()))
    return None


def _fields(value: Any) -> dict[str, Any]:
    """What the object keeps in its fields, without asking its constructor or its properties."""
    kind, place = type(value), getattr(value, "__dict__", {})
    names = _names(kind) or ()
    kept = {name: place[name] for name in names if name in place}
    if len(kept) < len(names):
        slots = {name: _in_slot(value, name) for name in names if name not in place}
        kept.update({name: item for name, item in slots.items() if item is not _ABSENT})
    return {**kept, **(getattr(value, "__pydantic_extra__", None) or {})}


def _in_slot(value: Any, name: str) -> Any:
    slot = inspect.getattr_static(type(value), name, None)
    if not isinstance(slot, MemberDescriptorType):
        return _ABSENT
    try:
        return slot.__get__(value)
    except AttributeError:  # not set
        return _ABSENT


def _holding(value: Any, wanted: Callable[[Any], bool]) -> set[int]:
    """What holds something that is wanted, however far inside, by its id; objects may know each other."""
    holders: dict[int, list[int]] = {id(value): []}
    todo, waiting = [value], []
    for item in todo:
        if not is_looked_into(item):
            if wanted(item):
                waiting.append(id(item))
            continue
        if _is_flat_of_atoms(item):
            continue
        for part in parts(item):
            if type(part) in _ATOMS:
                continue
            if id(part) not in holders:
                holders[id(part)] = []
                todo.append(part)
            holders[id(part)].append(id(item))
    holding: set[int] = set()
    while waiting:
        key = waiting.pop()
        if key not in holding:
            holding.add(key)
            waiting += holders[key]
    return holding


class _Copy:
    def __init__(self, wanted: Callable[[Any], bool], by: Callable[[Any], Any], holding: set[int]) -> None:
        self._wanted = wanted
        self._by = by
        self._holding = holding
        self._made: dict[int, Any] = {}

    def of(self, value: Any) -> Any:
        if type(value) in _ATOMS or id(value) not in self._holding:
            return value
        if id(value) not in self._made:
            self._make(value)
        return self._made[id(value)]

    def _make(self, value: Any) -> None:
        kind: Any = type(value)
        if not is_looked_into(value):
            self._made[id(value)] = self._by(value)
        elif kind in (set, frozenset) or issubclass(kind, tuple):
            self._made[id(value)] = value  # what stands in itself cannot be another one before it is made
            make: Callable[[Iterable[Any]], Any] = getattr(kind, "_make", kind)
            self._made[id(value)] = make(map(self.of, value))
        elif kind is list or kind is deque:
            made: Any = [] if kind is list else deque(maxlen=value.maxlen)
            self._made[id(value)] = made
            made.extend(map(self.of, value))
        elif kind in _PAIRS:
            made = kind(value.default_factory) if kind is defaultdict else kind()
            self._made[id(value)] = made
            for key, item in value.items():
                made[self.of(key)] = self.of(item)
        else:
            self._object(value)

    def _object(self, value: Any) -> None:
        """A copy, also of a frozen one. Its constructor is not called: it has seen what is replaced."""
        model = hasattr(value, "__pydantic_extra__")
        made: Any = value.model_copy() if model else copy.copy(value)
        self._made[id(value)] = made
        for name, old in _fields(value).items():
            new = self.of(old)
            if new is old:
                continue
            if not model:
                object.__setattr__(made, name, new)
            elif name in made.__dict__:
                made.__dict__[name] = new
                made.model_fields_set.add(name)
            else:
                made.__pydantic_extra__[name] = new
