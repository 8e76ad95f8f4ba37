"""Which class, function or constant of the reader's own is meant by one that stands in a pickle.

    module, path   where it can be found; the path is empty where no name leads to it
    stamp          what its definition says: the text of its statement and of its bases, no values
    tracker        of a class: which class object of which process it is

A reader that has something of that name and stamp uses its own. The stamp is made once, where the text of the statement
is, and carried on by whoever has no text. A class inside of a function counts with its values as well, because one
statement makes many of them. Used by `podtask_runner.script.definitions`.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import threading
import types
import weakref
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

from podtask_runner.hashing import code, sources, usage
from podtask_runner.hashing.content_hash import content_hash
from podtask_runner.hashing.notes import Notes

CACHED: Final = type(functools.lru_cache(lambda: None))
_LOCAL: Final = "<locals>"
_STEPS: Final = ("fn", "__wrapped__", "__func__")
"""What decorators keep the function under."""
_MOST_STEPS: Final = 8
_MOST_HASHED: Final = 100_000


class Identity(NamedTuple):
    """As it stands in pickles, as a plain tuple."""

    module: str
    path: str
    stamp: str
    tracker: str = ""


NOBODY: Final = Identity("", "", "")
_classes: Final[Notes[Identity]] = Notes()
_functions: Final[Notes[str]] = Notes()
keywords: Final[Notes[dict[str, Any]]] = Notes()
"""Of classes that were made from a pickle: the keywords of their statements."""
_tracked: Final[weakref.WeakValueDictionary[str, type]] = weakref.WeakValueDictionary()
_made: Final[weakref.WeakValueDictionary[tuple[str, str, str], type]] = weakref.WeakValueDictionary()
_lock: Final = threading.RLock()


def of_class(kind: type) -> Identity:
    """The identity of a class, always the same for one object."""
    with _lock:
        known = _classes.get(kind)
        if known is None:
            module = kind.__module__ if isinstance(kind.__module__, str) else ""
            tracker = os.urandom(16).hex()
            try:
                found = _class_stamp(kind)
            except Exception:  # noqa: BLE001 - classes may do anything when they are asked; then no other is like it
                found = f"c:{tracker}"
            known = Identity(module, kind.__qualname__, found, tracker)
            note_class(kind, known)
        return known


def note_class(kind: type, identity: Identity) -> None:
    """From now on the class has this identity."""
    with _lock:
        _classes.set(kind, identity)
        _tracked[identity.tracker] = kind
        _made.setdefault(identity[:3], kind)


def was_made(kind: type) -> bool:
    """Whether the class came in a pickle: what hooks of its script did to it was in it."""
    return keywords.get(kind) is not None


def of_function(fn: types.FunctionType) -> Identity:
    """The identity of a function that a name of its module leads to, perhaps through decorators."""
    module, path = _home(fn), fn.__qualname__
    if _LOCAL in path or not any(each is fn for each in named(module, path)):
        return NOBODY
    return Identity(module, path, function_stamp(fn))


def of_named(obj: Any, name: str | None = None) -> Identity:
    """The identity of a constant of a module that is called by its own name."""
    module = getattr(obj, "__module__", None)
    path = str(name or getattr(obj, "__qualname__", getattr(obj, "__name__", "")))
    if not isinstance(module, str) or not any(each is obj for each in named(module, path)):
        return NOBODY
    return Identity(module, path, stamp(obj))


def find(identity: Identity) -> object | None:
    """The reader's own, or one that was made earlier from the same definition."""
    if not identity.path:
        return None
    for own in named(identity.module, identity.path):
        if stamp(own) == identity.stamp:
            return own
    if not identity.tracker:
        return None
    with _lock:
        known = _tracked.get(identity.tracker)
        if known is None and _LOCAL in identity.path:
            alike = [kind for kind in _all_classes() if _is_called(kind, identity) and stamp(kind) == identity.stamp]
            known = alike[-1] if alike else None
        return known if known is not None else _made.get(identity[:3])


