"""What a driver reports of its flow run, for one page: parameters, result, where it runs, how to attach again. Pure.

Texts only: parameters and results are JSON text that nobody reads back.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podtask.core.api.flow_run import Omitted

_OMITTED = {Omitted.CUT: "cut", Omitted.HIDDEN: "hidden", Omitted.NOT_JSON: "no JSON"}


@dataclass(frozen=True)
class ParameterFact:
    """One argument of the flow."""

    name: str
    value: str | None
    type: str
    omitted: str
    """Why the value is not all of it: cut, hidden or no JSON."""


@dataclass(frozen=True)
class FlowRunFacts:
    """Of a FlowRun."""

    parameters: list[ParameterFact]
    result: str | None
    driver: str
    driver_task_run: str
    versions: str
    cure: str
    """The command that attaches a new driver."""
    again: str
    """The command that lets it go on after an end without success."""


def flow_run_facts(obj: Mapping[str, Any], where: str = "") -> FlowRunFacts:
    """Of a FlowRun, as the API server has it; `where`: options that a suggested command needs."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    driver = status.get("driver") or spec.get("driver") or {}
    program = str(driver.get("program") or "")
    host = f" on {driver['host']}" if driver.get("host") else ""
    pin = shlex.quote(str(spec.get("pin") or ""))
    by_hand = f"PODTASK_FLOW_RUN_ID={pin} python {shlex.quote(program) if program else 'PROGRAM'}"
    by_command = f"podtask retry flow/{obj['metadata']['name']}{where}"
    python = f", Python {driver['python']}" if driver.get("python") else ""
    return FlowRunFacts(
        parameters=[_parameter(one) for one in spec.get("parameters") or ()],
        result=None if status.get("result") is None else str(status["result"]),
        driver=f"{program}{host}".strip(),
        driver_task_run=str(driver.get("taskRun") or ""),
        versions=f"{driver['sdkVersion']}{python}" if driver.get("sdkVersion") else "",
        again=by_command,
        cure=by_command if driver.get("taskRun") or not spec.get("pin") else by_hand,
    )


def _parameter(one: Mapping[str, Any]) -> ParameterFact:
    value, omitted = one.get("value"), str(one.get("omitted") or "")
    return ParameterFact(
        name=str(one.get("name") or ""),
        value=None if value is None else str(value),
        type=str(one.get("type") or ""),
        omitted=next((text for word, text in _OMITTED.items() if word == omitted), omitted),
    )
