"""From what a flow returned to its state, and from the state to what the caller gets (seed: states.py).

Before: `podtask.engine.flow_engine`. Two answers from one rule: `return_state=True` gives the State, a plain call its
value.
"""

from __future__ import annotations

import copy
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from podtask.engine.flow_run import FlowRun
from podtask.futures import BaseFuture
from podtask.states import State, StateType, aggregate


def final_state(returned: Any, flow: FlowRun) -> State[Any]:
    """The state of a flow whose body returned; all its task runs are finished.

    None: every task run and subflow counts. Futures and states alone: they count. A state made by hand is the
    flow's own. Anything else: completed, whatever its tasks did, futures inside replaced by their states.
    """
    if returned is None:
        states = [run.state for run in flow.runs] + flow.subflow_states
        return aggregate(states, states) if states else State(StateType.COMPLETED)
    if isinstance(returned, State) and returned.run_id is None:
        return returned
    data = replaced(returned, _state_of)
    if isinstance(data, State):
        return aggregate([data], data)
    if type(data) in (list, tuple, set) and data and all(isinstance(item, State) for item in data):
        return aggregate(data, data)
    return State(StateType.COMPLETED, data=data)


def value_of(state: State[Any], returned: Any) -> Any:
    """What the caller of a flow gets: the value with all futures and states inside resolved, or the first exception."""
    if not state.is_completed():
        return state.result  # raises what the state carries
    if isinstance(returned, State) and returned.run_id is None:
        return returned.result
    return replaced(returned, _value_of)


def replaced(value: Any, by: Callable[[Any], Any], _within: tuple[int, ...] = ()) -> Any:
    """A copy of the value with futures and states replaced: in exact containers, dataclasses and pydantic models."""
    if isinstance(value, (BaseFuture, State)):
        return by(value)
    kind = type(value)
    if kind in (list, tuple, set):
        items = [replaced(item, by, _within) for item in value]
        return kind(items) if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if kind in (dict, OrderedDict):
        pairs = [(replaced(key, by, _within), replaced(item, by, _within)) for key, item in value.items()]
        same = all(new[0] is old[0] and new[1] is old[1] for new, old in zip(pairs, value.items(), strict=True))
        return value if same else kind(pairs)
    parts = _fields(value)
    if not parts or id(value) in _within:  # objects may know each other
        return value
    news = {name: replaced(old, by, (*_within, id(value))) for name, old in parts.items()}
    changed = {name: new for name, new in news.items() if new is not parts[name]}
    return _with(value, changed) if changed else value


def _fields(value: Any) -> dict[str, Any] | None:
    """The fields of a dataclass or a pydantic model, without asking its constructor or its properties."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value) if hasattr(value, field.name)}
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        return {
            name: value.__dict__[name] for name in getattr(type(value), "model_fields", ()) if name in value.__dict__
        }
    return None


def _with(value: Any, changed: dict[str, Any]) -> Any:
    """A copy, also of a frozen one. Its constructor is not called: it has seen the futures."""
    if is_dataclass(value):
        new = copy.copy(value)
        for name, item in changed.items():
            object.__setattr__(new, name, item)
        return new
    return value.model_copy(update=changed)


def _state_of(item: Any) -> Any:
    return item.task_run.state if isinstance(item, BaseFuture) else item


def _value_of(item: Any) -> Any:
    return item.task_run.load() if isinstance(item, BaseFuture) else item.result
