"""`Flow` and `@flow`: a function whose task calls are runs. Calling it gives its value, or raises.

    @flow ──> Flow ──call──> podtask.engine.flow_engine

Flows compose: a flow called inside a flow is a subflow. Seed: flows; differences are listed in the docs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, TypedDict, TypeVar, overload

from podtask.engine.hooks import Hook, checked
from podtask.states import State
from podtask.support.callables import function_of, name_of, owner_of, unwrapped
from podtask.task_runners import ConcurrentTaskRunner, TaskRunner

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Flow", "FlowArgs", "flow"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class FlowArgs(TypedDict, total=False):
    """Keywords of `@flow` and `with_options`; their meaning is told at `FlowOptions`."""

    name: str | None
    description: str | None
    version: str | None
    task_runner: TaskRunner
    timeout_seconds: float | None
    validate_parameters: bool
    log_prints: bool
    record_parameters: bool
    backend: str | None
    on_completion: Sequence[Hook]
    on_failure: Sequence[Hook]


@dataclass(frozen=True)
class FlowOptions:
    """Options of a flow. Raises `ValueError` for an impossible timeout."""

    name: str | None = None
    """Default: the function's name, with dashes for underscores."""
    description: str | None = None
    """Default: the function's docstring."""
    version: str | None = None
    task_runner: TaskRunner = ConcurrentTaskRunner()  # noqa: RUF009 - frozen, and without fields
    timeout_seconds: float | None = None
    """Of one run; async bodies are cancelled, sync ones left behind."""
    validate_parameters: bool = True
    """Check and coerce arguments by their annotations."""
    log_prints: bool = False
    record_parameters: bool = True
    """Show the arguments and the result in the record of a run (FlowRun); False: names and types only."""
    backend: str | None = None
    """Beats `PODTASK_BACKEND`; subflows use that of the flow around them."""
    on_completion: Sequence[Hook] = ()
    """Called in the driver, `(flow, run, state)`, when a run is completed; see `podtask.engine.hooks`."""
    on_failure: Sequence[Hook] = ()
    """The same when it failed."""

    def __post_init__(self) -> None:
        for name in ("on_completion", "on_failure"):
            object.__setattr__(self, name, checked(name, getattr(self, name)))
        if self.timeout_seconds is not None and not self.timeout_seconds > 0:
            raise ValueError(f"timeout_seconds must be a number greater than 0, not {self.timeout_seconds!r}")
        if isinstance(self.task_runner, type):
            object.__setattr__(self, "task_runner", self.task_runner())


class Flow(Generic[P, R_co]):
    """A flow definition. `fn` is the plain function. Raises `TypeError` for something that is not callable."""

    def __init__(self, fn: Callable[P, R_co], **options: Unpack[FlowArgs]) -> None:
        self._set_up(fn, FlowOptions(**options))

    def _set_up(self, fn: Callable[P, R_co], options: FlowOptions) -> None:
        self._given: Any = fn
        fn = unwrapped(fn)
        if not callable(fn):
            raise TypeError("'fn' must be callable")
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.options = options
        self.name = options.name or name_of(fn).replace("_", "-")
        self.description = options.description or inspect.getdoc(function_of(fn))
        self.isasync = inspect.iscoroutinefunction(function_of(fn))
        self.signature = inspect.signature(fn)

    def __getattr__(self, name: str) -> Any:
        if name in _OPTION_NAMES:
            return getattr(self.options, name)
        raise AttributeError(f"Flow '{self.__dict__.get('name', '?')}' has no attribute '{name}'")

    @functools.cached_property
    def adapters(self) -> dict[str, Any]:
        """Validators by parameter; made by the first call."""
        from podtask.engine.parameters import adapters_of

        return adapters_of(self.fn, self.signature)

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

        Futures in the returned value are replaced by their results. With `return_state=True` the final `State` is
        given instead, by the seed's rule: None counts all task runs, futures and states count themselves, anything
        else is completed. Every submitted task is waited for, also when the body raises.
        """
        from podtask.engine.flow_engine import run_async, run_sync, start

        return_state = bool(kwargs.pop("return_state", False))
        call = start(self, args, kwargs, return_state=return_state)
        return run_async(call) if self.isasync else run_sync(call)

    def with_options(self, **changes: Unpack[FlowArgs]) -> Flow[P, R_co]:
        """A copy with these options changed."""
        copy: Flow[P, R_co] = object.__new__(type(self))
        copy._set_up(self._given, replace(self.options, **changes))
        return copy

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Flow[P, R_co]: ...
    @overload
    def __get__(self: Flow[Concatenate[Any, Q], T], instance: object, owner: type | None = None) -> Flow[Q, T]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """On an object, the object is the first argument of the runs, as it is of methods; see `podtask.methods`."""
        from podtask.methods import BoundFlow

        found = owner_of(self._given, instance, owner)
        return self if found is None else BoundFlow(self, found)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self._given, replace(self.options, on_completion=(), on_failure=()))

    def _repr_html_(self) -> str:
        from podtask.support.notebook import table

        given = [(name, getattr(self.options, name)) for name in ("version", "timeout_seconds", "backend")]
        rows = [("called as", f"{self.name}{self.signature}"), ("description", self.description), *given]
        return table(f"Flow {self.name}", rows)

    def __repr__(self) -> str:
        return f"Flow({self.name!r})"


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
