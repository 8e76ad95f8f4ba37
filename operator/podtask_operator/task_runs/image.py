"""Which image the task's container uses. Part of the cache key, of the pod, and of what can be refused."""

from __future__ import annotations

from podtask_operator.settings import Settings
from podtask_operator.task_runs.parse import TaskRun


def python_minor(run: TaskRun, settings: Settings) -> str:
    """The Python minor whose runner image a run without an image of its own uses."""
    return run.spec.task.python or settings.default_python


def image_of(run: TaskRun, settings: Settings) -> str | None:
    """The image of the task's container; None when the minor has no runner image."""
    return run.spec.image or settings.runner_images.get(python_minor(run, settings))
