"""`task_run_name`: what a run is called, made from the arguments of its call.

A future among them is not waited for: its name stands for it. Used by: `podtask.tasks`, `podtask.engine.flow_run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import TYPE_CHECKING, Any

from podtask.futures import BaseFuture

if TYPE_CHECKING:
    from podtask.model.definitions import TaskDefinition


def check(task: TaskDefinition) -> None:
    """Raises `ValueError` for a template that no call could fill in."""
    template = task.options.task_run_name
    if not isinstance(template, str):
        return
    try:
        fields = {str(name) for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise ValueError(
            f"task_run_name of task '{task.name}' is no template: {error}; write '{{{{' for '{{'"
        ) from None
    unknown = sorted(name for name in fields if _first(name) not in task.signature.parameters)
    if unknown:
        known = ", ".join(task.signature.parameters) or "none"
        raise ValueError(
            f"task_run_name of task '{task.name}' asks for '{unknown[0]}', which is no parameter; the parameters are: "
            f"{known}"
        )


def of_call(task: TaskDefinition, parameters: Mapping[str, Any]) -> str | None:
    """The name of a run with these parameters; None where the task has no `task_run_name`. Raises `ValueError`."""
    template = task.options.task_run_name
    if template is None:
        return None
    shown = {name: value.name if isinstance(value, BaseFuture) else value for name, value in parameters.items()}
    try:
        name = template(shown) if callable(template) else template.format(**shown)
    except Exception as error:
        raise ValueError(
            f"task_run_name of task '{task.name}' cannot be made from this call: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"task_run_name of task '{task.name}' must give a text that is not empty, not {name!r}")
    return name.encode("utf-8", "backslashreplace").decode()  # names of files that are no UTF-8 hold what is none


def _first(field: str) -> str:
    """`x` of `x.y[0]`."""
    return field.partition(".")[0].partition("[")[0]
