"""Ctrl-C in a flow: the first cancels what the flow has started, a second one leaves without waiting for the end.

    KeyboardInterrupt (in asyncio: CancelledError) ──> cancel, say so, wait ──again──> say how to re-attach, leave

Either way the exception goes on to the caller. Where runs outlive this process (`Backend.detachable`), those that
were not cancelled by then go on, and the same command with `PODTASK_FLOW_RUN_ID` finds them again.
Used by: `podtask.engine`. Next on the road: `FlowRun.time_out`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from podtask.flowrun import FlowRun
from podtask.runs import TaskRun

PATIENCE_SECONDS = 60.0
"""How long cancelled runs are waited for; a pod has 30 s of grace."""


@contextmanager
def ending(flow: FlowRun) -> Iterator[None]:
    """Around the body and the waiting of a sync flow."""
    try:
        yield
    except KeyboardInterrupt:
        unfinished = _announced(flow)
        try:
            flow.time_out()
            end = time.monotonic() + PATIENCE_SECONDS
            for run in unfinished:
                run.wait(max(0.0, end - time.monotonic()))
        except KeyboardInterrupt:
            _detach(flow, unfinished)
        raise
    except BaseException:
        flow.cancel()
        raise


@asynccontextmanager
async def ending_async(flow: FlowRun) -> AsyncIterator[None]:
    """The same of an async flow, where Ctrl-C arrives as the cancellation of the main task."""
    import asyncio

    stopped = (KeyboardInterrupt, asyncio.CancelledError)
    try:
        yield
    except stopped:
        unfinished = _announced(flow)
        try:
            flow.time_out()
            end = time.monotonic() + PATIENCE_SECONDS
            for run in unfinished:
                await run.wait_async(max(0.0, end - time.monotonic()))
        except stopped:
            _detach(flow, unfinished)
        raise
    except BaseException:
        flow.cancel()
        raise


def _announced(flow: FlowRun) -> list[TaskRun]:
    """What is going to be cancelled, after saying so; nothing where a subflow has detached already."""
    unfinished = [] if flow.root.detached else flow.unfinished()
    if unfinished:
        again = "detaches: what is not cancelled by then goes on" if _outlives(unfinished) else "leaves at once"
        _say(f"Interrupted: cancelling {_runs(unfinished)} of flow run '{flow.info.name}'. A second Ctrl-C {again}.")
    return unfinished


def _detach(flow: FlowRun, unfinished: list[TaskRun]) -> None:
    flow.root.detached = True
    left = [run for run in unfinished if not run.finished]
    if not left:
        return
    if _outlives(left):
        _say(
            f"Detached from flow run '{flow.info.name}': {_runs(left)} may go on. To re-attach, run the same again "
            f"with PODTASK_FLOW_RUN_ID={flow.root.info.pin}"
        )
    else:
        _say(f"Left flow run '{flow.info.name}': {_runs(left)} had not ended yet and will end with this process.")


def _outlives(runs: list[TaskRun]) -> bool:
    return any(run.backend.detachable for run in runs)


def _runs(runs: list[TaskRun]) -> str:
    return "1 task run" if len(runs) == 1 else f"{len(runs)} task runs"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
