"""Which variable it is that keeps code from travelling: by name, with the path from the task's function to it.

    go ── uses ──> work ── uses ──> trace ── uses ──> request_id, which cannot be pickled

Asked only after pickling has failed: every value that a function by value takes along is pickled alone, and of those
that fail the functions are looked into. Used by: `podtask.payloads.code`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from podtask_runner.hashing import usage
from podtask_runner.hashing.code import inside

_DEEPEST = 20


@dataclass(frozen=True)
class Culprit:
    """A value that cannot travel."""

    path: tuple[str, ...]
    """Names of functions, from the task's own, and at the end the variable."""
    module: str
    """Where the last function is, and so the variable."""
    value: Any
    why: str

    def __str__(self) -> str:
        kind = type(self.value)
        named = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
        place = "the script" if self.module == "__main__" else f"the module '{self.module}'"
        return f"{' → '.join(self.path)}: '{self.path[-1]}' of {place} is a {named} ({self.why})"


def find(fn: Any, name: str, pickled: Callable[[Any], object]) -> Culprit | None:
    """The first one, or None where none fails alone. `pickled` raises what pickling raises."""
    return _inside(fn, (name,), pickled, set())


def _inside(value: Any, path: tuple[str, ...], pickled: Callable[[Any], object], seen: set[int]) -> Culprit | None:
    if len(path) > _DEEPEST or id(value) in seen:
        return None
    seen.add(id(value))
    for fn in _functions(value):
        for name, part in _parts(fn):
            try:
                pickled(part)
            except Exception as error:  # noqa: BLE001 - classes of the user's may do anything while they are pickled
                deeper = _inside(part, (*path, name), pickled, seen)
                home = str(fn.__globals__.get("__name__", fn.__module__))
                return deeper or Culprit((*path, name), home, part, f"{type(error).__name__}: {error}")
    return None


def _functions(value: Any) -> Iterator[types.FunctionType]:
    if isinstance(value, types.FunctionType):
        yield value
    elif isinstance(value, type):
        for member in vars(value).copy().values():
            yield from (fn for fn in inside(member) if isinstance(fn, types.FunctionType))
    else:
        inner = getattr(value, "fn", None) or getattr(value, "__wrapped__", None) or getattr(value, "func", None)
        if inner is not None:
            yield from _functions(inner)


def _parts(fn: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function takes along when it travels by value."""
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not filled yet
            continue
    names = {each for code in usage.all_codes(fn.__code__) for each in code.co_names}
    yield from ((name, fn.__globals__[name]) for name in fn.__code__.co_names if name in fn.__globals__)
    yield from ((n, fn.__globals__[n]) for n in sorted(names - {*fn.__code__.co_names}) if n in fn.__globals__)
    defaults = (fn.__defaults__ or (), fn.__kwdefaults__ or {})
    if any(defaults):
        yield "(a default value)", defaults
