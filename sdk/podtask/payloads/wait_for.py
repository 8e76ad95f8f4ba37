"""What stands in `wait_for`: futures and states, in lists of lists, mappings and the fields of objects.

Those inside of an `allow_failure` are given with it.

Used by `podtask.payloads.arguments`, which knows their runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from podtask.annotations import allow_failure
from podtask.futures import BaseFuture
from podtask.states import State
from podtask.support import containers

Awaited: TypeAlias = "BaseFuture[Any] | State[Any] | allow_failure[Any]"


def in_order(value: Any) -> Iterator[Awaited]:
    """Futures and states, in their order. Raises `TypeError` for a value that is none and holds none.

    Beside a future in a mapping or an object other values may stand: whoever passes a record means what is in it.
    """
    return _found(value, {}, strict=True)


def _found(value: Any, seen: dict[int, Any], *, strict: bool) -> Iterator[Awaited]:
    if value is None or id(value) in seen:
        return
    if isinstance(value, (BaseFuture, State)):
        yield value
        return
    if isinstance(value, allow_failure):  # looked into by itself: outside of it the same list means more
        for item in _found(value.value, {id(value): value}, strict=strict):
            yield item if isinstance(item, allow_failure) else allow_failure(item)
        return
    seen[id(value)] = value  # kept: what a generator gives may lie where the last one lay
    if isinstance(value, Mapping) or containers.has_fields(value):
        parts = [*value.keys(), *value.values()] if isinstance(value, Mapping) else list(containers.parts(value))
        inside = [item for part in parts for item in _found(part, seen, strict=False)]
        if strict and parts and not inside:
            raise _refused(value)
        yield from inside
    elif _is_iterable(value, strict=strict):
        for item in value:
            yield from _found(item, seen, strict=strict)
    elif strict:
        raise _refused(value)


def _is_iterable(value: Any, *, strict: bool) -> bool:
    """Inside of a record only what `podtask.support.containers` looks into: the rows of a table are not asked for."""
    if strict:
        return isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    return containers.is_looked_into(value) or containers.is_iterator(value)


def _refused(value: Any) -> TypeError:
    return TypeError(f"wait_for takes task futures, not {type(value).__name__}; pass values as arguments")
