"""`@task` and `@flow` on methods: `thing.method` is the task or flow with `thing` as its first argument.

    Task.__get__ ──> BoundTask ──call──> Task.__call__(thing, …)      Flow.__get__ ──> BoundFlow, the same way

`self` is an argument like any other: pickled at a task's call, part of what a `cache_key_fn` sees. `@task` and
`@classmethod` may stand in either order; from Python 3.13 on a class method no longer binds what it holds, and with
`@classmethod` above, only the plain call knows the class (`inputs.bind` says so for the rest).
Used by: `podtask.tasks`, `podtask.flows`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import MethodType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from podtask.annotations import unmapped
from podtask.flows import Flow
from podtask.tasks import Task

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from podtask.flows import FlowArgs
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


class BoundFlow(Flow[P, R_co]):
    """A flow of a class, looked up on an object (or, for a class method, on the class)."""

    def __init__(self, flow: Flow[..., Any], owner: object) -> None:  # pyright: ignore[reportMissingSuperCall]
        self.__dict__.update(flow.__dict__)
        self._flow = flow
        self._owner = owner
        self.fn = MethodType(flow.fn, owner)
        self.signature = inspect.signature(self.fn)

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        return self._flow(self._owner, *args, **kwargs)

    __call__: Any = _call  # the overloads are those of `Flow`

    def with_options(self, **changes: Unpack[FlowArgs]) -> BoundFlow[P, R_co]:
        """As `Flow.with_options`."""
        return BoundFlow(self._flow.with_options(**changes), self._owner)

    def __get__(self, instance: object, owner: Any = None) -> Any:
        return self  # bound once, as methods are

    def __reduce__(self) -> tuple[Any, ...]:
        return BoundFlow, (self._flow, self._owner)
