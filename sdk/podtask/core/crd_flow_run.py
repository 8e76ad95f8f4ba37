"""The CustomResourceDefinition of the FlowRun, from `podtask.core.api.flow_run`.

A POST sets no status, so the schema's default says that the flow runs. Nothing guards an end: a driver that attaches
again opens the flow run again.
"""

from __future__ import annotations

import sys
from typing import Any

from podtask.core.api.flow_run import MUTABLE, FlowRunSpec, FlowRunStatus
from podtask.core.api.names import (
    CONDITION_DRIVER_LOST,
    FLOW_RUN_KIND,
    FLOW_RUN_PLURAL,
    FLOW_RUN_SHORT_NAME,
    VERSION,
    FlowState,
)
from podtask.core.crd import Schema, column, definition, immutable, list_map, resource, rule, structural

NAME_LIMIT = 63
"""Characters of a FlowRun's name, which is a label value on every TaskRun of the run."""


def flow_run_crd() -> Schema:
    """The CustomResourceDefinition as a plain dict, ready for YAML."""
    return definition(FLOW_RUN_KIND, FLOW_RUN_PLURAL, FLOW_RUN_SHORT_NAME, _version())


def _version() -> Schema:
    lost = f'.status.conditions[?(@.type=="{CONDITION_DRIVER_LOST}")].status'
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "selectableFields": [{"jsonPath": ".status.state"}],
        "additionalPrinterColumns": [
            column("Flow", ".spec.flow", "Name of the flow."),
            column("State", ".status.state", "Running, or how the flow ended, as the driver reports."),
            column("Tasks", ".status.tasks", "TaskRuns that ended, of all."),
            column("Lost", lost, "True: the driver's heartbeat stands still."),
            column("Duration", ".status.duration", "Time from the start to the end.", wide=True),
            column("Host", ".spec.driver.host", "Host of the driver that started the flow.", wide=True),
            column("Parent", ".spec.parent.name", "The FlowRun whose flow called this one.", wide=True),
            column("Message", ".status.message", "A sentence for people.", wide=True),
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        "schema": {"openAPIV3Schema": _root()},
    }


def _root() -> Schema:
    spec = structural(FlowRunSpec.model_json_schema(by_alias=True))
    status = structural(FlowRunStatus.model_json_schema(by_alias=True))
    spec["x-kubernetes-validations"] = immutable(FLOW_RUN_KIND, spec, MUTABLE)
    list_map(status["properties"]["conditions"], "type")
    _without_defaults(status)
    status["default"] = {"state": FlowState.RUNNING.value}
    named = rule(
        f"self.metadata.name.size() <= {NAME_LIMIT}",
        f"metadata.name may have at most {NAME_LIMIT} characters, because it is a label of the TaskRuns",
    )
    return resource(
        "A FlowRun is one run of a flow: what its driver reports, and the owner of its TaskRuns.", spec, status, [named]
    )


def _without_defaults(node: dict[str, Any]) -> None:
    """A default would appear in every status and cost bytes."""
    for child in node.get("properties", {}).values():
        child.pop("default", None)
        _without_defaults(child)
        _without_defaults(child.get("items", {}))


if __name__ == "__main__":
    import yaml

    yaml.safe_dump(flow_run_crd(), sys.stdout, sort_keys=False, width=120, allow_unicode=True)
