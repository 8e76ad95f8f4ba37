"""The CustomResourceDefinition of the WarmPool: as committed, structural, bounded, described; who may change what."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from tests.unit.sdk.core.test_crd import COMMITTED, nodes

from podtask.core.api.names import WARM_POOL_CRD_NAME
from podtask.core.api.spec import TaskRunSpec
from podtask.core.api.warm_pool import MUTABLE, SIZE_LIMIT, WarmPoolSpec
from podtask.core.crd_warm_pool import warm_pool_crd

FILE = COMMITTED.parent / f"{WARM_POOL_CRD_NAME}.yaml"
DOCUMENT = warm_pool_crd()
VERSION = DOCUMENT["spec"]["versions"][0]
ROOT = VERSION["schema"]["openAPIV3Schema"]
NODES = dict(nodes(ROOT))
OURS = {path: node for path, node in NODES.items() if path.startswith((".spec", ".status"))}
SPEC = ROOT["properties"]["spec"]


def test_the_committed_file_is_what_the_models_say() -> None:
    assert yaml.safe_load(FILE.read_text()) == DOCUMENT, f"python -m podtask.core.crd_warm_pool > crds/{FILE.name}"


@pytest.mark.parametrize("path", [path for path in OURS if path[-1] not in "]}"])
def test_every_field_is_described(path: str) -> None:
    assert OURS[path].get("description"), path


@pytest.mark.parametrize("path", OURS)
def test_everything_is_bounded(path: str) -> None:
    node = OURS[path]
    if node.get("type") == "array":
        assert node["maxItems"] <= 100
    if node.get("type") == "string" and "enum" not in node and "format" not in node:
        assert node.get("maxLength") or node.get("pattern")
    if "additionalProperties" in node:
        assert node["maxProperties"] <= 256


def test_it_can_be_scaled_and_only_size_and_idle_time_change() -> None:
    assert VERSION["subresources"]["scale"]["specReplicasPath"] == ".spec.size"
    assert VERSION["subresources"]["scale"]["statusReplicasPath"] == ".status.ready"
    rules = [rule["message"] for rule in SPEC["x-kubernetes-validations"] if "is immutable" in rule["message"]]
    fixed = {message.split()[0].removeprefix("spec.") for message in rules}
    assert fixed == set(SPEC["properties"]) - set(MUTABLE)


@pytest.mark.parametrize("field", ["resources", "nodeSelector", "tolerations", "podTemplate", "image", "python"])
def test_a_field_has_the_bounds_of_the_task_runs_field(field: str) -> None:
    pool = WarmPoolSpec.model_json_schema(by_alias=True)["properties"][field]
    schema = TaskRunSpec.model_json_schema(by_alias=True)
    run = schema["$defs"]["Task"]["properties"][field] if field == "python" else schema["properties"][field]
    left_out = ("description", "title", "default")
    assert {k: v for k, v in pool.items() if k not in left_out} == {k: v for k, v in run.items() if k not in left_out}


@pytest.mark.parametrize(
    "spec",
    [
        {"size": SIZE_LIMIT + 1},
        {"size": -1},
        {},
        {"size": 1, "maxIdleSeconds": 59},
        {"size": 1, "maxIdleSeconds": 1801},
    ],
)
def test_what_is_out_of_bounds_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WarmPoolSpec.model_validate(spec)


def test_an_environment_variable_has_a_literal_value_only() -> None:
    assert "valueFrom" not in SPEC["properties"]["env"]["items"]["properties"]
