"""From what a flow returned to its state, and from the state to what the caller gets (as in Prefect 2.0b5).

Before: `podtask.engine.flow_engine`. Two answers from one rule: `return_state=True` gives the State, a plain call its
value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from podtask.engine.flow_run import FlowRun
from podtask.futures import BaseFuture
from podtask.states import State, StateType, aggregate
from podtask.support import containers


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


def replaced(value: Any, by: Callable[[Any], Any]) -> Any:
    """A copy of the value with futures and states replaced, wherever `podtask.support.containers` looks."""
    return containers.replaced(value, lambda item: isinstance(item, (BaseFuture, State)), by)


def _state_of(item: Any) -> Any:
    return item.task_run.state if isinstance(item, BaseFuture) else item


def _value_of(item: Any) -> Any:
    return item.task_run.load() if isinstance(item, BaseFuture) else item.result
