"""Running a flow: open its run, call the body, wait for every task it submitted, and say how it ended.

Sync and async flows differ in how the body is called and how waiting is spelled; everything else is one path:

    start ──> body ──> wait for all task runs ──> settle (state) ──> answer (value, exception or state)

Before: `podtask.flows`. Beside: `podtask.engine.flow_result` (the flow result rule), `podtask.engine.timeouts`
(timeouts), `podtask.engine.parameters` (parameters).
"""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections import Counter
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from podtask import settings
from podtask.context import (
    FLOW_RUN,
    FlowRunContext,
    FlowRunInfo,
    current_task_run,
    flow_run_logger,
    flow_run_name,
    get_run_logger,
)
from podtask.core import clock
from podtask.core.api.names import State as Word
from podtask.display import last_runs
from podtask.display.progress import for_flow as progress_of
from podtask.engine import registry
from podtask.engine.flow_result import final_state, replaced, value_of
from podtask.engine.flow_run import FlowRun, current
from podtask.engine.hooks import due
from podtask.engine.interrupts import ending, ending_async
from podtask.engine.parameters import validated
from podtask.engine.timeouts import await_within, call_within
from podtask.errors import FlowTimedOut, InsideTask, ParameterTypeError
from podtask.futures import BaseFuture, block_on
from podtask.payloads.allowed_failures import without
from podtask.recording.record import recorded
from podtask.states import State, StateType
from podtask.support import notebook, run_logs
from podtask.support.containers import leaves, listed
from podtask.support.print_capture import prints_to
from podtask.tracing import switch as tracing

if TYPE_CHECKING:
    from podtask.model.definitions import FlowDefinition

_top_level: Counter[str] = Counter()
"""Top-level calls of this process by pinned run id and flow, so that a restarted driver counts alike."""
_counting = threading.Lock()
_pins: dict[int, str] = {}


@dataclass
class Call:
    """One call of a flow, from its arguments to its end."""

    flow: FlowDefinition
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    return_state: bool
    parent: FlowRun | None
    run: FlowRun
    parameters: dict[str, Any] = field(default_factory=dict)
    returned: Any = None
    error: BaseException | None = None
    state: State[Any] | None = None


def start(flow: FlowDefinition, args: tuple[Any, ...], kwargs: dict[str, Any], *, return_state: bool) -> Call:
    """Open the run of a flow call. Raises `InsideTask`, `UnknownBackend`, and `TypeError` as the function would."""
    inside = current_task_run()
    if inside is not None:
        raise InsideTask("Flow", flow.name, inside.task_run.name)
    bound = flow.signature.bind(*args, **kwargs)
    bound.apply_defaults()
    parent = current()
    if parent is not None:  # as for a task; futures inside are looked for
        bound.arguments.update({name: listed(value) for name, value in bound.arguments.items()})
    bound.arguments.update({name: without(value) for name, value in bound.arguments.items()})  # failures come anyway
    if parent is not None and parent.over:
        raise FlowTimedOut(f"Flow run timed out: '{parent.info.name}' makes no further calls, '{flow.name}' was one.")
    run_logs.show_by_default()
    backend = parent.backend if parent and flow.options.backend is None else registry.get(flow.options.backend)
    info = _identity(flow, parent)
    run = FlowRun(info, backend, flow.options.task_runner, parent=parent)
    return Call(flow, bound.args, bound.kwargs, return_state, parent, run, dict(bound.arguments))


def run_sync(call: Call) -> Any:
    """A sync flow, in the caller's thread; with a timeout in a thread of its own, which may be left behind."""
    for future in _futures_among(call):
        block_on(future.task_run)
    with _traced(call), _shown(call), recorded(call) as record, ending(call.run):
        accepted = _accepts(call)
        record.begin()
        if accepted:
            with _body(call):
                limit = call.flow.options.timeout_seconds
                call.returned = call_within(limit, call.run, lambda: listed(call.flow.fn(*call.args, **call.kwargs)))
        for run in call.run.runs:
            block_on(run)
        _settle(call).result()
    return _answer(call)


async def run_async(call: Call) -> Any:
    """An async flow, on the caller's loop."""
    import asyncio

    call.run.loop = asyncio.get_running_loop()
    for future in _futures_among(call):
        await future.task_run.wait_async()
    with _traced(call), _shown(call), recorded(call) as record:
        async with ending_async(call.run):
            accepted = _accepts(call)
            await asyncio.to_thread(record.begin)
            if accepted:
                with _body(call):
                    call.returned = await await_within(call.flow.options.timeout_seconds, call.run, _async_body(call))
            for run in call.run.runs:
                await run.wait_async()
            await asyncio.wrap_future(_settle(call))
        await asyncio.to_thread(record.end)
    return _answer(call)


async def _async_body(call: Call) -> Any:
    """The value of the body. An iterator is exhausted as part of the body, because it may call tasks."""
    body: Coroutine[Any, Any, Any] = call.flow.fn(*call.args, **call.kwargs)
    return listed(await body)


def _futures_among(call: Call) -> list[Any]:
    """Futures in the parameters of a subflow, found where results are put in their places."""
    return [item for item in leaves((call.args, call.kwargs)) if isinstance(item, BaseFuture)]


