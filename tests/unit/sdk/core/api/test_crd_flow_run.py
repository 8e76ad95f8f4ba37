"""The CustomResourceDefinition of the FlowRun: as committed, structural, bounded, described; who may change what."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.unit.sdk.core.api.test_crd import COMMITTED, nodes

from podtask.core.api.crd_flow_run import flow_run_crd
from podtask.core.api.flow_run import MUTABLE, FlowRunSpec, FlowRunStatus
from podtask.core.api.names import FLOW_RUN_CRD_NAME, FlowState

FILE = COMMITTED.parent / f"{FLOW_RUN_CRD_NAME}.yaml"
DOCUMENT = flow_run_crd()
VERSION = DOCUMENT["spec"]["versions"][0]
ROOT = VERSION["schema"]["openAPIV3Schema"]
NODES = dict(nodes(ROOT))
OURS = {path: node for path, node in NODES.items() if path.startswith((".spec", ".status"))}
SPEC = ROOT["properties"]["spec"]


def test_the_committed_file_is_what_the_models_say() -> None:
    assert yaml.safe_load(FILE.read_text()) == DOCUMENT, f"python -m podtask.core.api.crd flowruns > crds/{FILE.name}"


@pytest.mark.parametrize("path", [path for path in OURS if path[-1] not in "]}"])
def test_every_field_is_described(path: str) -> None:
    assert OURS[path].get("description"), path


@pytest.mark.parametrize("path", NODES)
def test_it_is_structural(path: str) -> None:
    node = NODES[path]
    assert not {"$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "const", "title"} & node.keys()
    assert node["type"] in ("object", "array", "string", "integer", "number", "boolean")


@pytest.mark.parametrize("path", OURS)
def test_everything_is_bounded(path: str) -> None:
    node = OURS[path]
    if node["type"] == "array":
        assert node["maxItems"] <= 64
    if node["type"] == "string" and "enum" not in node and "format" not in node:
        assert node["maxLength"] <= 1024
    if "additionalProperties" in node:
        assert node["maxProperties"] <= 16


def test_a_post_without_a_status_is_a_run_that_runs() -> None:
    defaults = {path: node["default"] for path, node in OURS.items() if "default" in node}
    assert defaults == {".spec.cancel": False, ".status": {"state": "Running"}}
    assert FlowRunStatus().state is FlowState.RUNNING


def test_only_cancel_and_the_ttl_may_change() -> None:
    rules = {rule["rule"]: rule["message"] for rule in SPEC["x-kubernetes-validations"]}
    assert set(MUTABLE) == {"cancel", "ttlSecondsAfterFinished"}
    for name in SPEC["properties"].keys() - set(MUTABLE):
        rule = f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})"
        assert rules.pop(rule) == f"spec.{name} is immutable: create a FlowRun under another name instead"
    assert rules == {}


def test_nothing_forbids_to_open_an_ended_run_again() -> None:
    text = str(ROOT["x-kubernetes-validations"])
    assert "status" not in text
    assert "metadata.name.size() <= 63" in text


def test_columns_and_names() -> None:
    columns = VERSION["additionalPrinterColumns"]
    plain = [column["name"] for column in columns if "priority" not in column]
    assert plain == ["Flow", "State", "Tasks", "Lost", "Age"]
    assert DOCUMENT["spec"]["names"]["shortNames"] == ["pfr"]
    assert VERSION["subresources"] == {"status": {}}


@pytest.mark.parametrize("document", [{}, {"state": "Running", "somethingNewer": {"a": 1}}])
def test_reading_is_lenient(document: dict[str, Any]) -> None:
    assert FlowRunStatus.model_validate(document).state is FlowState.RUNNING
    assert FlowRunSpec.model_validate({"flow": "etl", "later": 1}).flow == "etl"
