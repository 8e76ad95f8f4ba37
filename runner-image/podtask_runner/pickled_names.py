"""Every function and class of the runner whose dotted name stands inside stored pickles. This module never moves.

A pickle names what rebuilds an object by module and name. Results, arguments and code in a bucket outlive the release
that wrote them, so the names here are part of the wire format, like `podtask_runner.protocol`.
`tests/unit/test_frozen.py` lists them. Those of the SDK live in its public modules, which do not move either.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from podtask_runner.serializers import REGISTERED, register_serializer


@dataclass(frozen=True)
class Shipped:
    """What the SDK ships instead of a plain function when the task decides about its own retries.

    `retry_condition(exception, attempt) -> bool` and `retry_delay(exception, attempt) -> seconds or None` are asked
    after a failure while there is a retry left; `attempt` counts the user's attempts from 1.
    """

    fn: Callable[..., Any]
    retry_condition: Callable[[BaseException, int], bool] | None = None
    retry_delay: Callable[[BaseException, int], float | None] | None = None


@dataclass(frozen=True)
class Batch(Shipped):
    """The same, to be called once for each item of a batch (`podtask_runner.attempt.batch`)."""

    is_async: bool = False


class BatchFailed(Exception):
    """Some items of a batch failed. `entries`: what became of each that ended, by its number."""

    def __init__(self, message: str, entries: dict[int, tuple[bytes, bytes | None]]) -> None:
        super().__init__(message, entries)
        self.entries = entries

    def __str__(self) -> str:
        return str(self.args[0])


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


class _InThisProcess:
    """A mark that no pickle carries on."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()


_MARK = "__podtask_stands_for_failure__"


def failed(exc: BaseException) -> BaseException:
    """The exception, marked as what stands for an upstream that failed. A task that returns it returns a value."""
    BaseException.__setattr__(exc, _MARK, _InThisProcess())  # past a class that refuses attributes
    return exc


def stands_for_failure(value: object) -> bool:
    """Whether `failed` marked it."""
    return isinstance(value, BaseException) and isinstance(vars(value).get(_MARK), _InThisProcess)


def code(parts: tuple[Any, ...], filename: str, first: int, lines: tuple[str, ...], called: str = "") -> types.CodeType:
    """A code object of `filename`, whose source begins with line `first`: tracebacks show it, file or no file.

    `called`: the file as people know it.
    """
    from podtask_runner import shown_paths

    shown_paths.note_file(filename, called)
    # A file that is here may change: it is read when it is needed. `Path.exists` raises where it may not look.
    if lines and not os.path.exists(filename):  # noqa: PTH110
        _show(filename, first, lines)
    return types.CodeType(*parts).replace(co_filename=filename)


_shown: dict[str, list[str]] = {}
"""The lines of files that are elsewhere, as far as their code came here."""


def _show(filename: str, first: int, lines: tuple[str, ...]) -> None:
    import linecache

    if filename in linecache.cache and filename not in _shown:  # a cell of this notebook
        return
    whole = _shown.setdefault(filename, [])
    whole += ["\n"] * (first - 1 + len(lines) - len(whole))
    whole[first - 1 : first - 1 + len(lines)] = lines
    linecache.cache[filename] = (len(whole), None, whole, filename)  # without a time: not checked against a file


def equipped(serializers: tuple[tuple[str, type, Any, Any], ...], content: object) -> object:
    """The content; from now on the serializers are registered here."""
    for name, kind, dumps, loads in serializers:
        if name not in REGISTERED:
            register_serializer(name, kind, dumps=dumps, loads=loads)
    return content


def logging_as(levels: dict[str, int], form: str | None, times: str | None, content: object) -> object:
    """The content; in the process of a task, records come out as the script wanted them."""
    attempt = sys.modules.get("podtask_runner.attempt.context")  # loaded wherever an attempt is executed
    if attempt is not None and attempt.current() is not None:
        _log_as(levels, form, times)
    return content


