"""Identity of code and arguments: for cache keys, and for the digest that guards a replayed call.

The encoding is the runner's (`podtask_runner.hashing.encoder`), the composition that of `podtask.core.cache.entry`, so
a key made here equals one made by the operator.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from podtask.core.cache.entry import ADDED, Components, compose

if TYPE_CHECKING:
    from podtask.context import DescribedTask, TaskRunContext
    from podtask.model.task_run import TaskRun

log = logging.getLogger("podtask.cache")


class InputHash:
    """The `cache_key_fn` that `task_input_hash(ignore=…, add=…)` gives."""

    def __init__(self, ignore: Iterable[str] = (), add: Mapping[str, Any] | None = None) -> None:
        self.ignore = frozenset([ignore] if isinstance(ignore, str) else ignore)
        """Arguments that do not count."""
        self.add = dict(add or {})
        """What counts beside the arguments, by a name of its own."""

    def __call__(self, context: TaskRunContext, arguments: dict[str, Any]) -> str | None:
        return input_key(context.task, arguments, self)

    def counted(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the key is made of, by the name that explanations call it."""
        counted = {name: value for name, value in arguments.items() if name not in self.ignore}
        return {**counted, **{ADDED + name: value for name, value in self.add.items()}}

    def check(self, task_name: str, signature: inspect.Signature) -> None:
        """Raises `ValueError` for a name that the task has no parameter for."""
        unknown = sorted(self.ignore - signature.parameters.keys())
        if unknown:
            raise ValueError(
                f"The cache key of task '{task_name}' leaves out {', '.join(map(repr, unknown))}, which is no "
                f"parameter of it; its parameters: {', '.join(signature.parameters) or 'none'}."
            )


EVERYTHING = InputHash()
"""Of `task_input_hash` itself."""


def input_hash_of(key_fn: object) -> InputHash | None:
    """How this `cache_key_fn` makes a key of code and arguments; None: it is the user's own function."""
    if key_fn is task_input_hash:
        return EVERYTHING
    return key_fn if isinstance(key_fn, InputHash) else None


def components(
    task: DescribedTask,
    arguments: Mapping[str, Any],
    code: str | TypeError | None = None,
    counting: InputHash = EVERYTHING,
) -> Components:
    """Code identity and a content hash per argument. Raises `Unhashable`, a `TypeError` that leads to the culprit.

    `code`: the identity where the code was packed already, or why it has none; None: as the code is now.
    """
    from podtask_runner.hashing.shared_walks import argument_hash

    if isinstance(code, TypeError):
        raise code
    return Components(
        code if code is not None else code_hash(task, name=task.name),
        {name: argument_hash(value, name=name) for name, value in counting.counted(arguments).items()},
    )


def code_hash(task: DescribedTask, name: str = "") -> str:
    """Identity of the task's code as it is now; walked once, and anew when something it uses has changed.

    `name` begins the way to what has no stable form. Raises `Unhashable`.
    """
    from podtask_runner.hashing.remembered import CodeHash

    memory: dict[str, Any] = getattr(task, "memory", {})
    kept: CodeHash | None = memory.get("code")
    if kept is None or kept.fn is not task.fn:  # copies of a task share the memory, and `fn` can be replaced
        memory["code"] = kept = CodeHash(task.fn)
    return kept.value(name)


def components_or_why(
    task: DescribedTask,
    arguments: Mapping[str, Any],
    code: str | TypeError | None = None,
    counting: InputHash = EVERYTHING,
) -> Components | str:
    """The components, or why there are none; the log says so, too."""
    try:
        return components(task, arguments, code, counting)
    except TypeError as error:
        log.warning("Task '%s' runs uncached, no key can be made of its inputs: %s", task.name, error)
        return f"No key can be made of the inputs: {error}"


def input_key(task: DescribedTask | None, arguments: Mapping[str, Any], counting: InputHash = EVERYTHING) -> str | None:
    """The composed key, or None, and the log says why."""
    found = components_or_why(task, arguments, counting=counting) if task is not None else None
    return compose(found) if isinstance(found, Components) else None


@overload
def task_input_hash(context: TaskRunContext, arguments: dict[str, Any], /) -> str | None: ...
@overload
def task_input_hash(*, ignore: Iterable[str] = (), add: Mapping[str, Any] | None = None) -> InputHash: ...
def task_input_hash(
    context: TaskRunContext | None = None,
    arguments: dict[str, Any] | None = None,
    *,
    ignore: Iterable[str] = (),
    add: Mapping[str, Any] | None = None,
) -> Any:
    """A cache key of the task's code and all its arguments, for `@task(cache_key_fn=task_input_hash)`.

    The code counts with its constants, globals, closures and local helpers, values by a canonical encoding, so
    the key is the same in every process. None where an argument has no stable form: the task then runs uncached.
    `cache_key_fn=task_input_hash(ignore=["verbose"], add={"rates": "2026-01"})` leaves arguments out, and counts values
    that are no arguments.
    """
    if context is None:
        return InputHash(ignore, add)
    return input_key(context.task, arguments or {})


InputHash.__module__ = "podtask.tasks"
task_input_hash.__module__ = "podtask.tasks"  # the public place; it stands in cache keys and pickles


def call_digest(run: TaskRun) -> str:
    """sha256 over code and arguments of the call, futures by their run ids; guards a re-attached run.

    What has no canonical form does not count: an unstable digest would refuse runs that are the same.
    """
    from podtask_runner.hashing.shared_walks import argument_hash

    parts = [run.task.name]
    values = (partial(argument_hash, value) for value in run.inputs.parameters.items())
    for hashed in (partial(code_hash, run.task), *values):
        try:
            parts.append(hashed())
        except TypeError:
            parts.append("")
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()
