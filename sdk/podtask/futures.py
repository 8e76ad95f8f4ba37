"""What a task call returns: a handle on its run. Completed by callback, so waiting costs no thread.

`TaskFuture` waits by blocking (sync tasks everywhere, async tasks in sync flows), `AsyncTaskFuture` by coroutines
(async tasks in async flows). Both can be passed to further tasks. Before: `podtask.model.task_run`.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from podtask.context import FLOW_RUN
from podtask.errors import BlockingCall
from podtask.states import State
from podtask.support import notebook
from podtask_runner.loaded_modules import loaded

if TYPE_CHECKING:
    from podtask.model.task_run import TaskRun

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class BaseFuture(Generic[R_co]):
    """What both kinds share. Hashable by run id; true in a boolean context, with a warning."""

    def __init__(self, run: TaskRun) -> None:
        self._run = run

    @property
    def run_id(self) -> str:
        """Deterministic id of the task run; on a cluster the name of its TaskRun."""
        return self._run.id

    @property
    def name(self) -> str:
        """Name of the task run for people: task, key, call number."""
        return self._run.name

    @property
    def task_run(self) -> TaskRun:
        """The record behind the future."""
        return self._run

    @property
    def history(self) -> tuple[State[R_co], ...]:
        """The states this process has seen, oldest first."""
        return self._run.history

    def done(self) -> bool:
        """Whether the run is finished; never blocks."""
        return self._run.finished

    def add_done_callback(self, tell: Callable[[BaseFuture[R_co]], object]) -> None:
        """Call `tell(self)` when the run is finished, on the thread that learns of it; at once, if it is."""
        self._run.on_finished(partial(tell, self))

    def __await__(self) -> Generator[Any, None, R_co]:
        return _result(self._run, None).__await__()

    def __hash__(self) -> int:
        return hash(self._run.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BaseFuture) and other._run is self._run

    def __bool__(self) -> bool:
        warnings.warn(
            f"A future is always true; '{self.name}' stands for a result that may not exist yet: ask .result().",
            stacklevel=2,
        )
        return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _repr_html_(self) -> str:
        from podtask.states import utc_now
        from podtask.support.notebook import strip, table

        run = self._run
        seen = " → ".join(state.name for state in run.history)
        moments = [state.timestamp for state in run.history]
        until = [*moments[1:], moments[-1] if run.finished else utc_now()]
        lasted = [max(0.0, (end - begin).total_seconds()) for begin, end in zip(moments, until, strict=True)]
        picture = [
            (state.name, seconds, f"{state.name} {seconds:.1f} s")
            for state, seconds in zip(run.history, lasted, strict=True)
        ]
        rows = [("state", run.state), ("so far", seen), ("", strip(picture))]
        rows += [("attempts", run.status.attempts_total or None)]
        return table(f"Task run {self.name}", [*rows, ("flow run", run.flow.name), ("id", run.id)])

    def __podtask_hash__(self) -> tuple[str, str]:
        return "future", self._run.id  # what stands for a future in the digest of a call

    def __reduce__(self) -> tuple[Any, ...]:
        # Only a quoted future gets here: the task receives what was known of it at the call.
        return _snapshot, (self.name, self._run.state)


class TaskFuture(BaseFuture[R_co]):
    """Future of a task run; its methods block. In an async flow, `await future` gives the result instead."""

    def get_state(self) -> State[R_co]:
        """The latest known state; never blocks."""
        return self._run.state

    def cancel(self) -> None:
        """Ask for the end of the run; a result that is stored meanwhile wins."""
        self._run.cancel()

    def wait(self, timeout: float | None = None) -> State[R_co] | None:
        """The final state, or None when it is not there after `timeout` seconds."""
        return self._run.state if block_and_warn(self._run, timeout) else None

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R_co:  # noqa: FBT001, FBT002 - Prefect's
        """The value. Raises the task's exception (returned instead with `raise_on_failure=False`), a
        `podtask.errors.RunError` where it has none, and `TimeoutError` after `timeout` seconds.
        """
        if not block_and_warn(self._run, timeout):
            raise _elapsed(self._run, timeout)
        return _outcome(self._run, raise_on_failure)  # type: ignore[no-any-return]


class AsyncTaskFuture(BaseFuture[R_co]):
    """Future of an async task in an async flow; its methods are coroutines."""

    async def get_state(self) -> State[R_co]:
        """The latest known state."""
        return self._run.state

    def cancel(self) -> Awaitable[None]:
        """As `TaskFuture.cancel`, at once; may be awaited like the other methods, and need not be."""
        self._run.cancel()
        return _Done()

    async def wait(self, timeout: float | None = None) -> State[R_co] | None:
        """The final state, or None when it is not there after `timeout` seconds."""
        return self._run.state if await self._run.wait_async(timeout) else None

    async def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R_co:  # noqa: FBT001, FBT002 - Prefect's
        """As `TaskFuture.result`."""
        return await _result(self._run, timeout, raise_on_failure)  # type: ignore[no-any-return]


class _Done:
    """An awaitable with nothing left to do, which nobody is warned of where it is not awaited."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


