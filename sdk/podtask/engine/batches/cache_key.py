"""The cache key of a batch: of the keys that its items would have by themselves.

One entry holds the values of all items, so it is found again by the same items in the same batch. Used by:
`podtask.engine.batches.kind`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podtask.context import TaskRunContext
    from podtask.model.definitions import TaskDefinition
    from podtask.options import CacheKeyFn


class BatchKey:
    """The `cache_key_fn` of a batch, made of the task's own `key_fn`."""

    def __init__(self, task: TaskDefinition, key_fn: CacheKeyFn) -> None:
        self._task = task
        self._key_fn = key_fn

    def __call__(self, context: TaskRunContext, arguments: dict[str, Any]) -> str | None:
        """The key of the batch, or None where an item has no key. Raises what the task's function raises."""
        digest = hashlib.sha256()
        for (_, _, args, kwargs), (run_id, name, number) in zip(arguments["calls"], arguments["names"], strict=True):
            bound = self._task.signature.bind(*args, **kwargs)
            bound.apply_defaults()
            run = replace(context.task_run, id=run_id, name=name, task_key=self._task.task_key, dynamic_key=number)
            parameters = dict(bound.arguments)
            about = replace(context, task=self._task, task_run=run, parameters=parameters)
            key = self._key_fn(about, parameters)
            if key is None or key == "":
                return None
            text = str(key).encode("utf-8", "surrogatepass")
            digest.update(b"%d:" % len(text) + text)
        return f"batch-{digest.hexdigest()}"
