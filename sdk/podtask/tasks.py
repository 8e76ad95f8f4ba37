"""`Task` and `@task`: a function that a flow can submit. Module and names are those of the Prefect 2.0 beta.

    @task ──> Task ──call in a flow──> TaskFuture

Options live in `podtask.options`. Next on the road: `podtask.engine.flow_run`, which makes a run of a call.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterable
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from podtask.annotations import unmapped
from podtask.errors import ReservedArgumentError
from podtask.futures import AsyncTaskFuture, TaskFuture
from podtask.model.definitions import TaskDefinition
from podtask.options import TaskArgs, TaskOptions
from podtask.payloads.hashing import InputHash, task_input_hash
from podtask.support.callables import owner_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Task", "task", "task_input_hash"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)  # covariant: otherwise pyright misses the overload for async functions
T = TypeVar("T")

WAIT_FOR = "wait_for"


class Task(TaskDefinition, Generic[P, R_co]):
    """A function with the options of its runs. Calling it inside a flow submits a run and gives its future.

    `fn` is the plain function, callable anywhere. Raises `TypeError` for something that is not callable,
    `ReservedArgumentError` for a parameter named `wait_for`, `ValueError` for impossible options.
    """

    fn: Callable[P, R_co]

    def __init__(self, fn: Callable[P, R_co], **options: Unpack[TaskArgs]) -> None:
        self._set_up(fn, TaskOptions.of(options))

    def _set_up(self, fn: Callable[P, R_co], options: TaskOptions) -> None:
        self._wrapped: Any = fn
        self.define(fn, options)
        if WAIT_FOR in self.signature.parameters:
            raise ReservedArgumentError(self.name)
        if isinstance(options.cache_key_fn, InputHash):
            options.cache_key_fn.check(self.name, self.signature)
        if options.task_run_name is not None:
            from podtask.engine import run_names

            run_names.check(self)
        self._dynamic_key = 0

    # The attributes of the Prefect 2.0 beta's tasks, read off the one place where options live.

    @property
    def retries(self) -> int:
        """Attempts after the first."""
        return self.options.retries

    @property
    def retry_delay_seconds(self) -> Any:
        """As given: one number, a tuple or a callable."""
        delays = self.options.retry_delay_seconds
        return delays[0] if isinstance(delays, tuple) and len(delays) == 1 else delays

    @property
    def cache_key_fn(self) -> Any:
        """The function that makes cache keys, or None."""
        return self.options.cache_key_fn

    @property
    def cache_expiration(self) -> Any:
        """How long a cached result may be used, or None for ever."""
        return self.options.cache_expiration

    # The overloads overlap, since a coroutine is also any T; type checkers take the first that fits, as is meant.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self: Task[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, AsyncTaskFuture[T]]: ...
    @overload
    def __call__(self: Task[P, T], *args: P.args, **kwargs: P.kwargs) -> TaskFuture[T]: ...
    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]
        self: Task[..., Coroutine[Any, Any, T]], *args: Any, wait_for: Iterable[Any] | None, **kwargs: Any
    ) -> Coroutine[Any, Any, AsyncTaskFuture[T]]: ...
    @overload
    def __call__(self: Task[..., T], *args: Any, wait_for: Iterable[Any] | None, **kwargs: Any) -> TaskFuture[T]: ...
    def __call__(self, *args: Any, wait_for: Iterable[Any] | None = None, **kwargs: Any) -> Any:
        """Submit a run with these arguments; futures among them are upstreams, `wait_for` orders without data.

        Futures and states may stand in containers and in the fields of objects, in `wait_for` as well. A state of a
        subflow, or one made by hand, keeps the run from starting unless it is completed.
        Gives a `TaskFuture`; for an async task in an async flow an awaitable that gives an `AsyncTaskFuture`.
        Blocks for the submission only, with `SequentialTaskRunner` until the run is finished. Raises
        `OutsideFlow`, `InsideTask`, `FlowTimedOut`, `UnpicklableArgument`, and `TypeError` as `fn` would.
        """
        from podtask.engine.flow_run import call

        return call(self, args, kwargs, wait_for)

    submit = __call__

    @overload
    def map(  # pyright: ignore[reportOverlappingOverload]
        self: Task[..., Coroutine[Any, Any, T]],
        *args: Any,
        wait_for: Iterable[Any] | None = None,
        batch_size: int | Iterable[Any] | unmapped[Any] | None = None,
        **kwargs: Any,
    ) -> list[Coroutine[Any, Any, AsyncTaskFuture[T]]]: ...
    @overload
    def map(
        self: Task[..., T],
        *args: Any,
        wait_for: Iterable[Any] | None = None,
        batch_size: int | Iterable[Any] | unmapped[Any] | None = None,
        **kwargs: Any,
    ) -> list[TaskFuture[T]]: ...
    def map(self, *args: Any, wait_for: Iterable[Any] | None = None, **kwargs: Any) -> Any:
        """One run per element: iterable arguments advance together, `unmapped(x)` and plain values stay.

        Gives a list of what calls give. Texts, bytes and dicts are plain values. A future of a collection is waited
        for. `batch_size=100` runs up to 100 elements in one pod; each has its future all the same. A task that has a
        parameter of this name takes it as an option: `with_options(batch_size=100).map(...)`. Raises `MappingError`
        where there is nothing to iterate over or lengths differ, `ValueError` where there can be no batches.
        """
        from podtask.engine.flow_run import call_each
        from podtask.engine.mapping import batch_size_of, elements

        size = batch_size_of(self, kwargs)
        return call_each(self, list(elements(self, args, kwargs)), wait_for, size)

    def with_options(self, **changes: Unpack[TaskArgs]) -> Task[P, R_co]:
        """A copy with these options changed. What is not given stays; 0, [] and "" reset. `tags` replace."""
        copy: Task[P, R_co] = object.__new__(type(self))
        copy._set_up(self._wrapped, self.options.changed(changes))
        copy.memory = self.memory
        return copy

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Task[P, R_co]: ...
    @overload
    def __get__(self: Task[Concatenate[Any, Q], T], instance: object, owner: type | None = None) -> Task[Q, T]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """On an object, the object is the first argument of the runs, as it is of methods."""
        found = owner_of(self._wrapped, instance, owner)
        return self if found is None else BoundTask(self, found)

    def get_and_update_dynamic_key(self) -> str:
        """A number unique to a call of this object, "0" first. Runs use a counter per flow run instead."""
        key = str(self._dynamic_key)
        self._dynamic_key += 1
        return key

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self._wrapped, self.options.travelling())

    def __repr__(self) -> str:
        return f"Task({self.name!r})"


class BoundTask(Task[P, R_co]):
    """A task of a class, looked up on an object (or, for a class method, on the class)."""

    def __init__(self, task: Task[..., Any], owner: object) -> None:  # pyright: ignore[reportMissingSuperCall]
        self.__dict__.update(task.__dict__)
        self._task = task
        self._owner = owner
        self.fn = MethodType(task.fn, owner)
        self.memory = {}
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


@overload
def task(fn: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(fn: None = None, /, **options: Unpack[TaskArgs]) -> Callable[[Callable[P, R]], Task[P, R]]: ...
@overload
def task(fn: Callable[P, R], /, **options: Unpack[TaskArgs]) -> Task[P, R]: ...
def task(fn: Any = None, /, **options: Unpack[TaskArgs]) -> Any:
    """Make a function a `Task`: `@task` or `@task(retries=3, …)`. Options: `podtask.options.TaskOptions`."""
    if fn is None:
        return functools.partial(task, **options)
    return Task(fn, **options)


def _unpickled(kind: type[Task[P, R]], fn: Callable[P, R], options: TaskOptions) -> Task[P, R]:
    found: Task[P, R] = object.__new__(kind)
    found._set_up(fn, options)  # noqa: SLF001 - a constructor of the class
    return found
