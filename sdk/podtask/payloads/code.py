"""The task's code as the runner takes it: the function, and what the task itself decides about retries.

Used by every backend, so that a task is executed by the same rules everywhere. Next: `podtask_runner.attempt.execute`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podtask.errors import PodtaskError
from podtask_runner.serialization import log_levels
from podtask_runner.serialization.registry import Equipped
from podtask_runner.serializers import REGISTERED

if TYPE_CHECKING:
    from podtask.model.definitions import TaskDefinition
    from podtask_runner.pickled_names import Shipped
    from podtask_runner.serialization.by_value import Packing


class UnpicklableTask(PodtaskError, TypeError):
    """The task's function refers to something that cannot travel."""

    def __init__(self, task_name: str, why: str) -> None:
        super().__init__(
            f"The function of task '{task_name}' cannot be pickled ({why}). It refers to something that exists only in "
            f"this process (a lock, a connection, an open file); make it inside the function."
        )


def shipped(task: TaskDefinition) -> Shipped:
    """The function with its retry condition and its own delays."""
    from podtask_runner.pickled_names import Shipped

    options = task.options
    delay = options.retry_delay_seconds
    return Shipped(task.fn, options.retry_condition_fn, delay if callable(delay) else None)


def pickled_code(task: TaskDefinition, packing: Packing | None = None) -> bytes:
    """The payload for `Grants.code.shipped`; `packing` where it goes to another machine. Raises `UnpicklableTask`."""
    from podtask_runner.serialization.pickling import dumps

    code = shipped(task)
    plain = code.retry_condition is None and code.retry_delay is None
    content: object = task.fn if plain else code
    if REGISTERED:
        content = Equipped(tuple(REGISTERED.values()), content)
    if log_levels.is_configured():
        content = log_levels.Configured(content)
    try:
        return dumps(content, packing=packing)
    except Exception as error:
        raise UnpicklableTask(task.name, f"{type(error).__name__}: {error}") from error
