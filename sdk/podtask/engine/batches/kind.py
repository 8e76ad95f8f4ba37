"""The task behind a batch: the user's own, called once for each item, with options for all items together.

Used by: `podtask.engine.flow_run`, `podtask.tasks`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from podtask.core.api import limits
from podtask.engine.batches.cache_key import BatchKey
from podtask.payloads.batch_calls import SIGNATURE

if TYPE_CHECKING:
    from podtask.model.definitions import TaskDefinition
    from podtask.options import TaskOptions


def check(task: TaskDefinition) -> None:
    """Raises `ValueError` for a task whose runs promise what an item of a batch cannot have."""
    if task.options.checkpoints:
        raise ValueError(
            f"task '{task.name}' keeps checkpoints, and in a batch the checkpoint is that of the batch. Leave "
            f"batch_size out, or map {task.name}.with_options(checkpoints=False): the items that are finished are kept."
        )


def of(task: TaskDefinition, count: int) -> TaskDefinition:
    """The task that runs `count` items as one batch."""
    kind: Any = object.__new__(type(task))
    kind.__dict__.update(task.__dict__)
    kind.batched = task
    kind.signature = SIGNATURE
    kind.options = _options(task, count)
    kind.task_key = hashlib.sha256(f"batch {task.task_key}".encode()).hexdigest()
    return kind  # type: ignore[no-any-return]


def _options(task: TaskDefinition, count: int) -> TaskOptions:
    """Its times are those of all items together. Each item has an end to be told of; only the batch is retried."""
    options = task.options
    return replace(
        options,
        checkpoints=True,
        cache_key_fn=None if options.cache_key_fn is None else BatchKey(task, options.cache_key_fn),
        task_run_name=None,
        on_completion=(),
        on_failure=(),
        timeout_seconds=_times(options.timeout_seconds, count, limits.TIMEOUT_LIMIT),
        deadline_seconds=_times(options.deadline_seconds, count, limits.DEADLINE_LIMIT),
    )


def _times(seconds: float | None, count: int, most: float) -> float | None:
    return None if seconds is None else min(seconds * count, most)
