"""What was decorated: a function, what `@staticmethod` and `@classmethod` hold, a partial, a callable instance.

Used by: `podtask.tasks`, `podtask.flows`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


def unwrapped(fn: Any) -> Any:
    """What is behind `@staticmethod` and `@classmethod`."""
    return fn.__func__ if isinstance(fn, (staticmethod, classmethod)) else fn


def function_of(fn: Callable[..., Any]) -> Callable[..., Any]:
    """What is behind partials and callable instances."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if inspect.isroutine(fn) or inspect.isclass(fn):
        return fn
    return getattr(type(fn), "__call__", fn)  # noqa: B004 - the method is what runs


def name_of(fn: Callable[..., Any]) -> str:
    """The function's name, that of a partial's function, or of an instance's class."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return getattr(fn, "__name__", None) or type(fn).__name__


def qualified_name(fn: Callable[..., Any]) -> str:
    """The same with module and scope."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    named = fn if hasattr(fn, "__qualname__") else type(fn)
    return f"{named.__module__}.{named.__qualname__}"


def owner_of(function: object, instance: object, owner: type | None) -> Any:
    """What becomes the first argument where `function` is looked up on `instance` or `owner`, as functions are bound.

    None: nothing does; it was looked up on the class, or is a static method, a callable instance, a partial.
    """
    if isinstance(function, classmethod):
        return owner or type(instance)
    return instance if inspect.isfunction(function) else None
