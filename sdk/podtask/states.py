"""`State`: what a task run or a flow run is known to be, as its user sees it; and how returned states add up.

Before: `podtask.core.api.status.Status` (what backends report). Here: the six types and the names of Prefect 2.0b5
(engine and states of the 2.0 beta), and `result`, a property that reads the value when it is asked for.
Next on the road: `podtask.futures`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any, Generic, TypeVar

from podtask.core.api.names import Reason
from podtask.core.api.names import State as Word
from podtask.core.api.status import Status
from podtask.errors import CancelledReturned, RunError, StatesFailed, UpstreamNotReady
from podtask.support import notebook

R_co = TypeVar("R_co", covariant=True)


class StateType(str, enum.Enum):
    """The six types of Prefect 2.0b5; a name such as Cached or Crashed is a shade of one of them."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    __str__ = str.__str__


TYPE_OF = {
    Word.PENDING: StateType.PENDING,
    Word.RUNNING: StateType.RUNNING,
    Word.AWAITING_RETRY: StateType.SCHEDULED,
    Word.RETRYING: StateType.RUNNING,
    Word.COMPLETED: StateType.COMPLETED,
    Word.CACHED: StateType.COMPLETED,
    Word.FAILED: StateType.FAILED,
    Word.CRASHED: StateType.FAILED,
    Word.TIMED_OUT: StateType.FAILED,
    Word.CANCELLED: StateType.CANCELLED,
    Word.NOT_READY: StateType.PENDING,
}
_FINAL = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED})


_RETURNED = (StatesFailed.__name__, CancelledReturned.__name__)
"""Type of the error of a task that returned failed states; its words are the state's own message."""


class State(Generic[R_co]):
    """One state of a run. Made by podtask, or by hand to be returned from a task or flow: `Failed(message="…")`.

    Attributes: `type`, `name`, `message`, `timestamp` (UTC), `run_id` (None for states made by hand).
    """

    def __init__(
        self,
        type: StateType | str,  # noqa: A002 - Prefect's word
        name: str | None = None,
        message: str | None = None,
        data: Any = None,
        *,
        timestamp: datetime | None = None,
        run_id: str | None = None,
        load: Callable[[], Any] | None = None,
    ) -> None:
        self.type = StateType(type)
        self.name = name or self.type.value.capitalize()
        self.message = message
        self.timestamp = timestamp or utc_now()
        self.run_id = run_id
        self._data = data
        self._load = load

    @property
    def data(self) -> Any:
        """What a state made by hand carries: a value, or the exception of a failure. None for task runs."""
        return self._data

    @property
    def result(self) -> R_co:
        """The value; it is read and unpickled anew on every access, so readers never share an object.

        Raises the task's own exception when the state is failed, and a `podtask.errors.RunError` where there is
        none: `UpstreamNotReady`, `TaskCrashed`, `TaskTimedOut`, `TaskCancelled`. Unfinished states give their data.
        """
        if self._load is not None:
            with notebook.folded():
                return self._load()  # type: ignore[no-any-return]
        if self.is_failed() or self.is_cancelled():
            raise failure_of(self)
        return self._data  # type: ignore[no-any-return]

    def exception(self) -> BaseException | None:
        """What `result` would raise, or None."""
        try:
            self.result  # noqa: B018 - reading is the question
        except BaseException as error:  # noqa: BLE001 - SystemExit of a task is an answer as well
            return error
        return None

    def is_scheduled(self) -> bool:
        return self.type is StateType.SCHEDULED

    def is_pending(self) -> bool:
        return self.type is StateType.PENDING

    def is_running(self) -> bool:
        return self.type is StateType.RUNNING

    def is_completed(self) -> bool:
        return self.type is StateType.COMPLETED

    def is_failed(self) -> bool:
        """True for Failed, Crashed and TimedOut."""
        return self.type is StateType.FAILED

    def is_crashed(self) -> bool:
        return self.name == Word.CRASHED

    def is_cancelled(self) -> bool:
        return self.type is StateType.CANCELLED

    def is_final(self) -> bool:
        """True for the three final types. NotReady is none of them, and moves no more: ask `future.done()`."""
        return self.type in _FINAL

    def __eq__(self, other: object) -> bool:
        """States are equal that say the same of the same run at the same moment: a copy equals what it was made of."""
        return self._identity() == other._identity() if isinstance(other, State) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        return self.type, self.name, self.message, self.timestamp, self.run_id

    def __str__(self) -> str:
        kind = "" if self.name.upper() == self.type.value else f"type={self.type.value}"
        message = repr(self.message) if self.message else ""
        inside = ", ".join(part for part in (message, kind) if part)
        return f"{self.name}({inside})"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.type.value}, name={self.name!r}, message={self.message!r})"

    def _repr_html_(self) -> str:
        from podtask.support.notebook import table

        rows = [("type", self.type), ("message", self.message), ("at", f"{self.timestamp:%Y-%m-%d %H:%M:%S %Z}")]
        return table(f"State {self.name}", [*rows, ("run", self.run_id)])

    def __reduce__(self) -> tuple[Any, ...]:
        """States of runs travel as references; one that travels by value takes its outcome along."""
        fields = {"timestamp": self.timestamp, "run_id": self.run_id}
        data = self._data
        if self._load is not None:
            data = self.exception() or self.result
        return _rebuild, (self.type.value, self.name, self.message, data, fields)