def _log_as(levels: dict[str, int], form: str | None, times: str | None) -> None:
    """Records come out on standard error. An image that configured logging itself keeps its own way."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(form or logging.BASIC_FORMAT, times))
    root.addHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name or None).setLevel(level)


def with_modules(modules: dict[str, types.ModuleType], content: object) -> object:
    """The content; from now on the modules can be imported here. Written until modules travelled as files."""
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


def followed(module: str, qualname: str, steps: tuple[str, ...]) -> Any:
    """What a module of the project calls by this name, and the attributes to go on by: `etl.load` and its `fn`."""
    found: Any = importlib.import_module(module)
    for name in (*qualname.split("."), *steps):
        found = getattr(found, name)
    return found


_warned: set[tuple[str, str, str]] = set()


def project_class(module: str, qualname: str, stamp: str) -> type:
    """The reader's class of this name; with a warning where the object was stored by another definition."""
    from podtask_runner.script import identity

    who = (module, qualname, stamp)
    importlib.import_module(module)
    found = next((each for each in identity.named(module, qualname) if isinstance(each, type)), None)
    if found is None:
        raise AttributeError(
            f"the module '{module}' has no class '{qualname}' here; read it with the code that it was stored with"
        )
    if who not in _warned and identity.of_class(found).stamp != stamp:
        _warned.add(who)
        logging.getLogger("podtask").warning(
            "The class %s of the module '%s' is defined otherwise here than where an object of it was stored; the "
            "object gets the class of this process.",
            qualname,
            module,
        )
    return found


def namespace(module: str) -> dict[str, Any]:
    """The globals of a module, the very ones: functions that travel by value work on them."""
    return vars(importlib.import_module(module))


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
    from podtask_runner.script.definitions import Opened

    return Opened()


def defined(opened: Any, chunk: bytes, who: tuple[str, str, str, str], number: int) -> object:
    """A class, a function or a constant of a script: the reader's own, or one made of the definitions."""
    from podtask_runner.script.identity import Identity

    return opened.get(chunk, Identity(*who), number)


def lending(definitions: bytes, content: object) -> object:
    """The content; from now on the definitions are here that arguments only name."""
    from podtask_runner.script import lending as shared

    shared.opened(definitions)
    return content


def lent(who: tuple[str, str, str, str]) -> object:
    """A class or a function of a script that came with the code of the task."""
    from podtask_runner.script import lending as shared
    from podtask_runner.script.identity import Identity

    return shared.get(Identity(*who))


def made_class(who: tuple[str, str, str, str], *parts: Any) -> type:
    """A class before what refers to it."""
    from podtask_runner.script import classes
    from podtask_runner.script.identity import Identity

    return classes.made(Identity(*who), *parts)


def filled_class(kind: type, content: dict[str, Any]) -> None:
    """The class gets what refers to it."""
    from podtask_runner.script import classes

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
    from podtask_runner.script import functions
    from podtask_runner.script.identity import Identity

    return functions.made(code, copied, script, names, Identity(*who), cells)


def filled_function(fn: types.FunctionType, content: tuple[Any, ...]) -> None:
    """The function gets what it refers to."""
    from podtask_runner.script import functions

    functions.filled(fn, content[0], content[1], whole=len(content) == 2)


def filled_functions(contents: list[tuple[types.FunctionType, tuple[Any, ...]]]) -> None:
    """Functions get what they refer to, of which each refers to the next one."""
    for fn, content in contents:
        filled_function(fn, content)


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
    from podtask_runner.script import definitions, identity, main_module

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
    from podtask_runner.script import definitions

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


def filled_alias(alias: Any, content: tuple[Any]) -> None:
    """The alias gets its value, if it was made just now."""
    held = _HELD.pop(id(alias), None)
    if held is not None:
        held["value"] = content[0]


def filled_dispatching(function: Any, registered: dict[type, Callable[..., Any]]) -> None:
    """The dispatching function gets its implementations, if it was made just now."""
    from podtask_runner.script import definitions

    if definitions.finishes(function):
        registering(function, registered)
