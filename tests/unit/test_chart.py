"""The whole rendering of the chart, its CRD, what it refuses and what it tells people.

A change of charts/podtask/templates shows in golden/chart.yaml; PODTASK_UPDATE_GOLDEN=1 writes it anew.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from dev.docs.chart import generator
from tests.unit.chart_kit import (
    CHART,
    CRD,
    EXAMPLES,
    GOLDEN,
    MINIMAL,
    TOP,
    example,
    refusal,
    run,
    template,
    template_notes,
)

from podtask import __version__
from podtask.core.api import names


def test_the_smallest_installation_renders_as_committed() -> None:
    text = template({**MINIMAL, "crds": {"install": False}})
    if os.environ.get("PODTASK_UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "PODTASK_UPDATE_GOLDEN=1 writes it anew"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_of_values_passes_lint(path: Path) -> None:
    linted = run("lint", "--strict", CHART, values=yaml.safe_load(path.read_text()))
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_the_versions_are_one() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    images = yaml.safe_load((CHART / "values.yaml").read_text())["runner"]["images"]
    version = chart["version"]
    assert (version, chart["appVersion"]) == (__version__, __version__)
    assert images == {minor: f"podtask/runner:{version}-py{minor}" for minor in images}
    listed = {each["image"] for each in yaml.safe_load(chart["annotations"]["artifacthub.io/images"])}
    assert listed == {f"podtask/operator:{version}", *images.values()}


def test_the_example_of_the_artifact_hub_is_a_taskrun() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    (sample,) = yaml.safe_load(chart["annotations"]["artifacthub.io/crdsExamples"])
    assert (sample["apiVersion"], sample["kind"]) == (names.API_VERSION, names.KIND)


@pytest.mark.parametrize("name", [names.CRD_NAME, names.FLOW_RUN_CRD_NAME, names.WARM_POOL_CRD_NAME])
def test_the_crds_are_those_of_the_models_with_labels_added(name: str) -> None:
    rendered = example("cluster").one("CustomResourceDefinition", name)
    committed = yaml.safe_load((CRD.parent / f"{name}.yaml").read_text())
    assert rendered["metadata"].pop("labels")["app.kubernetes.io/managed-by"] == "Helm"
    assert rendered["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert rendered == committed


def test_the_crd_can_be_left_out_and_can_be_let_go() -> None:
    assert example("namespaced").all("CustomResourceDefinition") == []
    assert "annotations" not in example("demo").one("CustomResourceDefinition", names.CRD_NAME)["metadata"]


def test_a_template_mark_in_the_crd_would_be_text(tmp_path: Path) -> None:
    copy = tmp_path / "podtask"
    shutil.copytree(CHART, copy)
    file = copy / "files" / CRD.name
    file.write_text(file.read_text().replace("What to run.", "What to {{ run }}.", 1))
    rendered = run("template", "podtask", copy, "--show-only", "templates/crds.yaml", values=MINIMAL)
    assert "What to {{ run }}." in rendered.stdout, rendered.stderr


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "store.bucket is missing: podtask keeps results in a bucket. Add --set store.bucket=NAME"),
        ({"store": {"bucket": "results"}}, "Add --set store.existingSecret=NAME (a Secret of namespace default with"),
        ({"store": {"bucket": "results", "accessKeyId": "a"}}, "only one of them is set"),
        ({"store": {**MINIMAL["store"], "accessKeyId": "a", "secretAccessKey": "b"}}, "are both set: give one of them"),
        ({"store": {**MINIMAL["store"], "auth": "workloadIdentity"}}, "store.auth=workloadIdentity takes no keys"),
        (
            {**MINIMAL, "driver": {"enabled": True}},
            "driver.enabled needs driver.namespaces: whoever may create TaskRuns there can use the driver's token. Add "
            "--set 'driver.namespaces={NAME}', and not default, where the bucket's credentials are.",
        ),
        (
            {**MINIMAL, "warmPool": {"namespaces": ["team-b"]}, "watchNamespaces": ["team-a"]},
            "warmPool.namespaces has team-b, which this release does not serve: nobody would start its pods. Add it to "
            "watchNamespaces (team-a), or take it out.",
        ),
        (
            {**MINIMAL, "warmPool": {"namespaces": ["team-a"], "python": "3.9"}},
            "warmPool.python is 3.9, but runner.images has 3.10, 3.11, 3.12, 3.13.",
        ),
        ({**MINIMAL, "runner": {"defaultPython": "3.9"}}, "is 3.9, but runner.images has 3.10, 3.11, 3.12, 3.13."),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(values: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(values)


@pytest.mark.parametrize(
    ("values", "where", "what"),
    [
        ({"stoer": {}}, "at ''", "additional properties 'stoer' not allowed"),
        ({"store": {"buket": "x"}}, "at '/store'", "additional properties 'buket' not allowed"),
        ({"store": {"bucket": "s3://results"}}, "at '/store/bucket'", "does not match pattern"),
        ({"store": {"auth": "password"}}, "at '/store/auth'", "'existingSecret', 'workloadIdentity'"),
        ({"watchNamespaces": "team-a"}, "at '/watchNamespaces'", "got string, want array"),
        ({"grantSeconds": 604801}, "at '/grantSeconds'", "maximum: got 604,801, want 604,800"),
        ({"grantSeconds": "1h"}, "at '/grantSeconds'", "got string, want integer"),
        ({"logLevel": "debug"}, "at '/logLevel'", "'DEBUG', 'INFO'"),
        ({"runner": {"images": {3.1: "x"}}}, "at '/runner/images'", "additional properties '3.1' not allowed"),
        ({"taskDefaults": {"image": "x"}}, "at '/taskDefaults'", "additional properties 'image' not allowed"),
        ({"warmPool": {"size": 51}}, "at '/warmPool/size'", "maximum: got 51, want 50"),
        ({"warmPool": {"preload": ["a b"]}}, "at '/warmPool/preload/0'", "does not match pattern"),
        ({"warmPool": {"namespaces": ["Team"]}}, "at '/warmPool/namespaces/0'", "does not match pattern"),
        ({"tracing": {"endpoint": "collector:4317"}}, "at '/tracing/endpoint'", "does not match pattern"),
        ({"operator": {"concurrency": 0}}, "at '/operator/concurrency'", "minimum: got 0, want 1"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(values: dict[str, Any], where: str, what: str) -> None:
    said = refusal(values)
    assert where in said
    assert what in said


@pytest.fixture(scope="module", name="generator")
def the_generator() -> ModuleType:
    return generator()


def test_generated_files_are_up_to_date(generator: ModuleType) -> None:
    stale = [str(path.relative_to(TOP)) for path, text in generator.generated().items() if path.read_text() != text]
    assert stale == [], "run python charts/generate.py"


def test_every_value_is_documented_and_in_the_schema(generator: ModuleType) -> None:
    text = (CHART / "values.yaml").read_text()
    documented = {value.key for value in generator.documented(text)}
    schema = json.loads((CHART / "values.schema.json").read_text())

    def check(values: dict[str, Any], properties: dict[str, Any], path: str) -> None:
        assert set(values) == set(properties) - {"global"}, path or "top level"
        for key, value in values.items():
            name = f"{path}{key}"
            if name in documented:
                continue
            assert isinstance(value, dict), f"{name} has no comment in values.yaml"
            check(value, properties[key]["properties"], f"{name}.")

    check(yaml.safe_load(text), schema["properties"], "")


def test_the_notes_name_the_next_commands() -> None:
    said = template_notes(MINIMAL)
    assert "helm test podtask -n podtask-system --logs" in said
    assert "kubectl -n podtask-system apply -f -" in said
    assert "PODTASK_BACKEND=kubernetes PODTASK_NAMESPACE=podtask-system python hello.py" in said
    assert "WARNING" not in said


def test_the_notes_warn_about_keys_in_values_and_a_crd_that_goes() -> None:
    said = template_notes(yaml.safe_load((CHART / "ci" / "demo-values.yaml").read_text()))
    assert "WARNING: the bucket's keys came by values" in said
    assert "WARNING: crds.keep is false" in said
