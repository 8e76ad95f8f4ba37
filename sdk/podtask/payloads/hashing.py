"""Identity of code and arguments: for cache keys, and for the digest that guards a replayed call.

The encoding is the runner's (`podtask_runner.hashing.encoder`), the composition that of `podtask.core.cache.entry`, so
a key made here equals one made by the operator.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from podtask.core.cache.entry import Components, compose

if TYPE_CHECKING:
    from podtask.model.task_run import TaskRun
    from podtask.tasks import Task

log = logging.getLogger("podtask.cache")


def components(task: Task[..., Any], arguments: Mapping[str, Any]) -> Components:
    """Code identity and a content hash per argument. Raises `Unhashable`, a `TypeError` that leads to the culprit."""
    from podtask_runner.hashing.encoder import content_hash

    return Components(
        content_hash(task.fn, name=task.name),
        {name: content_hash(value, name=name) for name, value in arguments.items()},
    )


def components_or_why(task: Task[..., Any], arguments: Mapping[str, Any]) -> Components | str:
    """The components, or why there are none; the log says so, too."""
    try:
        return components(task, arguments)
    except TypeError as error:
        log.warning("Task '%s' runs uncached, no key can be made of its inputs: %s", task.name, error)
        return f"No key can be made of the inputs: {error}"


def input_key(task: Task[..., Any] | None, arguments: Mapping[str, Any]) -> str | None:
    """The composed key, or None, and the log says why."""
    found = components_or_why(task, arguments) if task is not None else None
    return compose(found) if isinstance(found, Components) else None


def call_digest(run: TaskRun) -> str:
    """sha256 over code and arguments of the call, futures by their run ids; guards a re-attached run.

    What has no canonical form does not count: an unstable digest would refuse runs that are the same.
    """
    from podtask_runner.hashing.encoder import content_hash

    parts = [run.task.name]
    for value in (run.task.fn, *run.inputs.parameters.items()):
        try:
            parts.append(content_hash(value))
        except TypeError:
            parts.append("")
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()