def _rebuild(kind: str, name: str, message: str | None, data: Any, fields: dict[str, Any]) -> State[Any]:
    return State(kind, name, message, data, **fields)


def Completed(data: Any = None, message: str | None = None, name: str | None = None) -> State[Any]:  # noqa: N802
    """A completed state made by hand; a task or flow that returns it completed with `data`."""
    return State(StateType.COMPLETED, name, message, data)


def Failed(message: str | None = None, data: Any = None, name: str | None = None) -> State[Any]:  # noqa: N802
    """A failed state made by hand; a task that returns it failed, and is retried exactly like an exception."""
    return State(StateType.FAILED, name, message, data)


def Cancelled(message: str | None = None, name: str | None = None) -> State[Any]:  # noqa: N802
    """A cancelled state made by hand."""
    return State(StateType.CANCELLED, name, message)


def failure_of(state: State[Any]) -> BaseException:
    """The exception of a state made by hand: the one it carries, the first of the states it carries, or its words."""
    if isinstance(state.data, Exception):
        return state.data
    if isinstance(state.data, BaseException):  # SystemExit must not end a process because somebody read a state
        error = StatesFailed(state.message or f"The state {state} carries {state.data!r}.")
        error.__cause__ = state.data
        return error
    for inner in states_in(state.data) or ():
        if not inner.is_completed():
            return inner.exception() or not_completed(inner)
    return StatesFailed(state.message or f"The state {state} carries no exception.")


def not_completed(state: State[Any]) -> RunError:
    """What to raise where a run was needed and only this state of it is known."""
    return UpstreamNotReady(f"Task run '{state.run_id}' did not reach a 'COMPLETED' state; it is {state}.")


def states_in(value: Any) -> list[State[Any]] | None:
    """The states, where `value` is one or a list, tuple or set of nothing else; otherwise None."""
    if isinstance(value, State):
        return [value]
    if type(value) in (list, tuple, set) and value and all(isinstance(item, State) for item in value):
        return list(value)
    return None


def aggregate(states: Iterable[State[Any]], data: Any) -> State[Any]:
    """Many states as one: completed when all are, else failed with the count (as in Prefect 2.0b5)."""
    known = list(states)
    if all(state.is_completed() for state in known):
        return State(StateType.COMPLETED, message="All states completed.", data=data)
    failed = sum(state.is_failed() for state in known)
    not_final = sum(state.type not in _FINAL for state in known)
    cancelled = sum(state.is_cancelled() for state in known)
    count = failed or not_final or cancelled
    what = "states failed" if failed else "states are not final" if not_final else "states were cancelled"
    return State(StateType.FAILED, message=f"{count}/{len(known)} {what}.", data=data)


def from_status(status: Status, run_id: str, load: Callable[[], Any] | None) -> State[Any]:
    """The state a backend's report amounts to; `load` reads value or exception, for finished runs."""
    message = status.message
    if status.state is Word.COMPLETED:
        message = None
    elif status.state is Word.FAILED:
        kind = status.error.type if status.error is not None else ""
        own, text = kind in _RETURNED, message or ""
        message = text.removeprefix(f"{kind}: ") if own else f"Task run encountered an exception. {text}".rstrip()
        if status.reason is Reason.EXCEPTION and status.error is not None and status.error.cure:
            message = f"{message.rstrip('.')}. {status.error.cure}"  # why it was not retried
    when = status.finished_at or utc_now()
    return State(TYPE_OF[status.state], status.state.value, message, timestamp=when, run_id=run_id, load=load)


def utc_now() -> datetime:
    """The wall clock, for timestamps of states only; nothing is decided by it."""
    return datetime.now(timezone.utc)  # noqa: TID251 - an entry point


def open_returned(value: Any) -> Any:
    """What a task's return value stands for (the rule of Prefect 2.0b5 for flows holds for tasks too).

    A state made by hand, or a collection of nothing else, says itself how the task ended: the value it carries
    is returned, its failure raised. Everything else is returned as it is. The runner calls this, where loaded.
    """
    states = states_in(value)
    if states is None:
        return value
    if isinstance(value, State):
        if value.is_cancelled():
            raise CancelledReturned(value.message or "The task returned a cancelled state.")
        return value.result
    state = aggregate(states, value)
    if not state.is_completed():
        raise StatesFailed(state.message) from failure_of(state)
    return value
