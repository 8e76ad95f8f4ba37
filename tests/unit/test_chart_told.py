"""What the chart tells the operator and its clients: each value arrives, and defaults are one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tests.unit.chart_kit import CHART, EXAMPLES, TOP, Render, example

from podtask import __version__
from podtask.core.api import names
from podtask.core.api.runner_image import MODULES, PUBLISHED
from podtask.core.lifecycle.concurrency import Limits, Most
from podtask_operator import settings


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_operator_reads_every_variable_and_finds_every_setting(path: Path) -> None:
    environment = example(path.stem.removesuffix("-values")).environment()
    known = {value for value in vars(settings).values() if isinstance(value, str) and value.startswith("PODTASK_")}
    told = {name for name in environment if name.startswith("PODTASK_")}
    assert told <= known
    assert known - told <= {settings.S3_ENDPOINT_URL}
    settings.load({name: value for name, value in environment.items() if isinstance(value, str)})


def test_values_become_settings() -> None:
    environment = example("everything").environment()
    loaded = settings.load({name: value for name, value in environment.items() if isinstance(value, str)})
    values = yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text())
    assert loaded.store == "s3://results/clusters/one"
    assert loaded.runner_images["3.11"] == "registry.example.org/tasks:2026-11"
    assert "3.10" not in loaded.runner_images
    assert loaded.task_defaults == values["taskDefaults"]
    assert loaded.limits == Limits(default=20, namespaces={"team": 5}, tags={"gpu": Most(4)})
    assert loaded.lost_node_force_seconds == 600
    assert (loaded.grant_seconds, loaded.store_timeout_seconds) == (604800, 60)
    assert (loaded.sweep_hours, loaded.sweep_spare_hours) == (24, 48)
    assert (loaded.concurrency, loaded.resync_seconds, loaded.health_port) == (64, 30, 9090)
    assert loaded.task_otlp_endpoint == values["tracing"]["taskEndpoint"]
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == values["tracing"]["endpoint"]
    assert (loaded.image_pull_policy, loaded.log_format, loaded.log_level) == ("Always", "text", "DEBUG")


def test_defaults_of_chart_and_operator_are_the_same() -> None:
    environment = example("cluster").environment()
    loaded = settings.load({name: value for name, value in environment.items() if isinstance(value, str)})
    images = yaml.safe_load((CHART / "values.yaml").read_text())["runner"]["images"]
    home = "podtask-system"
    assert loaded == settings.Settings(
        store="s3://results/podtask", runner_images=images, lease_namespace=home, operator_namespace=home
    )


def test_without_an_endpoint_the_operator_traces_nothing() -> None:
    assert not [name for name in example("cluster").environment() if name.startswith("OTEL_")]


def test_the_buckets_keys_come_from_the_named_secret() -> None:
    environment = example("everything").environment()
    assert environment["AWS_ACCESS_KEY_ID"] == {"secretKeyRef": {"name": "store", "key": "id"}}
    assert environment["AWS_SECRET_ACCESS_KEY"] == {"secretKeyRef": {"name": "store", "key": "key"}}
    assert example("everything").all("Secret") == []


def test_with_workload_identity_there_are_no_keys() -> None:
    render = example("workload-identity")
    assert not [name for name in render.environment() if name.startswith("AWS_")]
    assert render.all("Secret") == []
    assert "eks.amazonaws.com/role-arn" in render.one("ServiceAccount", "podtask")["metadata"]["annotations"]


def test_keys_by_value_make_a_secret_and_new_keys_make_a_new_pod() -> None:
    demo = yaml.safe_load((CHART / "ci" / "demo-values.yaml").read_text())
    before = Render(demo)
    after = Render({**demo, "store": {**demo["store"], "secretAccessKey": "another"}})
    assert before.one("Secret", "podtask-store")["stringData"]["AWS_ACCESS_KEY_ID"] == "demo"
    sums = [
        r.all("Deployment")[0]["spec"]["template"]["metadata"]["annotations"]["checksum/store"] for r in (before, after)
    ]
    assert sums[0] != sums[1]


def test_the_modules_of_the_runner_image_are_those_of_its_locked_requirements() -> None:
    # What only one minor needs (tomli) is not promised.
    locked = re.findall(r"^([a-z0-9-]+)==[^;\n]*$", (TOP / "requirements" / "runner.txt").read_text(), re.MULTILINE)
    ours = {"podtask", "podtask_operator", "podtask_runner"}  # the wheel's packages, as pyproject.toml has them
    assert set(MODULES) == {name.replace("-", "_") for name in locked} | ours
    assert tuple(yaml.safe_load((CHART / "values.yaml").read_text())["runner"]["modules"]) == MODULES


def test_clients_are_told_addresses_and_no_credentials() -> None:
    render = example("namespaced")
    copies = {each["metadata"]["namespace"]: each["data"] for each in render.all("ConfigMap")}
    assert set(copies) == {"podtask-system", "team-a", "team-b"}
    assert copies["team-a"] == {
        "bucket": "results",
        "prefix": "",
        "endpoint": "https://s3.example.org",
        "region": "us-east-1",
        "conditionalWrites": "on",
        "pythons": "3.10,3.11,3.12,3.13",
        "defaultPython": "3.11",
        PUBLISHED: ",".join(MODULES),
        "owner": "podtask-system/podtask-operator-183efbe2",
        "version": __version__,
    }
    assert {each["metadata"]["name"] for each in render.all("ConfigMap")} == {names.CLIENT_CONFIG_MAP}


def test_clients_may_get_that_one_config_map_by_name() -> None:
    render = example("cluster")
    assert render.one("Role", "podtask-client")["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["podtask-client"], "verbs": ["get"]}
    ]
    assert [each["name"] for each in render.one("RoleBinding", "podtask-client")["subjects"]] == [
        "system:authenticated"
    ]
    assert [each for each in example("namespaced").all("Role") if each["metadata"]["name"] == "podtask-client"] == []