def _accepts(call: Call) -> bool:
    """Resolve and validate the parameters. Returns False, with the flow failed, where the annotations refuse them."""
    args, kwargs = replaced((call.args, call.kwargs), _as_data)
    try:
        if call.flow.options.validate_parameters:
            args, kwargs = validated(call.flow, args, kwargs)
    except ParameterTypeError as error:
        call.error = error
        return False
    call.args, call.kwargs = args, kwargs
    call.parameters = dict(call.flow.signature.bind(*args, **kwargs).arguments)
    return True


def _as_data(item: Any) -> Any:
    """A failed upstream of a subflow arrives as its exception (as in Prefect 2.0b5)."""
    state = item.task_run.state if isinstance(item, BaseFuture) else item
    return state.result if state.is_completed() else state.exception()


def _identity(flow: FlowDefinition, parent: FlowRun | None) -> FlowRunInfo:
    """Who this run is: derived from the run around it, or from the pinned id of this driver."""
    pin = None if parent else settings.load().flow_run_id or _own_pin()
    place = f"{parent.info.id if parent else pin} {flow.name}"
    number = parent.count(f"flow {flow.name}") if parent else _next(place)
    run_id = run_id_of(place, number)
    around = parent.info.id if parent else None
    return FlowRunInfo(run_id, flow_run_name(flow.name, run_id), flow.name, around, pin, int(number))


def run_id_of(place: str, number: str = "0") -> str:
    """The id of the n-th run of a flow in a driver or flow run; `place`: the id around it, a blank, the flow's name."""
    return str(uuid.UUID(bytes=hashlib.sha256(f"{place} {number}".encode()).digest()[:16]))


def _next(place: str) -> str:
    with _counting:
        _top_level[place] += 1
        return str(_top_level[place] - 1)


def _own_pin() -> str:
    """An id for this process, where none was given; a forked child is another driver."""
    return _pins.setdefault(os.getpid(), str(uuid.uuid4()))


@contextmanager
def _traced(call: Call) -> Iterator[None]:
    """Write the spans of the run, where tracing is on."""
    trace = tracing.begin(call.run.info, call.parent.trace if call.parent is not None else None)
    if trace is None:
        yield
        return
    call.run.trace = trace
    if not call.run.backend.remote:  # else the operator writes them
        call.run.listeners.append(trace.news)
    with trace.current():
        yield
        if call.state is not None:
            trace.settled(call.state)


@contextmanager
def _shown(call: Call) -> Iterator[None]:
    """Show the progress of the run on stderr."""
    progress = None
    if call.parent is None:
        progress = progress_of(call.run.info.name, call.run.backend.name)
        call.run.show(progress)
    try:
        with notebook.folded():
            yield
    finally:
        if progress is not None:
            progress.close()
        last_runs.remember(call.flow, call.run.info.name, call.run.runs)


@contextmanager
def _body(call: Call) -> Iterator[None]:
    """Run the body inside the flow's context. An exception of the body is kept for the end of the flow."""
    token = FLOW_RUN.set(FlowRunContext(call.run.info, clock.now(), call.parameters, call.run, call.flow))
    try:
        with prints_to(get_run_logger()) if call.flow.options.log_prints else nullcontext():
            yield
    except Exception as error:  # noqa: BLE001 - the flow's own exception is its outcome
        call.error = error
    finally:
        FLOW_RUN.reset(token)


def _settle(call: Call) -> Future[None]:
    """After every run ended: the flow's state, and its hooks behind those of its tasks. Done when all were called."""
    call.state = _of_run(_state(call), call.run.info.id)
    call.run.hooks.call(due(call.flow.options, call.state), call.flow, call.run.info, call.state)
    return call.run.hooks.drained()


def _answer(call: Call) -> Any:
    """What the caller gets after everything has ended: a value, an exception or a state."""
    state = call.state
    assert state is not None
    if call.parent is not None:
        call.parent.subflow_states.append(state)
    if call.return_state:
        _log_end(call, state)
        return state
    with notebook.folded():
        if call.error is not None:
            raise call.error
        return value_of(state, call.returned)


def _log_end(call: Call, state: State[Any]) -> None:
    """How a flow ended that nobody is told of by an exception (as in Prefect 2.0b5)."""
    log = flow_run_logger(call.run.info)
    if call.error is not None:
        trace = notebook.from_users(call.error)
        log.error("Encountered exception during execution:", exc_info=(type(call.error), call.error, trace))
    if not state.is_completed():
        log.error("Finished in state %s", state)


def _of_run(state: State[Any], run_id: str) -> State[Any]:
    """The state, marked with the run it belongs to: a flow that returns it is judged by it (as in Prefect 2.0b5)."""
    return State(state.type, state.name, state.message, state.data, timestamp=state.timestamp, run_id=run_id)


def _state(call: Call) -> State[Any]:
    error = call.error
    if error is None:
        return final_state(call.returned, call.run)
    if call.run.ended_by is not None:
        return State(StateType.CANCELLED, message=call.run.ended_by, data=error)
    if isinstance(error, FlowTimedOut):
        return State(StateType.FAILED, Word.TIMED_OUT.value, str(error), error)
    if isinstance(error, ParameterTypeError):
        return State(StateType.FAILED, message="Flow run received invalid parameters.", data=error)
    return State(StateType.FAILED, message="Flow run encountered an exception.", data=error)
