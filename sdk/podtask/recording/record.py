"""When a flow run is recorded: once its parameters are known, and when it has ended.

    flow_engine ──recorded(call)──> Record ──begin, end, leave──> Keeper of the flow's backend

Nothing here raises: a flow runs the same whether it is recorded or not. Next on the road: the keeper.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from podtask.context import TAGS
from podtask.core import clock
from podtask.core.api.names import FlowState
from podtask.core.api.names import State as Word
from podtask.errors import FlowTimedOut, ParameterTypeError
from podtask.recording import document
from podtask.recording.values import TEXT_LIMIT, without_passwords
from podtask.states import State, StateType

if TYPE_CHECKING:
    from podtask.model.definitions import FlowDefinition

log = logging.getLogger("podtask.recording")
Object = dict[str, Any]

TTL_SECONDS = 7 * 24 * 3600
"""How long the record of an outermost run stays after everything of it has ended."""

driver_task_run: str | None = None
"""Name of the TaskRun that this process drives a flow in; set by `podtask.driver`."""


class RecordedCall(Protocol):
    """The part of `podtask.engine.flow_engine.Call` that is recorded."""

    flow: FlowDefinition
    parameters: dict[str, Any]
    returned: Any
    state: State[Any] | None
    error: BaseException | None

    @property
    def parent(self) -> object:
        """The flow run around this one, or None."""
        ...

    @property
    def run(self) -> Any:
        """The `podtask.engine.flow_run.FlowRun`."""
        ...


class RecordedFlowRun(Protocol):
    """One flow run that is being recorded."""

    def end(self, status: Object) -> None:
        """Write the end, as `document.ended` makes it."""
        ...

    def leave(self) -> None:
        """This process goes, and the flow run does not end: another driver may take it over."""
        ...


class FlowRunRecords(Protocol):
    """Where a backend records its flow runs. `Backend.flow_runs`, where a backend has one."""

    def begin(self, flow: Any, spec: Object) -> RecordedFlowRun | None:
        """Record that the flow runs. None: it cannot be recorded, which was said."""
        ...


class Record:
    """What is recorded of one call of a flow."""

    def __init__(self, call: RecordedCall) -> None:
        self._call = call
        self._kept: RecordedFlowRun | None = None
        self._started_at: datetime = clock.now()
        self._over = False

    def begin(self) -> None:
        """The parameters are known, the body has not begun."""
        call = self._call
        keeper: FlowRunRecords | None = getattr(call.run.backend, "flow_runs", None)
        if keeper is None:
            return
        try:
            spec = document.spec(
                call.run.info,
                call.parameters,
                tags=TAGS.get(),
                record=call.flow.options.record_parameters,
                ttl_seconds=TTL_SECONDS if call.parent is None else None,
                task_run=driver_task_run,
            )
            self._kept = keeper.begin(call.run, spec)
        except Exception:
            log.warning("Flow run '%s' is not recorded; it runs all the same.", call.run.info.name, exc_info=True)

    def end(self) -> None:
        """The flow has its final state, or its crash. Said once."""
        call = self._call
        self._end(_state_of(call), _message_of(call), call.returned)

    def interrupted(self, error: BaseException) -> None:
        """The flow ended without a final state."""
        if self._call.run.root.detached:
            self._leave()
        elif isinstance(error, KeyboardInterrupt) or type(error).__name__ == "CancelledError":
            self._end(FlowState.CANCELLED, "The driver was interrupted.")
        else:
            self._end(FlowState.CRASHED, f"{type(error).__name__} ended the driver.")

    def _end(self, state: FlowState, message: str | None, result: Any = None) -> None:
        if self._kept is None or self._over:
            return
        self._over = True
        call = self._call
        try:
            shown = call.flow.options.record_parameters
            status = document.ended(state, message, self._started_at, clock.now(), result, record=shown)
            self._kept.end({**status, **document.progress(call.run.runs)})
        except Exception:
            log.warning("The end of flow run '%s' is not recorded.", call.run.info.name, exc_info=True)

    def _leave(self) -> None:
        if self._kept is not None and not self._over:
            self._over = True
            self._kept.leave()


@contextmanager
def recorded(call: RecordedCall) -> Iterator[Record]:
    """Around the whole run of a flow, inside of what shows it and outside of what cancels its runs."""
    record = Record(call)
    try:
        yield record
    except BaseException as error:
        record.interrupted(error)
        raise
    record.end()


def _message_of(call: RecordedCall) -> str | None:
    """What the state says; where that is only that there was an exception, with the exception.

    The state's own message is that of Prefect. Texts of refused parameters hold values, which may be secrets.
    """
    said = call.state.message if call.state is not None else None
    if said is None or call.error is None or _state_of(call) is not FlowState.FAILED:
        return said
    if isinstance(call.error, (FlowTimedOut, ParameterTypeError)):
        return said
    text = _text_of(call.error) if call.flow.options.record_parameters else ""
    return f"{said} {type(call.error).__name__}{': ' * bool(text)}{text}"


def _text_of(error: BaseException) -> str:
    """What the exception says; the code of its class may raise another one."""
    try:
        return without_passwords(str(error)[:TEXT_LIMIT])
    except Exception:  # noqa: BLE001 - a flow that failed has failed by its own exception
        return ""


def _state_of(call: RecordedCall) -> FlowState:
    state = call.state
    if state is None:
        return FlowState.CRASHED
    if state.name == Word.TIMED_OUT.value:
        return FlowState.TIMED_OUT
    if state.type is StateType.COMPLETED:
        return FlowState.COMPLETED
    return FlowState.CANCELLED if state.type is StateType.CANCELLED else FlowState.FAILED
