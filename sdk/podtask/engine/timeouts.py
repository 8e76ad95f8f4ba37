"""`timeout_seconds` of flows. A body in this process cannot be killed: when its time is over it is left behind,
its next call raises `FlowTimedOut`, and its unfinished task runs are cancelled.

Used by: `podtask.engine.flow_engine`. The timeout of tasks is the backend's business.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Elapsed
from contextvars import copy_context
from typing import Any

from podtask.engine.flow_run import FlowRun
from podtask.errors import FlowTimedOut


def call_within(seconds: float | None, run: FlowRun, body: Callable[[], Any]) -> Any:
    """The value of a sync body. Raises `FlowTimedOut` after `seconds`, whatever the body is doing."""
    if seconds is None:
        return body()
    outcome: Future[Any] = Future()
    context = copy_context()

    def follow() -> None:
        try:
            outcome.set_result(context.run(body))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            outcome.set_exception(error)

    threading.Thread(target=follow, name=f"podtask-{run.info.name}", daemon=True).start()
    try:
        return outcome.result(seconds)
    except Elapsed:
        if outcome.done():  # a TimeoutError of the body's own
            raise
    raise _over(run, seconds)


async def await_within(seconds: float | None, run: FlowRun, body: Coroutine[Any, Any, Any]) -> Any:
    """The value of an async body, which is cancelled after `seconds`. Raises `FlowTimedOut` then."""
    import asyncio

    if seconds is None:
        return await body
    task = asyncio.ensure_future(body)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if done:
        return task.result()
    timeout = _over(run, seconds)
    task.cancel()
    await asyncio.wait({task})
    raise timeout


def _over(run: FlowRun, seconds: float) -> FlowTimedOut:
    run.time_out()
    return FlowTimedOut(f"Flow run exceeded timeout of {float(seconds)} seconds: '{run.info.name}'.")
