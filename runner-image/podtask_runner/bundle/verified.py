"""Globals that a cache key was made of, and that every interpreter makes by itself: are they the same here?

    driver: conf.WORKERS = 8 ──fingerprint──> beside the overlay ──> pod: conf is imported, conf.WORKERS = 2

A module computes globals when it is imported: of the environment, of the machine, of the clock. What the program set
later travels (`bundle.overlay`); what the module made itself does not. Where it differs, the task sees the pod's value,
and the result is not published under a key that was made of the driver's. Only plain data is compared, with the
attributes of objects and classes of the user's; paths below the project's folder count relative to it. Written by
`podtask.payloads.project.counted`, read by `bundle.overlay`.
"""

from __future__ import annotations

import enum
import types
from pathlib import Path, PurePath
from typing import Any, Final

from podtask_runner.hashing import code
from podtask_runner.hashing.content_hash import content_hash

NEVER: Final = ""
"""The fingerprint of what was changed and cannot travel: nothing is like it."""
MISSING: Final = object()
_DEEPEST: Final = 6
_SCALARS: Final = (type(None), bool, int, float, complex, str, bytes, bytearray)
_MADE_BY_TEXT: Final = (types.FunctionType, types.ModuleType, types.BuiltinFunctionType, enum.Enum, enum.EnumMeta)


def fingerprint(module: types.ModuleType, value: Any) -> str | None:
    """Of a value that the module made; None of one that is not compared. Raises nothing."""
    if not _is_compared(value):
        return None
    try:
        return content_hash(_outline(value, _root(module), _DEEPEST))
    except TypeError:
        return None


def _is_compared(value: Any) -> bool:
    if isinstance(value, _MADE_BY_TEXT):
        return False
    if isinstance(value, type):
        return code.is_written(value)
    plain = isinstance(value, (*_SCALARS, list, tuple, dict, set, frozenset, PurePath))
    return plain or (code.is_written(type(value)) and not callable(value))


def _outline(value: Any, root: str, depth: int) -> Any:
    """Plain data that stands for the value; what is none is told by its type."""
    kind = type(value)
    if kind is str or isinstance(value, PurePath):
        text = str(value)
        within = bool(root) and (text == root or text.startswith(f"{root}/"))
        return (kind.__name__ if kind is str else "path", within, text[len(root) :] if within else text)
    if kind in _SCALARS:
        return value
    if not depth:
        return "…"
    if kind in (list, tuple, set, frozenset):
        items = [_outline(item, root, depth - 1) for item in value]
        return kind.__name__, items if kind in (list, tuple) else frozenset(map(content_hash, items))
    if kind is dict:
        return {content_hash(_outline(key, root, 1)): _outline(item, root, depth - 1) for key, item in value.items()}
    if isinstance(value, type) and code.is_written(value):
        members = ((name, item) for name, item in vars(value).copy().items() if not name.startswith("_"))
        return {name: _outline(item, root, depth - 1) for name, item in members if _is_compared(item)}
    if code.is_written(kind) and not isinstance(value, _MADE_BY_TEXT):
        return code.full_name(kind), {name: _outline(item, root, depth - 1) for name, item in _attributes(value)}
    return code.full_name(kind)


def _attributes(value: Any) -> list[tuple[str, Any]]:
    slots = [name for kind in type(value).__mro__ for name in _slots(kind)]
    held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return sorted({**held, **getattr(value, "__dict__", {})}.items())


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if not name.startswith("__"))


def _root(module: types.ModuleType) -> str:
    """The folder that the module was imported from, as an entry of `sys.path` names it."""
    file = getattr(module, "__file__", None)
    if not file:
        return ""
    up = module.__name__.count(".") + (1 if hasattr(module, "__path__") else 0)
    parents = Path(file).parents
    return str(parents[up]) if up < len(parents) else ""


def differing(module: types.ModuleType, expected: dict[str, str]) -> list[str]:
    """Of the globals with these fingerprints, those that are not the same here: `conf.WORKERS`."""
    values = ((name, vars(module).get(name, MISSING), was) for name, was in expected.items())
    return [
        f"{module.__name__}.{name}"
        for name, value, was in values
        if was == NEVER or value is MISSING or fingerprint(module, value) != was
    ]
