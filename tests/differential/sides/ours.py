"""podtask as the scenarios see it."""

from __future__ import annotations

from typing import Any

from podtask import (
    SequentialTaskRunner,
    Task,
    flow,
    get_run_context,
    get_run_logger,
    quote,
    tags,
    task,
    task_input_hash,
)
from podtask.context import FLOW_RUN, current_task_run
from podtask.futures import BaseFuture
from podtask.model.task_run import TaskRun
from podtask.states import Cancelled, Completed, Failed, State

__all__ = [
    "Cancelled",
    "Completed",
    "Failed",
    "SequentialTaskRunner",
    "Task",
    "flow",
    "get_run_context",
    "get_run_logger",
    "quote",
    "tags",
    "task",
    "task_input_hash",
]

LOGGERS = "podtask"
submitted: list[TaskRun] = []
"""What the backend was given; the test's fixture writes it."""


def final_state(called: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The state a flow call ends in."""
    return called(*args, return_state=True, **kwargs)


def is_state(value: Any) -> bool:
    return isinstance(value, State)


def is_future(value: Any) -> bool:
    return isinstance(value, BaseFuture)


def data(state: Any) -> Any:
    """What the state carries; of a task run, its value or exception."""
    if state._load is None:
        return state.data
    return state.exception() or state.result


def result(state: Any) -> Any:
    return state.result


def in_task_context() -> bool:
    return current_task_run() is not None


def in_flow_context() -> bool:
    return FLOW_RUN.get() is not None


def runs(trace: Any) -> list[dict[str, Any]]:
    """Task runs made since this was last asked, in the order of their calls."""
    found, submitted[:] = list(submitted), []
    for run in found:
        run.wait(20)
    labels = {run.id: f"{run.task.name} {index}" for index, run in enumerate(found)}
    return [_told(trace, labels, run) for run in found]


def _told(trace: Any, labels: dict[str, str], run: TaskRun) -> dict[str, Any]:
    return {
        "name": trace.shown(run.name),
        "history": " > ".join(state.name for state in run.history),
        "type": run.state.type.value,
        "message": trace.shown(run.state.message) if run.state.message else None,
        "run_count": run.status.attempts_total,
        "tags": sorted(run.tags),
        "inputs": {
            name: ", ".join(sorted(labels.get(run_id, "?") for run_id in ids)) or "-"
            for name, ids in run.task_inputs.items()
        },
        "outcome": trace.outcome(run.state),
    }
