"""`@task` on methods: `thing.method` is the task with `thing` as its first argument.

    Task.__get__ ──> BoundTask ──call──> Task.__call__(thing, …)

`self` is an argument like any other: pickled at the call, part of what a `cache_key_fn` sees. Used by: `podtask.tasks`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import MethodType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from podtask.annotations import unmapped
from podtask.tasks import Task

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from podtask.options import TaskArgs

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class BoundTask(Task[P, R_co]):
    """A task of a class, looked up on an object (or, for a class method, on the class)."""

    def __init__(self, task: Task[..., Any], owner: object) -> None:  # pyright: ignore[reportMissingSuperCall]
        self.__dict__.update(task.__dict__)
        self._task = task
        self._owner = owner
        self.fn = MethodType(task.fn, owner)
        self.signature = inspect.signature(self.fn)

    def _call(self, *args: Any, wait_for: Iterable[Any] | None = None, **kwargs: Any) -> Any:
        return self._task(self._owner, *args, wait_for=wait_for, **kwargs)

    __call__: Any = _call  # the overloads are those of `Task`
    submit: Any = _call

    def map(self, *args: Any, wait_for: Iterable[Any] | None = None, **kwargs: Any) -> Any:
        """As `Task.map`; the object is the same for every element."""
        return self._task.map(unmapped(self._owner), *args, wait_for=wait_for, **kwargs)

    def with_options(self, **changes: Unpack[TaskArgs]) -> BoundTask[P, R_co]:
        """As `Task.with_options`."""
        return BoundTask(self._task.with_options(**changes), self._owner)

    def get_and_update_dynamic_key(self) -> str:
        """As `Task.get_and_update_dynamic_key`; all objects count together."""
        return self._task.get_and_update_dynamic_key()

    def __get__(self, instance: object, owner: Any = None) -> Any:
        return self  # bound once, as methods are

    def __reduce__(self) -> tuple[Any, ...]:
        return BoundTask, (self._task, self._owner)


def bound(task: Task[..., Any], given: object, instance: object, owner: type | None) -> Task[..., Any]:
    """The task as an attribute of an object or a class; `given` is what was decorated. As functions are bound."""
    if isinstance(given, classmethod):
        return BoundTask(task, owner or type(instance))
    if instance is None or not inspect.isfunction(given):
        return task  # looked up on the class, or a static method, a callable instance, a partial
    return BoundTask(task, instance)
