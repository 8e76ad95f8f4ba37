"""One attempt in this process: arguments in, one `Outcome` out. The verdicts are the runner's own.

Used by `podtask.backends.local`. The function `cache_key` is called wherever a user's `cache_key_fn` runs in the
driver.
Before: `podtask.backends.in_process.controller`. Beside: `podtask_runner.attempt.execute`, which does the same inside a
pod.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from podtask.context import TASK_RUN, TaskRunContext, task_run_logger
from podtask.core import clock
from podtask.core.api.limits import KEY_LIMIT
from podtask.core.tracing.context import inside_attempt
from podtask.states import open_returned
from podtask.support.print_capture import prints_to
from podtask_runner.attempt.checkpoint import UNDECLARED, Checkpoint
from podtask_runner.attempt.execute import drained
from podtask_runner.attempt.in_memory import MemorySink
from podtask_runner.tracing import inside

if TYPE_CHECKING:
    from podtask.model.task_run import TaskRun
    from podtask_runner.protocol import Outcome


@dataclass(frozen=True)
class Retries:
    """What the retry condition may know of the budget."""

    retries_left: int
    retries_used: int


@dataclass(frozen=True)
class InProcess:
    """One attempt, ready to be called on a thread (`run`) or on an event loop (`run_async`)."""

    run_: TaskRun
    number: int
    retries: Retries
    checkpoint: Checkpoint = UNDECLARED
    given_up: threading.Event = field(default_factory=threading.Event)
    """Set where the thread is left behind: a batch begins no further item."""

    def run(self) -> tuple[Outcome, bytes | None]:
        """Call the sync function in a context of its own; nothing is raised."""
        try:
            return Context().run(self._call)
        except BaseException as error:  # noqa: BLE001 - podtask's own: every end has a verdict
            return broken(error), None

    async def run_async(self) -> tuple[Outcome, bytes | None]:
        """Await the async function. The caller gives the context; nothing is raised."""
        try:
            return await self._await()
        except BaseException as error:  # noqa: BLE001 - as in `run`
            return broken(error), None

    async def _await(self) -> tuple[Outcome, bytes | None]:
        try:
            args, kwargs = arguments(self.run_)
            with self._inside(args, kwargs):
                value = drained(await self._function()(*args, **kwargs))
            value = open_returned(value)
        except BaseException as error:  # noqa: BLE001 - every end has a verdict
            return self._raised(error)
        return self._returned(value)

    def _call(self) -> tuple[Outcome, bytes | None]:
        try:
            args, kwargs = arguments(self.run_)
            with self._inside(args, kwargs):
                value = self._function()(*args, **kwargs)
                if isinstance(value, Coroutine):  # a callable that turned out to be async
                    import asyncio

                    value = asyncio.run(value)
                value = drained(value)
            value = open_returned(value)
        except BaseException as error:  # noqa: BLE001 - every end has a verdict
            return self._raised(error)
        return self._returned(value)

    def _function(self) -> Callable[..., Any]:
        """What is called with the arguments of the run."""
        task = self.run_.task
        if not task.batched:
            return task.fn
        from podtask.payloads.code import batch
        from podtask_runner.attempt.batch import Rules, Running
        from podtask_runner.attempt.execute import completed, raised, value_of

        rules = Rules(value_of, completed, raised)
        return Running(
            batch(task), rules, self.retries, self.checkpoint, self.number, MemorySink().tell, self.given_up.is_set
        )

    @contextlib.contextmanager
    def _inside(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        run = self.run_
        info = replace(run.info, run_count=self.number)
        parameters = named(run, args, kwargs)
        about = run.task.batched or run.task
        token = TASK_RUN.set(TaskRunContext(about, info, clock.now(), parameters, self.checkpoint))
        try:
            with (
                prints_to(task_run_logger(info)) if run.task.options.log_prints else contextlib.nullcontext(),
                contextlib.nullcontext() if run.traceparent is None else self._span(run.traceparent),
            ):
                yield
        finally:
            TASK_RUN.reset(token)

    def _span(self, traceparent: str) -> contextlib.AbstractContextManager[None]:
        """Spans of the user's are children of the attempt's."""
        here = inside_attempt(self.run_.uid or "", self.number, traceparent)
        return contextlib.nullcontext() if here is None else inside(here)

    def _returned(self, value: Any) -> tuple[Outcome, bytes | None]:
        from podtask_runner.attempt import execute

        sink = MemorySink()
        outcome = execute.completed(value, sink)
        return outcome, sink.result.data if outcome.result else sink.error.data

    def _raised(self, error: BaseException) -> tuple[Outcome, bytes | None]:
        from podtask.payloads.code import shipped
        from podtask_runner.attempt import execute

        _forget_own_frames(error)
        sink = MemorySink()
        timings: dict[str, float] = {}
        outcome = execute.raised(error, shipped(self.run_.task), self.retries, sink, timings)
        return replace(outcome, timings=timings), sink.error.data


def broken(error: BaseException) -> Outcome:
    """The outcome of an attempt that podtask itself could not bring to its end."""
    from podtask_runner.protocol import Error, Outcome, Verdict
    from podtask_runner.serialization.exceptions import message_of

    text = f"Execution was interrupted by an unexpected exception: {type(error).__name__}: {message_of(error)}"
    return Outcome(Verdict.CRASHED, error=Error(type(error).__name__, text, retryable=False))


def _forget_own_frames(error: BaseException) -> None:
    """The traceback begins where the user's code does."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__") == __name__:
        trace = trace.tb_next
    error.__traceback__ = trace or error.__traceback__


