"""Every function and class of the runner whose dotted name stands inside stored pickles. This module never moves.

A pickle names what rebuilds an object by module and name. Results, arguments and code in a bucket outlive the release
that wrote them, so the names here are part of the wire format, like `podtask_runner.protocol`.
`tests/unit/test_frozen.py` lists them. Those of the SDK live in its public modules, which do not move either.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Shipped:
    """What the SDK ships instead of a plain function when the task decides about its own retries.

    `retry_condition(exception, attempt) -> bool` and `retry_delay(exception, attempt) -> seconds or None` are asked
    after a failure while there is a retry left; `attempt` counts the user's attempts from 1.
    """

    fn: Callable[..., Any]
    retry_condition: Callable[[BaseException, int], bool] | None = None
    retry_delay: Callable[[BaseException, int], float | None] | None = None


class RemoteError(Exception):
    """Stands in for an exception that could not travel: its type name, message and traceback text did."""

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(type_name, message)
        self.type_name = type_name
        self.message = message

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}" if self.message else self.type_name


def exception(
    exc: BaseException,
    text: str,
    notes: list[str],
    suppress: bool,  # noqa: FBT001 - positional on the wire
    cause: BaseException | None,
    context: BaseException | None,
) -> BaseException:
    """The exception with its links, its notes and the text of its traceback."""
    exc.__cause__, exc.__context__, exc.__suppress_context__ = cause, context, suppress
    for name, value in (("__podtask_traceback__", text), ("__notes__", notes)):
        if value:
            try:
                setattr(exc, name, value)
            except Exception:  # noqa: BLE001, S112 - a class may refuse attributes; then only this is lost
                continue
    return exc


def file(path: str) -> Any:
    """A `File`, unpickled where the file may be gone by now: who opens it will see."""
    from podtask_runner.files import File

    found = File.__new__(File)  # without the check of its constructor
    found.path = Path(path)
    return found


def equipped(serializers: tuple[tuple[str, type, Any, Any], ...], content: object) -> object:
    """The content; from now on the serializers are registered here."""
    from podtask_runner.serialization.registry import REGISTERED, register_serializer

    for name, kind, dumps, loads in serializers:
        if name not in REGISTERED:
            register_serializer(name, kind, dumps=dumps, loads=loads)
    return content


def with_modules(modules: dict[str, types.ModuleType], content: object) -> object:
    """The content; from now on the modules can be imported here."""
    import cloudpickle

    for name, module in modules.items():
        if name in sys.modules:  # in the driver, which has the original
            continue
        sys.modules[name] = module
        cloudpickle.register_pickle_by_value(module)  # results may be opened where nobody has it
        parent, _, child = name.rpartition(".")
        if parent in modules:
            setattr(modules[parent], child, module)
    return content


def new_module(name: str) -> types.ModuleType:
    """An empty module, before its content refers to it."""
    return types.ModuleType(name)


def filled(module: types.ModuleType, state: dict[str, Any]) -> types.ModuleType:
    """The module with its content."""
    vars(module).update(state)
    return module


def cached_again(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """A function under `functools.lru_cache`, with an empty cache."""
    return functools.lru_cache(**parameters)(function)


def dispatching() -> Any:
    """A `functools.singledispatch` function, before its implementations are known."""
    return functools.singledispatch(lambda *_: None)


def registering(dispatching: Any, registered: dict[type, Callable[..., Any]]) -> Any:
    """The dispatching function with its implementations."""
    for kind, function in registered.items():
        dispatching.register(kind, function)
    return functools.update_wrapper(dispatching, registered[object])


def definitions() -> Any:
    """What a script defined, to be opened where somebody needs it."""
    from podtask_runner.serialization.definitions import Opened

    return Opened()


def defined(opened: Any, chunk: bytes, who: tuple[str, str, str, str], number: int) -> object:
    """A class, a function or a constant of a script: the reader's own, or one made of the definitions."""
    from podtask_runner.serialization.identity import Identity

    return opened.get(chunk, Identity(*who), number)


def made_class(who: tuple[str, str, str, str], *parts: Any) -> type:
    """A class before what refers to it."""
    from podtask_runner.serialization import classes
    from podtask_runner.serialization.identity import Identity

    return classes.made(Identity(*who), *parts)


def filled_class(kind: type, content: dict[str, Any]) -> None:
    """The class gets what refers to it."""
    from podtask_runner.serialization import classes

    classes.filled(kind, content)


def made_function(
    code: types.CodeType,
    copied: dict[str, Any],
    script: str | None,
    names: tuple[str, ...],
    who: tuple[str, str, str, str],
    cells: tuple[types.CellType, ...] | None,
) -> types.FunctionType:
    """A function before what it refers to."""
    from podtask_runner.serialization import functions
    from podtask_runner.serialization.identity import Identity

    return functions.made(code, copied, script, names, Identity(*who), cells)


def filled_function(fn: types.FunctionType, content: tuple[Any, ...]) -> None:
    """The function gets what it refers to."""
    from podtask_runner.serialization import functions

    functions.filled(fn, content[0], content[1], whole=len(content) == 2)


def empty_cell() -> types.CellType:
    """A cell of a closure, before its content is known."""
    return types.CellType()


def member(kind: Any, name: str | None, value: Any) -> Any:
    """The member of an enum, by name and value; a combination of flags by its value."""
    found = kind._member_map_.get(name)
    if found is not None and (found._value_ is value or found._value_ == value or value != value):
        return found
    return kind(value)


def own(who: tuple[str, str, str, str], script: str | None, make: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """A constant of a script: the reader's own, or a new one."""
    from podtask_runner.serialization import definitions, identity, main_module

    found = identity.find(identity.Identity(*who))
    if found is None:
        found = make(*args)
        definitions.begin(found)
        if "." not in who[1] and who[1]:
            main_module.install(script, who[1], found)
    return found


def at_home(
    module: str, make: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any] | None = None
) -> Any:
    """A type variable or alias that says which module it is of."""
    found = make(*args, **(keywords or {}))
    with contextlib.suppress(AttributeError):  # else it is of where it is made
        found.__module__ = module
    return found


def filled_constant(obj: Any, content: tuple[dict[str, Any]]) -> None:
    """The constant gets its attributes, if it was made just now."""
    from podtask_runner.serialization import definitions

    if definitions.finishes(obj):
        obj.__dict__.update(content[0])


def new_type(name: str, module: str, supertype: Any) -> Any:
    """A `typing.NewType`."""
    import typing

    make: Any = typing.NewType
    found = make(name, supertype)
    found.__module__ = module
    return found


def alias(name: str, module: str) -> Any:
    """A type alias of Python 3.12, before its value is known: it may refer to itself."""
    values = {"__name__": module, "held": {}}
    exec(f"type {name} = held['value']", values)  # noqa: S102 - a name that was one in the script
    found: Any = values[name]
    _HELD[id(found)] = values["held"]
    return found


_HELD: dict[int, Any] = {}
"""Where aliases that have no value yet read it."""


def filled_alias(found: Any, content: tuple[Any]) -> None:
    """The alias gets its value, if it was made just now."""
    held = _HELD.pop(id(found), None)
    if held is not None:
        held["value"] = content[0]


def filled_dispatching(function: Any, registered: dict[type, Callable[..., Any]]) -> None:
    """The dispatching function gets its implementations, if it was made just now."""
    from podtask_runner.serialization import definitions

    if definitions.finishes(function):
        registering(function, registered)