class Submitted(Coroutine[Any, Any, AsyncTaskFuture[R_co]]):
    """What calling an async task in an async flow gives: it runs already; `await` it for its future.

    A coroutine to asyncio and anyio, so that task groups take it; but nobody is warned where it is not awaited.
    """

    def __init__(self, run: TaskRun, *, until_done: bool = False) -> None:
        self._run = run
        self._until_done = until_done
        self._started: Coroutine[Any, Any, AsyncTaskFuture[R_co]] | None = None

    def __await__(self) -> Generator[Any, None, AsyncTaskFuture[R_co]]:
        if self._until_done:
            yield from self._run.wait_async().__await__()
        return AsyncTaskFuture(self._run)

    def send(self, value: Any) -> Any:
        return self._coroutine().send(value)

    def throw(self, *error: Any) -> Any:
        return self._coroutine().throw(*error)

    def close(self) -> None:
        if self._started is not None:
            self._started.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("cr_"):  # `inspect.getcoroutinestate`, of the task that was made of it
            return getattr(self._coroutine(), name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def _coroutine(self) -> Coroutine[Any, Any, AsyncTaskFuture[R_co]]:
        if self._started is None:
            self._started = self._awaited()
        return self._started

    async def _awaited(self) -> AsyncTaskFuture[R_co]:
        return await self

    def __repr__(self) -> str:
        return f"Submitted({self._run.name!r})"


async def _result(run: TaskRun, timeout: float | None, raise_on_failure: bool = True) -> Any:  # noqa: FBT001, FBT002
    if not await run.wait_async(timeout):
        raise _elapsed(run, timeout)
    if run.payload is not None:
        return _outcome(run, raise_on_failure)
    import asyncio

    return await asyncio.to_thread(_outcome, run, raise_on_failure)  # the bytes may have to be fetched


def _outcome(run: TaskRun, raise_on_failure: bool) -> Any:  # noqa: FBT001
    if raise_on_failure or run.status.state.succeeded:
        with notebook.folded():
            return run.load()
    return run.state.exception()


def _elapsed(run: TaskRun, timeout: float | None) -> TimeoutError:
    return TimeoutError(f"Task run '{run.name}' was not finished after {timeout:g} s; it is {run.state}.")


def block_on(run: TaskRun, timeout: float | None = None) -> bool:
    """Wait in this thread; whether the run is finished. Raises `BlockingCall` where that could never be.

    For what means to block, also on a running loop: a sync flow in a notebook cell, a sync subflow, a sequential call.
    """
    loop = _running_loop()
    if loop is not None and not run.finished:
        _refuse_deadlock(run, loop)
    return run.wait(timeout)


def block_and_warn(run: TaskRun, timeout: float | None = None) -> bool:
    """As `block_on`, for the user's own waits: in the body of an async flow there is a better way."""
    warn_of_blocking(run, stacklevel=4)
    return block_on(run, timeout)


def warn_of_blocking(run: TaskRun, instead: str = "await future", *, stacklevel: int) -> None:
    """Warn where a wait for this run stops the loop of an async flow; raises `BlockingCall` where it never ends."""
    loop = _running_loop()
    context = FLOW_RUN.get()
    if loop is None or context is None or context.run.loop is not loop or run.finished:
        return
    _refuse_deadlock(run, loop)
    warnings.warn(f"Waiting for '{run.name}' blocks the event loop; write '{instead}'.", stacklevel=stacklevel)


def _refuse_deadlock(run: TaskRun, loop: object) -> None:
    pending, seen = [run], {run.id}
    while pending:
        current = pending.pop()
        if current.finished:
            continue
        if current.loop is loop and current.task.isasync:
            raise BlockingCall(run.name)
        whole = (current.part_of,) if current.part_of is not None else ()
        fresh = [needed for needed in (*current.needs, *whole) if needed.id not in seen]
        seen.update(needed.id for needed in fresh)
        pending += fresh


def _running_loop() -> object | None:
    asyncio = loaded("asyncio")
    if asyncio is None:
        return None  # nobody runs a loop, and importing it costs as much as all of podtask
    try:
        return asyncio.get_running_loop()  # type: ignore[no-any-return]
    except RuntimeError:
        return None


def ref(future: BaseFuture[R]) -> R:
    """The future itself, typed as its result: `add(ref(first), 2)` satisfies mypy and pyright. No waiting."""
    return cast("R", future)


def _snapshot(name: str, state: State[Any]) -> Any:
    return QuotedFuture(name, state)


class QuotedFuture:
    """What a task receives for `quote(future)`: the future's name and the state it had at the call."""

    def __init__(self, name: str, state: State[Any]) -> None:
        self.name = name
        self.state = state

    def get_state(self) -> State[Any]:
        """The state at the time of the call."""
        return self.state