def arguments(run: TaskRun) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A fresh copy of the arguments, upstream results in their places (each is loaded once)."""
    from podtask_runner.serialization.pickling import loads

    by_id = {upstream.id: upstream for upstream in run.upstreams}
    loaded: dict[str, Any] = {}

    def resolve(ref: str) -> Any:
        if ref in run.inputs.files:
            return run.inputs.files[ref]
        if ref not in loaded:
            loaded[ref] = value_or_failure(by_id[ref])
        return loaded[ref]

    args, kwargs = loads(run.inputs.payload, resolve=resolve)
    return tuple(args), dict(kwargs)


def value_or_failure(needed: TaskRun) -> Any:
    """What a task gets of a run that it needs: the value, or the exception of one that failed and may."""
    if needed.status.state.succeeded:
        return needed.load()
    from podtask.engine.task_result import allowed_failure
    from podtask_runner.serialization.failures import exception_of

    return exception_of(*allowed_failure(needed))


def named(run: TaskRun, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by parameter name, as `cache_key_fn` and `get_run_context().parameters` see them."""
    bound: inspect.BoundArguments = run.task.signature.bind(*args, **kwargs)
    bound.apply_defaults()  # an empty *args or **kwargs is a parameter as well (as in Prefect 2.0b5)
    return dict(bound.arguments)


def cache_key(run: TaskRun) -> str | None:
    """What the task's `cache_key_fn` answers for the resolved arguments; outside of any context, as in Prefect."""
    key_fn = run.task.options.cache_key_fn
    if key_fn is None:
        return None
    args, kwargs = arguments(run)
    parameters = named(run, args, kwargs)
    context = TaskRunContext(run.task, run.info, clock.now(), parameters)
    key = Context().run(key_fn, context, parameters)
    return None if key is None or key == "" else checked_key(str(key), run.task.name)


def checked_key(key: str, task_name: str) -> str:
    """The key as every store and API server takes it. Raises `ValueError` for one that is too long for the cluster.

    A file name may hold lone surrogates, which no UTF-8 has; such a key is written with escapes, and a hash of itself.
    """
    try:
        key.encode()
    except UnicodeEncodeError:
        mark = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        key = f"{key.encode('utf-8', 'backslashreplace').decode()}#{mark}"
    if len(key) > KEY_LIMIT:
        raise ValueError(
            f"cache_key_fn of task '{task_name}' answered a key of {len(key)} characters; at most {KEY_LIMIT} are "
            f"possible. Answer a hash of it, such as hashlib.sha256(key.encode()).hexdigest()."
        )
    return key
