"""`Flow` and `@flow`: a function whose task calls are runs. Calling it gives its value, or raises.

    @flow ──> Flow ──call──> podtask.engine.flow_engine

Flows compose: a flow called inside a flow is a subflow. Differences from Prefect 2.0b5: docs/differences.md.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from dataclasses import fields, replace
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, overload

from podtask.model.definitions import FlowDefinition
from podtask.options import FlowArgs, FlowOptions
from podtask.states import State
from podtask.support.callables import owner_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Flow", "FlowArgs", "flow"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class Flow(FlowDefinition, Generic[P, R_co]):
    """A flow definition. `fn` is the plain function. Raises `TypeError` for something that is not callable."""

    fn: Callable[P, R_co]

    def __init__(self, fn: Callable[P, R_co], **options: Unpack[FlowArgs]) -> None:
        self._set_up(fn, FlowOptions(**options))

    def _set_up(self, fn: Callable[P, R_co], options: FlowOptions) -> None:
        self._wrapped: Any = fn
        self.define(fn, options)

    def __getattr__(self, name: str) -> Any:
        if name in _OPTION_NAMES:
            return getattr(self.options, name)
        raise AttributeError(f"Flow '{self.__dict__.get('name', '?')}' has no attribute '{name}'")

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]
        self: Flow[..., Coroutine[Any, Any, T]], *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> Coroutine[Any, Any, State[T]]: ...
    @overload
    def __call__(self: Flow[..., T], *args: Any, return_state: Literal[True], **kwargs: Any) -> State[T]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the flow and give its value, or raise its exception; of an async flow a coroutine.

        Futures and states in the returned value are replaced by their results, in containers and in the fields of
        dataclasses, pydantic models, attrs classes and namedtuples; an iterator becomes the list of what it gives.
        With `return_state=True` the final `State` is given instead, by Prefect's rule: None counts all task runs,
        futures and states count themselves, anything else is completed. Every submitted task is waited for, also when
        the body raises.
        """
        from podtask.engine.flow_engine import run_async, run_sync, start

        return_state = bool(kwargs.pop("return_state", False))
        call = start(self, args, kwargs, return_state=return_state)
        return run_async(call) if self.isasync else run_sync(call)

    def with_options(self, **changes: Unpack[FlowArgs]) -> Flow[P, R_co]:
        """A copy with these options changed. What is not given stays; 0, [] and "" reset."""
        copy: Flow[P, R_co] = object.__new__(type(self))
        copy._set_up(self._wrapped, self.options.changed(changes))
        return copy

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Flow[P, R_co]: ...
    @overload
    def __get__(self: Flow[Concatenate[Any, Q], T], instance: object, owner: type | None = None) -> Flow[Q, T]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """On an object, the object is the first argument of the runs, as it is of methods; see `BoundFlow`."""
        found = owner_of(self._wrapped, instance, owner)
        return self if found is None else BoundFlow(self, found)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self._wrapped, replace(self.options, on_completion=(), on_failure=()))

    def _repr_html_(self) -> str:
        from podtask.display import last_runs
        from podtask.support.notebook import table

        given = [(name, getattr(self.options, name)) for name in ("version", "timeout_seconds", "backend")]
        rows = [("called as", f"{self.name}{self.signature}"), ("description", self.description), *given]
        last = last_runs.of(getattr(self, "_flow", self))
        return table(f"Flow {self.name}", [*rows, *(last.rows() if last else ())])

    def __repr__(self) -> str:
        return f"Flow({self.name!r})"


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


_OPTION_NAMES = frozenset(item.name for item in fields(FlowOptions))


@overload
def flow(fn: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(fn: None = None, /, **options: Unpack[FlowArgs]) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
@overload
def flow(fn: Callable[P, R], /, **options: Unpack[FlowArgs]) -> Flow[P, R]: ...
def flow(fn: Any = None, /, **options: Unpack[FlowArgs]) -> Any:
    """Make a function a `Flow`: `@flow` or `@flow(timeout_seconds=60, …)`. Options: `FlowOptions`."""
    if fn is None:
        return functools.partial(flow, **options)
    return Flow(fn, **options)


def _unpickled(kind: type[Flow[P, R]], fn: Callable[P, R], options: FlowOptions) -> Flow[P, R]:
    found: Flow[P, R] = object.__new__(kind)
    found._set_up(fn, options)  # noqa: SLF001 - a constructor of the class
    return found
