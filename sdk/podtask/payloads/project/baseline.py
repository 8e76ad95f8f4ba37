"""What a module was when it had been imported, where nobody noted it: as far as its text says.

    RATE = 0.1                  the literal
    class Config: debug = False the literal, as an attribute of the class
    def load(): ...             the function of that name and module
    settings = Settings(3)      a fresh object, where making one runs no code of the user's

What the text does not say counts as unchanged. Only for modules that were imported before podtask
(`podtask.payloads.project.recorder`).
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

from podtask.payloads.project.snapshot import KeptValue, Snapshot, attributes, is_own_object
from podtask.payloads.project.text import Text


def of(module: types.ModuleType, text: Text) -> Snapshot:
    """The snapshot that the text allows to make."""
    kept: dict[str, KeptValue] = {}
    for name, value in vars(module).copy().items():
        if name in text.literals:
            kept[name] = KeptValue.of(text.literals[name])
        elif name in text.functions:
            if not _is(value, module, name):
                kept[name] = KeptValue(None)
        elif isinstance(value, type) and value.__module__ == module.__name__ and is_own_object(value):
            kept[name] = _class(value, text.literals)
        elif name in text.built and (fresh := _fresh(module, text.built[name], value)) is not None:
            pristine = {attribute: KeptValue.of(item) for attribute, item in attributes(fresh)}
            kept[name] = KeptValue(value, None, pristine)
    return Snapshot(kept, complete=False)


def _is(value: Any, module: types.ModuleType, name: str) -> bool:
    return (getattr(value, "__module__", None), getattr(value, "__qualname__", None)) == (module.__name__, name)


def _class(kind: type, literals: Mapping[str, Any]) -> KeptValue:
    prefix = f"{kind.__qualname__}."
    stated = {
        name.removeprefix(prefix): KeptValue.of(value)
        for name, value in literals.items()
        if name.startswith(prefix) and "." not in name.removeprefix(prefix)
    }
    return KeptValue(kind, None, stated, complete=False)


def _fresh(module: types.ModuleType, call: tuple[str, tuple[Any, ...], dict[str, Any]], now: Any) -> Any:
    """The object as it was made, where `__init__` is that of `object` or of a dataclass."""
    name, args, options = call
    kind = vars(module).get(name)
    if type(now) is not kind or not isinstance(kind, type) or not is_own_object(now):
        return None
    init = kind.__init__
    generated = isinstance(init, types.FunctionType) and init.__code__.co_filename == "<string>"
    makers = {kind.__new__, getattr(kind, "__post_init__", object.__new__)}
    if makers != {object.__new__} or not (init is object.__init__ or generated) or type(kind) is not type:
        return None
    try:
        return kind(*args, **options)
    except Exception:  # noqa: BLE001 - a default factory of the user's
        return None
