"""Something replaced wherever it stands in lists, tuples, sets and dicts, which may hold themselves.

Exact containers only; others stay as they are, and so does all that holds nothing to be replaced. What was one
container is one afterwards. Used by `podtask.payloads.arguments` and `podtask.engine.flow_result`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

_ATOMS = frozenset({int, float, complex, bool, str, bytes, type(None)})
_FLAT = (list, tuple, set)
_PAIRS = (dict, OrderedDict)


def replaced(value: Any, wanted: Callable[[Any], bool], by: Callable[[Any], Any]) -> Any:
    """The value, or a copy where something in it is wanted. Everything in it is asked for once, in its order."""
    return _Copy(by, wanted).of(value) if _holds(value, wanted, set()) else value


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
    def __init__(self, by: Callable[[Any], Any], wanted: Callable[[Any], bool]) -> None:
        self._by = by
        self._wanted = wanted
        self._made: dict[int, Any] = {}

    def of(self, value: Any) -> Any:
        kind: Any = type(value)
        if kind in _ATOMS:
            return value
        if kind not in _FLAT and kind not in _PAIRS:
            return self._by(value) if self._wanted(value) else value
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
