"""Objects of modules that are there where a pickle is opened: named, never copied.

    function, class  ── module and qualified name lead to it ────────────> that name (pickle's own way)
    under decorators ── the name leads to a `Task`, and its `fn` to it ──> the name and the steps
    no name leads    ── a lambda, a closure, a function that was replaced ──> its code, bound to the module's globals
    global of a module that code of the script uses (a lock, a registry) ──> module and name

A name counts only when following it here gives this very object. Used by: `podtask_runner.serialization.by_value`.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any, Final

from podtask_runner import pickled_names

GLOBAL: Final = "podtask.global"
"""First of the three parts of a persistent id: then the module, then the name in it."""
_STEPS: Final = ("fn", "__wrapped__", "__func__", "func")
_MOST_STEPS: Final = 8
_MISSING: Final = object()
_SLOTTED: Final = (staticmethod, classmethod, types.MethodType, functools.partial)


def steps_to(obj: object, module: str, qualname: str) -> tuple[str, ...] | None:
    """How to go on from what `module` calls `qualname` to the object itself; None where that does not lead there."""
    found: object = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, _MISSING)
    if found is obj:
        return ()
    paths: list[tuple[object, tuple[str, ...]]] = [(found, ())]
    for at, path in paths:
        for name in _STEPS:
            inner = _attribute(at, name)
            if inner is obj:
                return (*path, name)
            if inner is not _MISSING and len(path) < _MOST_STEPS and not any(inner is known for known, _ in paths):
                paths.append((inner, (*path, name)))
    return None


def _attribute(owner: object, name: str) -> object:
    """One that the object itself has: asking a proxy of the user's for any name could run anything."""
    try:
        own = vars(owner)
    except TypeError:
        own = {}
    if name in own:
        return own[name]
    return getattr(owner, name, _MISSING) if isinstance(owner, _SLOTTED) else _MISSING


class Globals:
    """Pickles as the globals of a module, which are not copied."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __reduce__(self) -> tuple[Any, ...]:
        return pickled_names.namespace, (self._module,)


def home_of(fn: types.FunctionType) -> str | None:
    """The module whose globals a function works on, where these are a module's and no copy of them."""
    name = fn.__globals__.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) else None
    return name if module is not None and vars(module) is fn.__globals__ else None


def bound(reduced: tuple[Any, ...], module: str, globals_of: Callable[[str], Globals]) -> tuple[Any, ...]:
    """The reduction of a function, with the globals of a module in place of copies of those it uses."""
    make, (code, _copied, *rest), *others = reduced
    return (make, (code, globals_of(module), *rest), *others)
