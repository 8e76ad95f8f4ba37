"""What a task and a flow are, apart from what can be done with them: function, name, options, signature.

Everything below the public classes works with these; `Task` and `Flow` add calling, mapping and binding. Next on the
road: `podtask.model.task_run`.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable
from typing import Any

from podtask.options import FlowOptions, TaskOptions
from podtask.support.callables import function_of, name_of, qualified_name, unwrapped


class TaskDefinition:
    """A function and the options of its runs."""

    fn: Callable[..., Any]
    """The plain function, callable anywhere."""
    options: TaskOptions
    name: str
    description: str | None
    tags: set[str]
    isasync: bool
    signature: inspect.Signature
    task_key: str
    """Identifies the task in run ids: digest of name, qualified name of the function, tags."""
    memory: dict[str, Any]
    """What was worked out of the function (`podtask.payloads.hashing`); copies with other options share it."""
    batched: TaskDefinition | None = None
    """Of what `podtask.engine.batches` makes: the task that is called once for each item."""

    def define(self, decorated: Any, options: TaskOptions) -> None:
        """Take function and options. Raises `TypeError` for something that is not callable."""
        self.fn = fn = described(self, decorated)
        self.options = options
        self.memory = {}
        self.name = options.name or name_of(fn)
        self.description = options.description or inspect.getdoc(function_of(fn))
        self.tags = set(options.tags)
        self.isasync = inspect.iscoroutinefunction(function_of(fn))
        self.signature = inspect.signature(fn)
        self.task_key = _stable_hash(self.name, qualified_name(fn), *sorted(self.tags))


class FlowDefinition:
    """A function and the options of its runs."""

    fn: Callable[..., Any]
    """The plain function, callable anywhere."""
    options: FlowOptions
    name: str
    description: str | None
    isasync: bool
    signature: inspect.Signature

    def define(self, decorated: Any, options: FlowOptions) -> None:
        """Take function and options. Raises `TypeError` for something that is not callable."""
        self.fn = fn = described(self, decorated)
        self.options = options
        self.name = options.name or name_of(fn).replace("_", "-")
        self.description = options.description or inspect.getdoc(function_of(fn))
        self.isasync = inspect.iscoroutinefunction(function_of(fn))
        self.signature = inspect.signature(fn)


def described(wrapper: Any, decorated: Any) -> Callable[..., Any]:
    """The function behind decorators, with its name and docstring on `wrapper`. Raises `TypeError`."""
    fn: Callable[..., Any] = unwrapped(decorated)
    if not callable(fn):
        raise TypeError("'fn' must be callable")
    functools.update_wrapper(wrapper, fn)
    return fn


def _stable_hash(*parts: str) -> str:
    """sha256 with length prefixes, so that no two lists of parts share an encoding."""
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()
