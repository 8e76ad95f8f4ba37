"""Ctrl-C in a flow: the first cancels what the flow has started, a second one leaves without waiting for the end.

    KeyboardInterrupt (in asyncio: CancelledError) ──> cancel, say so, wait ──again──> say how to re-attach, leave
    any exception after `told_to_stop` ──> leave, or cancel where the driver itself was cancelled

Either way the exception goes on to the caller. Where runs outlive this process (`Backend.detachable`), those that
were not cancelled by then go on, and the same command with `PODTASK_FLOW_RUN_ID` finds them again.
Used by: `podtask.engine.flow_engine`, `podtask.driver` (a driver that is told to stop). Next on the road:
`FlowRun.time_out`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from podtask.engine.flow_run import FlowRun
from podtask.model.task_run import TaskRun
from podtask.support import keyboard

PATIENCE_SECONDS = 60.0
"""How long cancelled runs are waited for; a pod has 30 s of grace."""
_is_cancelled: Callable[[], bool] | None = None


def told_to_stop(is_cancelled: Callable[[], bool]) -> None:
    """This process is going to end, and another one will go on with its flow unless `is_cancelled()`.

    For a handler of a signal; asked by the flow runs that the signal's exception ends, by each of them.
    """
    global _is_cancelled  # noqa: PLW0603 - a signal is for the whole process
    _is_cancelled = is_cancelled


@contextmanager
def ending(flow: FlowRun) -> Iterator[None]:
    """Around the body and the waiting of a sync flow."""
    try:
        yield
    except KeyboardInterrupt:
        try:
            if not _stopped(flow):
                unfinished = _announced(flow)
                flow.time_out()
                _until_finished(unfinished)
        except KeyboardInterrupt:
            _detach(flow)
        raise
    except BaseException:
        if not _stopped(flow):
            flow.cancel()
        raise


def _until_finished(runs: list[TaskRun]) -> None:
    """For `PATIENCE_SECONDS` at most, and a second at a time: a Ctrl-C just before a wait begins is seen at its end."""
    end = time.monotonic() + PATIENCE_SECONDS
    for run in runs:
        while not run.wait(min(1.0, max(0.0, end - time.monotonic()))) and time.monotonic() < end:
            pass


@asynccontextmanager
async def ending_async(flow: FlowRun) -> AsyncIterator[None]:
    """The same of an async flow, where Ctrl-C arrives as the cancellation of the main task."""
    import asyncio

    stopped = (KeyboardInterrupt, asyncio.CancelledError)
    try:
        with keyboard.watched():
            yield
    except stopped:
        try:
            if not _stopped(flow):
                unfinished = _announced(flow)
                flow.time_out()
                end = time.monotonic() + PATIENCE_SECONDS
                for run in unfinished:
                    await run.wait_async(max(0.0, end - time.monotonic()))
        except stopped:
            _detach(flow)
        raise
    except BaseException:
        if not _stopped(flow):
            flow.cancel()
        raise


def _stopped(flow: FlowRun) -> bool:
    """Whether this process was told to stop; then the flow is left, or cancelled, already."""
    if _is_cancelled is None:
        return False
    if _is_cancelled():
        flow.cancel()
    elif not flow.root.detached:
        flow.root.detached = True
        left = flow.root.unfinished()
        go = "goes" if len(left) == 1 else "go"
        what = f", {_runs(left)} {go} on for the next attempt to find" if left else ""
        _say(f"podtask: Told to stop: detached from flow run '{flow.root.info.name}'{what}.")
    return True


def _announced(flow: FlowRun) -> list[TaskRun]:
    """What is going to be cancelled, after saying so; nothing where a subflow has detached already."""
    unfinished = [] if flow.root.detached else flow.unfinished()
    if unfinished:
        again = "detaches: what is not cancelled by then goes on" if _outlives(unfinished) else "leaves at once"
        _say(f"Interrupted: cancelling {_runs(unfinished)} of flow run '{flow.info.name}'. A second Ctrl-C {again}.")
    return unfinished


def _detach(flow: FlowRun) -> None:
    """Leave what has not ended; nothing more to say where a subflow has left already."""
    flow.cancel(here=True)
    left = [] if flow.root.detached else flow.unfinished()
    flow.root.detached = True
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
