"""Every TaskRun on the pages and among the examples is one that the API server and the operator would take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.docs.blocks import PAGES, ROOT, blocks
from tests.support.builders import SETTINGS

from podtask.core.api.names import API_VERSION, KIND
from podtask.core.api.spec import TaskRunSpec
from podtask.core.crd import crd
from podtask_operator.pods.validate import invalid
from podtask_operator.task_runs.parse import TaskRun

SCHEMA = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Where it stands, and the manifest."""
    texts = [(b.where, b.text) for page in PAGES for b in blocks(page) if b.language == "yaml"]
    texts += [(path.name, path.read_text()) for path in sorted((ROOT / "examples").glob("*.yaml"))]
    for where, text in texts:
        for document in yaml.safe_load_all(text):
            if isinstance(document, dict) and document.get("kind") == KIND:
                yield f"{where}-{document['metadata'].get('name', 'generated')}", document


MANIFESTS = dict(manifests())


@pytest.mark.parametrize("where", MANIFESTS)
def test_a_task_run_in_the_docs_is_valid(where: str) -> None:
    manifest = MANIFESTS[where]
    assert manifest["apiVersion"] == API_VERSION
    assert list(unknown("spec", SCHEMA, manifest["spec"])) == []
    TaskRunSpec.model_validate(manifest["spec"])
    made = {"name": "x", **manifest["metadata"], "uid": "u", "namespace": "n", "resourceVersion": "1"}
    run = TaskRun.parse(
        {**manifest, "metadata": {**made, "creationTimestamp": "2026-01-02T03:04:05Z", "generation": 1}}
    )
    assert invalid(run, SETTINGS) is None


def unknown(path: str, schema: dict[str, Any], value: Any) -> Iterator[str]:
    """Paths of fields that the schema does not know: the API server would refuse them (strict validation)."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown(f"{path}[{index}]", schema.get("items", {}), item)
    elif isinstance(value, dict) and "properties" in schema:
        for name, child in value.items():
            if name in schema["properties"]:
                yield from unknown(f"{path}.{name}", schema["properties"][name], child)
            else:
                yield f"{path}.{name}"


def test_an_unknown_field_is_found_however_deep() -> None:
    spec = {"task": {"source": "x", "sorce": "y"}, "env": [{"name": "A", "vale": "1"}], "podTemplate": {"a": {"b": 1}}}
    assert list(unknown("spec", SCHEMA, spec)) == ["spec.task.sorce", "spec.env[0].vale"]
