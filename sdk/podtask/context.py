"""Where am I? The flow run and the task run around the code that asks, and the tags around a call.

Context variables carry it, so threads of the user's own see nothing. Written by: `podtask.engine.flow_engine` (flow
runs), `podtask.backends.in_process.attempt` (task runs). Inside a pod or a subprocess the runner's own context is read
instead.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from podtask.core import clock
from podtask.core.api import limits
from podtask.errors import NoRunContext
from podtask.support import run_logs
from podtask_runner.attempt.checkpoint import UNDECLARED, Checkpoint
from podtask_runner.loaded_modules import loaded

if TYPE_CHECKING:
    import asyncio
    import inspect
    from collections.abc import Callable

    from podtask.options import FlowOptions, TaskOptions
    from podtask.task_runners import TaskRunner


@dataclass(frozen=True)
class TaskRunInfo:
    """Identity of one task run, as its code sees it."""

    id: str
    name: str
    """What the run is called, inside and outside, on every backend."""
    flow_run_id: str
    flow_name: str = ""
    """In a pod as much of the name as a label can hold; so with `task_name`."""
    tags: frozenset[str] = field(default_factory=frozenset)
    task_key: str = ""
    """Empty in a pod or a subprocess."""
    dynamic_key: str = ""
    """The number of the call; empty in a pod or a subprocess."""
    run_count: int = 0
    """Number of the attempt, from 1; 0 while a cache key is computed."""
    task_name: str = ""
    flow_run_name: str = ""


class DescribedTask(Protocol):
    """A task as a `cache_key_fn` sees it: any `podtask.Task`."""

    name: str
    fn: Callable[..., Any]
    options: TaskOptions
    signature: inspect.Signature
    tags: set[str]
    task_key: str


@dataclass(frozen=True)
class TaskRunContext:
    """What `get_run_context()` gives inside a task, and what a `cache_key_fn` receives (Prefect's `TaskRunContext`)."""

    task: DescribedTask | None
    """None in a pod or a subprocess: only the function travels."""
    task_run: TaskRunInfo
    start_time: datetime
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Empty in a pod or a subprocess."""
    checkpoint: Checkpoint = field(default=UNDECLARED, repr=False, compare=False)
    """The progress of the task run, from one attempt to the next: `save(value)` and `load(default)`."""

    def __getstate__(self) -> dict[str, Any]:
        """Elsewhere it tells of the run, and saves nothing."""
        return {name: value for name, value in vars(self).items() if name != "checkpoint"}

    @property
    def flow_run_id(self) -> str:
        """Id of the flow run the task run belongs to."""
        return self.task_run.flow_run_id


@dataclass(frozen=True)
class FlowRunInfo:
    """Identity of one flow run. `id` is the first part of every run key, so a restarted driver finds its runs."""

    id: str
    name: str
    flow_name: str
    parent_id: str | None = None
    pin: str | None = None
    """Of an outermost run: what `PODTASK_FLOW_RUN_ID` has to be for a restarted driver to find its runs again."""
    ordinal: int = 0
    """How often the driver, or the flow around this one, had called this flow before."""


class DescribedFlow(Protocol):
    """A flow as its own code sees it: any `podtask.Flow`."""

    name: str
    fn: Callable[..., Any]
    options: FlowOptions
    signature: inspect.Signature


class OpenFlowRun(Protocol):
    """The flow run around a call, as futures see it; `podtask.engine.flow_run.FlowRun`."""

    info: FlowRunInfo
    loop: asyncio.AbstractEventLoop | None


@dataclass(frozen=True)
class FlowRunContext:
    """What `get_run_context()` gives inside a flow."""

    flow_run: FlowRunInfo
    start_time: datetime
    parameters: Mapping[str, Any]
    run: OpenFlowRun
    flow: DescribedFlow

    @property
    def flow_run_id(self) -> str:
        """Id of the flow run."""
        return self.flow_run.id

    @property
    def task_runner(self) -> TaskRunner:
        """How the flow makes its calls."""
        return self.flow.options.task_runner

    @property
    def task_run(self) -> TaskRunInfo:
        """Only tasks have one: raises `NoRunContext`."""
        raise NoRunContext("get_run_context().task_run")


def flow_run_name(flow_name: str, flow_run_id: str) -> str:
    """What a flow run is called: the flow, and the start of the run's id."""
    return f"{flow_name}-{flow_run_id[:8]}" if flow_name else ""


FLOW_RUN: ContextVar[FlowRunContext | None] = ContextVar("podtask_flow_run", default=None)
TASK_RUN: ContextVar[TaskRunContext | None] = ContextVar("podtask_task_run", default=None)
TAGS: ContextVar[frozenset[str]] = ContextVar("podtask_tags", default=frozenset())


@contextmanager
def tags(*names: str) -> Iterator[frozenset[str]]:
    """Task runs made inside carry these tags besides their own; nested contexts add up (`prefect.tags` in Prefect).

    Raises `ValueError` for more than a task run may have: 32 tags of 63 characters.
    """
    token = TAGS.set(limits.tags(TAGS.get() | frozenset(names)))
    try:
        yield TAGS.get()
    finally:
        TAGS.reset(token)


def current_task_run() -> TaskRunContext | None:
    """The task run around this code, here or inside a runner's child; None outside."""
    found = TASK_RUN.get() or _from_runner()
    return found and _of_item(found)


def get_run_context() -> TaskRunContext | FlowRunContext:
    """The innermost run around this code. Raises `NoRunContext` (a `RuntimeError`) outside of any."""
    context = current_task_run() or FLOW_RUN.get()
    if context is None:
        raise NoRunContext("get_run_context")
    return context


class RunLogger(logging.LoggerAdapter):  # type: ignore[type-arg]
    """A stdlib logger that marks every record with its run (`record.task_run_id`, `record.flow_run_id`, …)."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def get_run_logger(context: TaskRunContext | FlowRunContext | None = None, **extra: Any) -> RunLogger:
    """Logger `podtask.task_runs` or `podtask.flow_runs`, marked with the run and with `extra` (as in Prefect 2.0b5).

    `context`: that of another run than the one around this code, as in a thread of your own. Raises `NoRunContext`
    where there is no run.
    """
    found = context or current_task_run() or FLOW_RUN.get()
    if found is None:
        raise NoRunContext("get_run_logger")
    if isinstance(found, FlowRunContext):
        return flow_run_logger(found.flow_run, **extra)
    run_logs.show_by_default()  # inside a pod nobody else has
    return task_run_logger(found.task_run, **extra)


def flow_run_logger(run: FlowRunInfo, **extra: Any) -> RunLogger:
    """The logger of one flow run."""
    marks = {"flow_run_id": run.id, "flow_run_name": run.name, "flow_name": run.flow_name}
    return RunLogger(logging.getLogger("podtask.flow_runs"), {**marks, **extra})


def task_run_logger(run: TaskRunInfo, **extra: Any) -> RunLogger:
    """The logger of one task run."""
    marks = {
        "task_run_id": run.id,
        "task_run_name": run.name,
        "task_name": run.task_name,
        "flow_run_id": run.flow_run_id,
        "flow_run_name": run.flow_run_name,
        "flow_name": run.flow_name,
        "attempt": run.run_count,
    }
    return RunLogger(logging.getLogger("podtask.task_runs"), {**marks, **extra})


def _from_runner() -> TaskRunContext | None:
    """Inside a pod or a subprocess. The function itself is what travels, so `task` and `parameters` stay empty, and so
    do the parts of the run's key."""
    runner = loaded("podtask_runner.attempt.context")
    found = runner.current() if runner is not None else None
    if found is None:
        return None
    run = TaskRunInfo(
        found.task_run,
        found.run_name or found.task_name or found.task_run,
        found.flow_run,
        found.flow_name,
        frozenset(found.tags),
        run_count=found.attempt,
        task_name=found.task_name,
        flow_run_name=flow_run_name(found.flow_name, found.flow_run),
    )
    return TaskRunContext(None, run, clock.now(), checkpoint=found.checkpoint or UNDECLARED)


def _of_item(context: TaskRunContext) -> TaskRunContext:
    """In a batch: the context of the item that is being executed. It has no checkpoint: that is the batch's."""
    runner = loaded("podtask_runner.attempt.context")
    item = runner.ITEM.get() if runner is not None else None
    if item is None:
        return context
    run, parameters = replace(context.task_run, id=item.id, name=item.name), context.parameters
    if context.task is not None:
        run = replace(run, task_key=context.task.task_key, dynamic_key=item.number)
        bound = context.task.signature.bind(*item.args, **item.kwargs)
        bound.apply_defaults()
        parameters = dict(bound.arguments)
    return replace(context, task_run=run, parameters=parameters, checkpoint=UNDECLARED)
