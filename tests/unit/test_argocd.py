"""The health script for Argo CD, by a real Lua 5.1 over statuses as operator and driver write them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from dev.docs.paths import DOCS
from lupa import lua51
from pydantic import TypeAdapter
from tests.support.lifecycle_builders import T0, at

from podtask.core.api.names import CONDITION_DRIVER_LOST, FlowState, State
from podtask.core.api.status import Status
from podtask.core.lifecycle.model import Policy
from podtask.core.lifecycle.rendering import StatusView, rendered
from podtask.recording import document

SCRIPT = (DOCS / "assets" / "argocd-health.lua").read_text()
ADAPTER: TypeAdapter[StatusView] = TypeAdapter(StatusView)
GOOD = {State.COMPLETED, State.CACHED}


def health(obj: dict[str, Any]) -> tuple[str, str]:
    """Status and message, as Argo CD gets them: the object is the global `obj`, plain tables all the way down."""
    lua = lua51.LuaRuntime()
    lua.globals()["obj"] = lua.table_from(obj, recursive=True)
    answer = lua.execute(SCRIPT)
    return answer["status"], answer["message"]


def task_run(state: State, message: str = "why") -> dict[str, Any]:
    status = Status(state=state, message=message, finished_at=at(9) if state.finished else None)
    text = ADAPTER.dump_json(rendered(status, Policy(), T0, 1), by_alias=True, exclude_none=True)
    return {"metadata": {"generation": 1}, "spec": {}, "status": json.loads(text)}


@pytest.mark.parametrize("state", list(State))
def test_a_task_run_is_healthy_when_it_completed_and_degraded_when_it_ended_otherwise(state: State) -> None:
    expected = "Progressing" if not state.finished else "Healthy" if state in GOOD else "Degraded"
    assert health(task_run(state)) == (expected, "why")


def test_what_the_operator_has_not_seen_is_progressing() -> None:
    assert health({"metadata": {}, "spec": {}}) == ("Progressing", "The operator has not looked at it yet.")
    assert health({"metadata": {}, "spec": {}, "status": {}})[0] == "Progressing"


def test_a_suspended_task_run_is_suspended_until_it_ends() -> None:
    waiting, ended = task_run(State.PENDING), task_run(State.FAILED)
    for each in (waiting, ended):
        each["spec"]["suspend"] = True
    assert [health(each)[0] for each in (waiting, ended)] == ["Suspended", "Degraded"]


def flow_run(state: FlowState, *conditions: dict[str, Any]) -> dict[str, Any]:
    done = document.ended(state, "why", T0, T0 + timedelta(seconds=9), record=True)
    status = {"state": state.value, "message": "why", "conditions": []} if state is FlowState.RUNNING else done
    return {"spec": {}, "status": {**status, "conditions": [*status["conditions"], *conditions]}}


@pytest.mark.parametrize("state", list(FlowState))
def test_a_flow_run_is_judged_alike(state: FlowState) -> None:
    expected = {FlowState.RUNNING: "Progressing", FlowState.COMPLETED: "Healthy"}.get(state, "Degraded")
    assert health(flow_run(state)) == (expected, "why")


def test_a_flow_run_without_its_driver_is_degraded_unless_it_has_ended() -> None:
    lost = document.condition(CONDITION_DRIVER_LOST, "True", "NoHeartbeat", "Run the script again.", T0)
    found = document.condition(CONDITION_DRIVER_LOST, "False", "Heartbeat", "It is there.", T0)
    assert health(flow_run(FlowState.RUNNING, lost)) == ("Degraded", "Run the script again.")
    assert health(flow_run(FlowState.RUNNING, found)) == ("Progressing", "why")
    assert health(flow_run(FlowState.COMPLETED, lost))[0] == "Healthy"
