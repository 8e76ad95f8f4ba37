"""The CustomResourceDefinition: as committed, structural, bounded, described, and immutable field by field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from podtask.core.api.spec import MUTABLE
from podtask.core.crd import crd, structural

COMMITTED = Path(__file__).parents[4] / "crds" / "taskruns.podtask.dev.yaml"
VERSION = crd()["spec"]["versions"][0]
ROOT = VERSION["schema"]["openAPIV3Schema"]
SPEC = ROOT["properties"]["spec"]


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in the tree with the path to it."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        yield from nodes(node["additionalProperties"], f"{path}{{}}")


NODES = dict(nodes(ROOT))
FIELDS = {path: node for path, node in NODES.items() if path.startswith((".spec", ".status")) and path[-1] not in "]}"}


def test_the_committed_file_is_what_the_models_say() -> None:
    assert yaml.safe_load(COMMITTED.read_text()) == crd(), "python -m podtask.core.crd > crds/taskruns.podtask.dev.yaml"


def test_it_is_small() -> None:
    assert COMMITTED.stat().st_size < 60_000


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_is_described(path: str) -> None:
    assert FIELDS[path].get("description"), path


@pytest.mark.parametrize("path", NODES)
def test_it_is_structural(path: str) -> None:
    node = NODES[path]
    assert not {"$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "const", "title"} & node.keys()
    if not node.get("x-kubernetes-int-or-string") and not path.endswith(("parameters{}", "podTemplate{}")):
        assert node["type"] in ("object", "array", "string", "integer", "number", "boolean")
    assert isinstance(node.get("exclusiveMinimum", False), bool), "OpenAPI 3.0: a truth beside minimum"
    assert not ({"properties", "additionalProperties"} <= node.keys())


@pytest.mark.parametrize("path", [path for path in NODES if path.startswith((".spec", ".status"))])
def test_everything_is_bounded(path: str) -> None:
    node = NODES[path]
    if node.get("type") == "array":
        assert node["maxItems"] <= 1000
    if node.get("type") == "string" and "enum" not in node and "format" not in node:
        assert "maxLength" in node or node.get("pattern", "").endswith("}$"), path
    if "additionalProperties" in node:
        assert node["maxProperties"] <= 256


def test_no_field_of_a_list_has_a_default() -> None:
    """The API server would write it into the object, and `kubectl apply`, which compares lists whole, see a change."""
    assert [
        path for path, node in NODES.items() if path.startswith(".spec") and "[]" in path and "default" in node
    ] == []


def test_no_status_field_has_a_default() -> None:
    assert [path for path, node in NODES.items() if path.startswith(".status") and "default" in node] == []


NAMES = {
    ".spec.upstream[].taskRun": "../../team/pods/x",
    ".spec.waitFor[].taskRun": "team/run",
    ".spec.env[].valueFrom.secretKeyRef.name": "a?b",
    ".spec.env[].valueFrom.configMapKeyRef.name": "A",
    ".spec.env[].valueFrom.secretKeyRef.key": "a/b",
    ".spec.serviceAccountName": "..",
    ".spec.onDisruption.lastAttempt.priorityClassName": "System/Node",
}


@pytest.mark.parametrize("path", NAMES)
def test_names_are_names(path: str) -> None:
    pattern = NODES[path]["pattern"]
    assert re.search(pattern, "sum-up.v1-2")
    for odd in (NAMES[path], "", "a b", "a/b", "a%2Fb"):
        assert not re.search(pattern, odd)


OPEN = ("parameters", "podTemplate")


@pytest.mark.parametrize("name", OPEN)
def test_open_objects_are_open_below_each_key_only(name: str) -> None:
    """With the open object itself, `{name: ada}` and `{who: eve}` are equal for the API server (a rename passes)."""
    node = SPEC["properties"][name]
    assert node["type"] == "object"
    assert "x-kubernetes-preserve-unknown-fields" not in node
    assert node["additionalProperties"] == {"x-kubernetes-preserve-unknown-fields": True, "nullable": True}


def test_no_other_field_is_open() -> None:
    found = [path for path, node in NODES.items() if node.get("x-kubernetes-preserve-unknown-fields")]
    assert found == [f".spec.{name}{{}}" for name in OPEN]


IMMUTABLE = [name for name in SPEC["properties"] if name not in MUTABLE]
RULES = {rule["rule"]: rule["message"] for rule in SPEC["x-kubernetes-validations"]}


@pytest.mark.parametrize("name", IMMUTABLE)
def test_a_field_of_the_spec_can_neither_change_nor_come_nor_go(name: str) -> None:
    new, old = ("dyn(self)", "dyn(oldSelf)") if name in OPEN else ("self", "oldSelf")
    rule = f"has({new}.{name}) == has({old}.{name}) && (!has({new}.{name}) || {new}.{name} == {old}.{name})"
    assert RULES[rule] == f"spec.{name} is immutable: create a TaskRun under another name instead"


def test_only_three_fields_steer_and_cancel_is_one_way() -> None:
    assert set(MUTABLE) == {"suspend", "cancel", "ttlSecondsAfterFinished"}
    assert set(MUTABLE) <= SPEC["properties"].keys()
    assert len(RULES) == len(IMMUTABLE) + 1
    assert "!oldSelf.cancel || self.cancel" in RULES
    assert SPEC["properties"]["cancel"]["default"] is False


def test_rules_answer_in_sentences() -> None:
    rules = [rule for node in NODES.values() for rule in node.get("x-kubernetes-validations", ())]
    assert len(rules) > len(IMMUTABLE)
    for rule in rules:
        assert rule["message"][0].islower()
        assert len(rule["message"]) > 20


def test_the_root_guards_the_end_and_the_name() -> None:
    text = " ".join(rule["rule"] for rule in ROOT["x-kubernetes-validations"])
    for guarded in (
        "metadata.name.size() <= 52",
        "status.finishedAt",
        "status.state",
        "status.result",
        "attemptsTotal",
    ):
        assert guarded in text


def test_columns_and_selectable_fields() -> None:
    columns = VERSION["additionalPrinterColumns"]
    assert [column["name"] for column in columns if "priority" not in column] == ["State", "Attempt", "Cache", "Age"]
    assert VERSION["selectableFields"] == [{"jsonPath": ".status.state"}]
    assert VERSION["subresources"] == {"status": {}}


def test_attempts_and_conditions_are_maps() -> None:
    status = ROOT["properties"]["status"]["properties"]
    assert status["conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert status["attempts"]["x-kubernetes-list-map-keys"] == ["number"]
    assert {"podUID", "startedAt", "exitCode"} <= status["attempts"]["items"]["properties"].keys()


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        {"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"a": {"$ref": "#/$defs/A"}}}}},
    ],
)
def test_what_cannot_be_structural_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="structural"):
        structural(schema)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (".spec.onDisruption", "give at least one of avoidNode and lastAttempt"),
        (
            ".spec.onDisruption.lastAttempt",
            "give at least one of nodeSelector, tolerations and priorityClassName",
        ),
    ],
)
def test_what_says_nothing_is_refused_with_what_it_may_say(path: str, message: str) -> None:
    (found,) = NODES[path]["x-kubernetes-validations"]
    given = " || ".join(f"has(self.{name})" for name in NODES[path]["properties"])
    assert found == {"rule": given, "message": message}