def named(module: str, path: str) -> Iterator[object]:
    """What the path leads to in a module, and what decorators keep below it."""
    found: Any = sys.modules.get(module)
    if found is None or not path or _LOCAL in path:
        return
    try:
        for name in path.split("."):
            found = vars(found)[name] if isinstance(found, types.ModuleType) else getattr(found, name)
    except Exception:  # noqa: BLE001 - not there, or a `__getattr__` of the user's
        return
    for _ in range(_MOST_STEPS):
        yield found
        own = getattr(found, "__dict__", {})
        step = next((name for name in _STEPS if name in own), None)
        if step is None:
            return
        found = own[step]


def stamp(obj: Any) -> str:
    """What the definition of an object says."""
    if isinstance(obj, type):
        return of_class(obj).stamp
    if isinstance(obj, types.FunctionType):
        registered = usage.registered(obj)
        return f"dispatch:{stamp(registered[object])}" if registered is not None else function_stamp(obj)
    if isinstance(obj, CACHED):
        return f"cached:{stamp(cast('Any', obj).__wrapped__)}"
    return f"{type(obj).__module__}:{type(obj).__qualname__}"


def function_stamp(fn: types.FunctionType) -> str:
    """Of a function: its text, without decorators, or its bytecode."""
    known = _functions.get(fn)
    if known is None:
        text = sources.text_of(fn.__code__, fn.__globals__)
        known = "f:" + (_short(text) if text is not None else _bytecode(fn.__code__))
        _functions.set(fn, known)
    return known


def note_function(fn: types.FunctionType, definition: str) -> None:
    """From now on the function has this stamp."""
    _functions.set(fn, definition)


def _home(fn: types.FunctionType) -> str:
    return str(fn.__globals__.get("__name__", ""))


def _class_stamp(kind: type) -> str:
    statement = code.statement_of(kind)
    parts = [sources.normal(statement)] if statement is not None else list(_outline(kind))
    parts += [of_class(base).stamp if code.is_written(base) else code.full_name(base) for base in kind.__bases__]
    if type(kind) is not type:
        parts.append(of_class(type(kind)).stamp if code.is_written(type(kind)) else code.full_name(type(kind)))
    parts.append("slots" if "__slots__" in vars(kind) else "")  # a decorator may have made it anew with slots
    if _LOCAL in kind.__qualname__:
        parts.append(_values(kind))
    return "c:" + _short("\n".join(parts))


def _outline(kind: type) -> Iterator[str]:
    """Of a class whose statement nobody has: what its functions do, members of enums, annotations. No other names: some
    come when the class is used."""
    for key, member in sorted(vars(kind).copy().items(), key=lambda item: item[0]):
        codes = [_bytecode(fn.__code__) for fn in code.inside(member) if isinstance(fn, types.FunctionType)]
        if codes:
            yield " ".join((key, *codes))
    members = vars(kind).get("_member_map_")
    if isinstance(members, dict):
        yield from (f"{name}={getattr(member, '_value_', None)!r}" for name, member in members.items())
    annotations = vars(kind).get("__annotations__")
    if isinstance(annotations, dict):
        yield from (
            f"{name}:{hint if isinstance(hint, str) else code.full_name(type(hint))}"
            for name, hint in annotations.items()
        )


def _values(kind: type) -> str:
    try:
        return content_hash(kind, limit=_MOST_HASHED)
    except Exception:  # noqa: BLE001 - what has no stable form does not tell classes apart
        return ""


def _bytecode(of: types.CodeType) -> str:
    try:
        return content_hash(of)
    except TypeError:
        return of.co_name


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _is_called(kind: type, identity: Identity) -> bool:
    return kind.__qualname__ == identity.path and kind.__module__ == identity.module


def _all_classes() -> Iterator[type]:
    seen: set[int] = set()
    waiting: list[type] = [object]
    while waiting:
        below: list[type] = type.__subclasses__(waiting.pop())
        for kind in below:
            if id(kind) not in seen:
                seen.add(id(kind))
                waiting.append(kind)
                yield kind
