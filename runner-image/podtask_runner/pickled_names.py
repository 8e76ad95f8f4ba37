"""Every function and class of the runner whose dotted name stands inside stored pickles. This module never moves.

A pickle names what rebuilds an object by module and name. Results, arguments and code in a bucket outlive the release
that wrote them, so the names here are part of the wire format, like `podtask_runner.protocol`.
`tests/unit/test_frozen.py` lists them. Those of the SDK live in its public modules, which do not move either.
"""

from __future__ import annotations

import functools
import importlib
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
