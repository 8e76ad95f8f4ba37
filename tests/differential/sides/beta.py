"""prefect 2.0b5 as the scenarios see it. Runs in its own environment only: see `tests.differential.record`."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from prefect import flow, get_run_logger, tags, task
from prefect.client import get_client
from prefect.context import FlowRunContext, TaskRunContext, get_run_context
from prefect.futures import PrefectFuture
from prefect.orion.schemas.states import Cancelled, Completed, Failed, State
from prefect.task_runners import SequentialTaskRunner
from prefect.tasks import Task, task_input_hash
from prefect.utilities.collections import quote

__all__ = [
    "Cancelled",
    "Completed",
    "Failed",
    "SequentialTaskRunner",
    "Task",
    "flow",
    "get_run_context",
    "get_run_logger",
    "quote",
    "tags",
    "task",
    "task_input_hash",
]

LOGGERS = "prefect"
PAGE = 200
_known: set[Any] = set()
"""Task runs of earlier flows."""


def final_state(called: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The state a flow call ends in: that is what every call gives."""
    return called(*args, **kwargs)


def is_state(value: Any) -> bool:
    return isinstance(value, State)


def is_future(value: Any) -> bool:
    return isinstance(value, PrefectFuture)


def data(state: Any) -> Any:
    """What the state carries."""
    if state.data is None:
        return None
    with ThreadPoolExecutor(1) as beside:  # an async flow may be running on this thread
        return beside.submit(copy_context().run, asyncio.run, _resolved(state)).result()


def result(state: Any) -> Any:
    return state.result()


def in_task_context() -> bool:
    return TaskRunContext.get() is not None


def in_flow_context() -> bool:
    return FlowRunContext.get() is not None


def runs(trace: Any) -> list[dict[str, Any]]:
    """Task runs made since this was last asked, in the order of their calls."""
    found = asyncio.run(_runs())
    labels = {run.id: f"{run.name.rsplit('-', 2)[0]} {index}" for index, (run, *_) in enumerate(found)}
    return [_told(trace, labels, *entry) for entry in found]


async def _resolved(state: Any) -> Any:
    async with get_client() as client:
        return await client.resolve_datadoc(state.data)


async def _runs() -> list[Any]:
    """Without the task runs the beta's server keeps to stand for subflows: nobody called them."""
    async with get_client() as client:
        found = [run for run in await _all(client.read_task_runs) if run.id not in _known]
        _known.update(run.id for run in found)
        parents = {run.parent_task_run_id for run in await _all(client.read_flow_runs)}
        found = sorted((run for run in found if run.id not in parents), key=lambda run: run.created)
        told = []
        for run in found:
            history = sorted(await client.read_task_run_states(run.id), key=lambda state: state.timestamp)
            data = await client.resolve_datadoc(run.state.data) if run.state.data is not None else None
            told.append((run, history, data))
        return told


async def _all(read: Any) -> list[Any]:
    found: list[Any] = []
    while page := await read(offset=len(found), limit=PAGE):
        found += page
    return found


def _told(trace: Any, labels: dict[Any, str], run: Any, history: list[Any], data: Any) -> dict[str, Any]:
    needs = {
        name: [labels[item.id] for item in inputs if item.id in labels] for name, inputs in run.task_inputs.items()
    }
    failed = run.state.is_failed() and isinstance(data, BaseException)
    return {
        "name": trace.shown(run.name),
        "history": " > ".join(state.name for state in history),
        "type": run.state.type.value,
        "message": trace.shown(run.state.message) if run.state.message else None,
        "run_count": run.run_count,
        "tags": sorted(run.tags),
        "inputs": {name: ", ".join(sorted(found)) or "-" for name, found in needs.items()},
        "outcome": f"{'raises' if failed else 'gives'} {trace.shown(data)}",
    }
