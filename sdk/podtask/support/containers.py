"""Something replaced wherever it stands in lists, tuples, sets and dicts, which may hold themselves.

Exact containers only, and for the results of flows the fields of dataclasses and pydantic models; others stay as they
are, and so does all that holds nothing to be replaced. What was one container is one afterwards. Used by
`podtask.payloads.arguments` and `podtask.engine.flow_result`.
"""

from __future__ import annotations

import copy
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any

_ATOMS = frozenset({int, float, complex, bool, str, bytes, type(None)})
_FLAT = (list, tuple, set)
_PAIRS = (dict, OrderedDict)


def replaced(value: Any, wanted: Callable[[Any], bool], by: Callable[[Any], Any], *, objects: bool = False) -> Any:
    """The value, or a copy where something in it is wanted. Everything in it is asked for once, in its order.

    `objects`: also in the fields of dataclasses and pydantic models.
    """
    if objects:
        holding = _holding(value, wanted)
        return _Copy(by, wanted, holding).of(value) if id(value) in holding else value
    return _Copy(by, wanted).of(value) if _holds(value, wanted, set()) else value


def _holding(value: Any, wanted: Callable[[Any], bool]) -> set[int]:
    """What holds something that is wanted, however far inside, by its id; objects may know each other."""
    holders: dict[int, list[int]] = {id(value): []}
    todo = [value]
    waiting: list[int] = []
    for item in todo:
        if type(item) not in _FLAT and type(item) not in _PAIRS and wanted(item):
            waiting.append(id(item))
            continue
        for part in _parts(item):
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


def _parts(value: Any) -> Iterable[Any]:
    kind = type(value)
    if kind in _FLAT:
        return value  # type: ignore[no-any-return]
    if kind in _PAIRS:
        return (part for pair in value.items() for part in pair)
    return _fields(value).values()


def _fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass or a pydantic model, without asking its constructor or its properties."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value) if hasattr(value, field.name)}
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        names = getattr(type(value), "model_fields", ())
        return {name: value.__dict__[name] for name in names if name in value.__dict__}
    return {}


def _holds(value: Any, wanted: Callable[[Any], bool], seen: set[int]) -> bool:
    kind = type(value)
    if kind in _ATOMS:
        return False
    if kind not in _FLAT and kind not in _PAIRS:
        return wanted(value)
    if id(value) in seen:
        return False
    seen.add(id(value))
    if kind in _FLAT:
        if set(map(type, value)) <= _ATOMS:
            return False
        return sum(_holds(item, wanted, seen) for item in value) > 0  # all are asked
    return sum(_holds(part, wanted, seen) for pair in value.items() for part in pair) > 0


class _Copy:
    def __init__(
        self, by: Callable[[Any], Any], wanted: Callable[[Any], bool], holding: set[int] | None = None
    ) -> None:
        self._by = by
        self._wanted = wanted
        self._holding = holding
        self._made: dict[int, Any] = {}

    def of(self, value: Any) -> Any:
        kind: Any = type(value)
        if kind in _ATOMS or (self._holding is not None and id(value) not in self._holding):
            return value
        if kind not in _FLAT and kind not in _PAIRS:
            if self._wanted(value):
                return self._by(value)
            return value if self._holding is None else self._object(value)
        if id(value) in self._made:
            return self._made[id(value)]
        if kind in (tuple, set):
            self._made[id(value)] = value  # what stands in itself cannot be another one before it is made
            self._made[id(value)] = kind(map(self.of, value))
            return self._made[id(value)]
        made: Any = kind()
        self._made[id(value)] = made
        if kind is list:
            made.extend(map(self.of, value))
        else:
            for key, item in value.items():
                made[self.of(key)] = self.of(item)
        return made

    def _object(self, value: Any) -> Any:
        """A copy, also of a frozen one. Its constructor is not called: it has seen what is replaced."""
        if id(value) in self._made:
            return self._made[id(value)]
        plain = is_dataclass(value)
        made: Any = copy.copy(value) if plain else value.model_copy()
        self._made[id(value)] = made
        for name, old in _fields(value).items():
            new = self.of(old)
            if new is old:
                continue
            if plain:
                object.__setattr__(made, name, new)
            else:
                made.__dict__[name] = new
                made.model_fields_set.add(name)
        return made
