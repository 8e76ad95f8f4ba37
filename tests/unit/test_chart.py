"""The Helm chart, rendered by a real helm: what it grants, what it refuses, and that it repeats nothing by hand.

A change of charts/podtask/templates shows in golden/chart.yaml; PODTASK_UPDATE_GOLDEN=1 writes it anew.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from podtask.core import names
from podtask_operator import settings

TOP = Path(__file__).parents[2]
CHART = TOP / "charts" / "podtask"
CRD = TOP / "crds" / "taskruns.podtask.dev.yaml"
GOLDEN = Path(__file__).parent / "golden" / "chart.yaml"
EXAMPLES = sorted((CHART / "ci").glob("*-values.yaml"))
MINIMAL = {"store": {"bucket": "results", "existingSecret": "podtask-store"}}

# design: quality.md, Security. Group, resource, verbs. Nothing else, anywhere.
OPERATOR_RULES = {
    ("podtask.dev", "taskruns"): {"get", "list", "watch", "delete"},
    ("podtask.dev", "taskruns/status"): {"patch"},
    ("", "pods"): {"create", "get", "list", "watch", "patch", "delete"},
    ("", "pods/log"): {"get"},
    ("", "secrets"): {"create", "patch", "delete"},
    ("", "events"): {"create", "patch"},
}
LEASE_RULES = {("coordination.k8s.io", "leases"): {"get", "create", "update"}}


@cache
def helm() -> str:
    found = shutil.which("helm")
    if not found:
        answer = subprocess.run([TOP / "dev" / "tools", "path"], capture_output=True, text=True, check=False)
        found = shutil.which("helm", path=answer.stdout.strip() or os.devnull)
    if not found:
        pytest.fail("these tests need helm (3.17 or later) on PATH; dev/tools helm builds one", pytrace=False)
    return found


def run(*arguments: str | Path, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [helm(), *arguments, "--values", "-"],
        input=json.dumps(values or {}),
        capture_output=True,
        text=True,
        check=False,
    )


def template(values: dict[str, Any], *arguments: str) -> str:
    rendered = run("template", "podtask", CHART, "--namespace", "podtask-system", *arguments, values=values)
    assert rendered.returncode == 0, rendered.stderr
    return rendered.stdout


def refusal(values: dict[str, Any]) -> str:
    rendered = run("template", "podtask", CHART, values=values)
    assert rendered.returncode != 0, "it was accepted"
    return rendered.stderr


class Render:
    """The objects of one rendering, by kind and name."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.objects = [document for document in yaml.safe_load_all(template(values)) if document]

    def all(self, *kinds: str) -> list[dict[str, Any]]:
        return [each for each in self.objects if each["kind"] in kinds]

    def one(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        (found,) = [
            each
            for each in self.all(kind)
            if each["metadata"]["name"] == name and namespace in (None, each["metadata"].get("namespace"))
        ]
        return found

    def container(self) -> dict[str, Any]:
        return self.pod()["containers"][0]

    def pod(self) -> dict[str, Any]:
        return self.all("Deployment")[0]["spec"]["template"]["spec"]

    def environment(self) -> dict[str, Any]:
        return {each["name"]: each.get("value", each.get("valueFrom")) for each in self.container()["env"]}


@cache
def example(name: str) -> Render:
    return Render(yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text()))


def rules(role: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


def bound_to(render: Render, account: str) -> dict[str, dict[str, Any]]:
    """Every role that a service account of the release holds, by "Kind/namespace/name"."""
    held = {}
    for binding in render.all("RoleBinding", "ClusterRoleBinding"):
        if not any(s["kind"] == "ServiceAccount" and s["name"] == account for s in binding["subjects"]):
            continue
        ref, namespace = binding["roleRef"], binding["metadata"].get("namespace")
        role = render.one(ref["kind"], ref["name"], namespace)
        held[f"{ref['kind']}/{namespace or ''}/{ref['name']}"] = role
    return held


# The whole rendering


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
    project = (TOP / "pyproject.toml").read_text()
    images = yaml.safe_load((CHART / "values.yaml").read_text())["runner"]["images"]
    version = chart["version"]
    assert chart["appVersion"] == version
    assert f'\nversion = "{version}"\n' in project
    assert images == {minor: f"podtask/runner:{version}-py{minor}" for minor in images}
    listed = {each["image"] for each in yaml.safe_load(chart["annotations"]["artifacthub.io/images"])}
    assert listed == {f"podtask/operator:{version}", *images.values()}


def test_the_example_of_the_artifact_hub_is_a_taskrun() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    (sample,) = yaml.safe_load(chart["annotations"]["artifacthub.io/crdsExamples"])
    assert (sample["apiVersion"], sample["kind"]) == (names.API_VERSION, names.KIND)


# Rights


def test_the_operator_may_do_what_the_design_lists_and_nothing_more() -> None:
    held = bound_to(example("cluster"), "podtask")
    assert {name: rules(role) for name, role in held.items()} == {
        "ClusterRole//podtask": OPERATOR_RULES,
        "Role/podtask-system/podtask-lease": LEASE_RULES,
    }


def test_only_the_creation_of_a_lease_is_not_narrowed_to_its_name() -> None:
    lease = example("cluster").one("Role", "podtask-lease")
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in lease["rules"]] == [
        (["create"], None),
        (["get", "update"], ["podtask-operator"]),
    ]


def test_watched_namespaces_get_a_role_each_and_nothing_is_cluster_wide() -> None:
    render = example("namespaced")
    assert render.all("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition") == []
    held = bound_to(render, "tasks-operator")
    assert {name: rules(role) for name, role in held.items()} == {
        "Role/team-a/podtask": OPERATOR_RULES,
        "Role/team-b/podtask": OPERATOR_RULES,
        "Role/podtask-system/podtask-lease": LEASE_RULES,
    }
    assert render.environment()[settings.WATCH_NAMESPACES] == "team-a,team-b"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_role_has_a_wildcard_or_reads_secrets(path: Path) -> None:
    for role in example(path.stem.removesuffix("-values")).all("Role", "ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert "nonResourceURLs" not in rule
            assert not ({"secrets"} & set(rule["resources"]) and {"get", "list", "watch"} & set(rule["verbs"]))


def test_people_with_view_read_taskruns_and_people_with_edit_change_them() -> None:
    render = example("cluster")
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    found = {}
    for role in render.all("ClusterRole"):
        to = {label.removeprefix(prefix) for label in role["metadata"]["labels"] if label.startswith(prefix)}
        if to:
            found[role["metadata"]["name"]] = (to, rules(role))
    taskruns = ("podtask.dev", "taskruns")
    assert found == {
        "podtask-view": ({"view", "edit", "admin"}, {taskruns: {"get", "list", "watch"}}),
        "podtask-edit": ({"edit", "admin"}, {taskruns: {"create", "update", "patch", "delete"}}),
    }


@pytest.mark.parametrize(
    ("watched", "asked", "rendered"),
    [([], None, True), ([], False, False), (["team-a"], None, False), (["team-a"], True, True)],
)
def test_roles_for_people_come_with_an_installation_for_all_namespaces(watched, asked, rendered) -> None:
    render = Render({**MINIMAL, "watchNamespaces": watched, "rbac": {"aggregateRoles": asked}})
    assert bool([role for role in render.all("ClusterRole") if role["metadata"]["name"] == "podtask-view"]) == rendered


def test_without_rbac_only_the_test_brings_a_role() -> None:
    render = Render({**MINIMAL, "rbac": {"create": False}})
    kinds = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    assert {each["metadata"]["name"] for each in render.all(*kinds)} == {"podtask-test"}


# Pods


@pytest.mark.parametrize("kind", ["Deployment", "Pod"])
def test_pods_are_restricted_as_pod_security_wants_it(kind: str) -> None:
    found = example("cluster").all(kind)[0]["spec"]
    pod = found["template"]["spec"] if kind == "Deployment" else found
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "hostNetwork" not in pod
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


def test_there_is_one_operator_and_never_two() -> None:
    deployment = example("cluster").all("Deployment")[0]["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})


def test_the_operator_can_write_to_tmp_only() -> None:
    render = example("cluster")
    assert [mount["mountPath"] for mount in render.container()["volumeMounts"]] == ["/tmp"]
    assert render.pod()["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]


def test_probes_ask_the_health_port() -> None:
    container = example("everything").container()
    assert container["ports"] == [{"name": "health", "containerPort": 9090}]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "health"}


def test_the_deployment_does_not_select_the_test_pod() -> None:
    render = example("cluster")
    selector = render.all("Deployment")[0]["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= render.all("Pod")[0]["metadata"]["labels"].items()


def test_every_hook_for_the_operators_pod_arrives() -> None:
    render, values = example("everything"), yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text())
    pod, container = render.pod(), render.container()
    for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "imagePullSecrets"):
        assert pod[key] == values[key]
    metadata = render.all("Deployment")[0]["spec"]["template"]["metadata"]
    assert values["podLabels"].items() <= metadata["labels"].items()
    assert values["podAnnotations"].items() <= metadata["annotations"].items()
    assert pod["volumes"][1:] == values["extraVolumes"]
    assert container["volumeMounts"][1:] == values["extraVolumeMounts"]
    assert container["env"][-1:] == values["extraEnv"]
    assert container["envFrom"] == values["extraEnvFrom"]
    assert (container["image"], container["imagePullPolicy"]) == ("registry.example.org/podtask/operator:1", "Always")


# What the operator is told


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
    assert (loaded.grant_seconds, loaded.store_timeout_seconds) == (604800, 60)
    assert (loaded.concurrency, loaded.resync_seconds, loaded.health_port) == (64, 30, 9090)
    assert (loaded.image_pull_policy, loaded.log_format, loaded.log_level) == ("Always", "text", "DEBUG")


def test_defaults_of_chart_and_operator_are_the_same() -> None:
    environment = example("cluster").environment()
    loaded = settings.load({name: value for name, value in environment.items() if isinstance(value, str)})
    images = yaml.safe_load((CHART / "values.yaml").read_text())["runner"]["images"]
    assert loaded == settings.Settings(store="s3://results/podtask", runner_images=images)


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


# What clients are told


def test_clients_are_told_addresses_and_no_credentials() -> None:
    render = example("namespaced")
    copies = {each["metadata"]["namespace"]: each["data"] for each in render.all("ConfigMap")}
    assert set(copies) == {"podtask-system", "team-a", "team-b"}
    assert copies["team-a"] == {
        "bucket": "results",
        "prefix": "",
        "endpoint": "https://s3.example.org",
        "region": "us-east-1",
        "pythons": "3.10,3.11,3.12,3.13",
        "defaultPython": "3.11",
        "version": "0.1.0",
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


# The CRD


def test_the_crd_is_the_one_of_the_models_with_labels_added() -> None:
    rendered = example("cluster").one("CustomResourceDefinition", names.CRD_NAME)
    committed = yaml.safe_load(CRD.read_text())
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


# What it refuses


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "store.bucket is missing: podtask keeps results in a bucket. Add --set store.bucket=NAME"),
        ({"store": {"bucket": "results"}}, "Add --set store.existingSecret=NAME (a Secret of namespace default with"),
        ({"store": {"bucket": "results", "accessKeyId": "a"}}, "only one of them is set"),
        ({"store": {**MINIMAL["store"], "accessKeyId": "a", "secretAccessKey": "b"}}, "are both set: give one of them"),
        ({"store": {**MINIMAL["store"], "auth": "workloadIdentity"}}, "store.auth=workloadIdentity takes no keys"),
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
        ({"operator": {"concurrency": 0}}, "at '/operator/concurrency'", "minimum: got 0, want 1"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(values: dict[str, Any], where: str, what: str) -> None:
    said = refusal(values)
    assert where in said
    assert what in said


# Documentation


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chart_generate", TOP / "charts" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def template_notes(values: dict[str, Any]) -> str:
    """NOTES.txt as `helm install` prints it; without a cluster."""
    installed = run("install", "podtask", CHART, "--namespace", "podtask-system", "--dry-run=client", values=values)
    assert installed.returncode == 0, installed.stderr
    return installed.stdout.partition("NOTES:")[2]


# helm test


def test_the_smoke_test_may_only_touch_taskruns_of_a_served_namespace() -> None:
    for name, namespace in (("cluster", "podtask-system"), ("namespaced", "team-a")):
        held = bound_to(example(name), "podtask-test")
        assert {key: rules(role) for key, role in held.items()} == {
            f"Role/{namespace}/podtask-test": {("podtask.dev", "taskruns"): {"create", "get", "watch", "delete"}}
        }
        (pod,) = example(name).all("Pod")
        assert pod["spec"]["containers"][0]["args"] == ["--namespace", namespace, "--timeout-seconds", "240"]


def test_everything_of_the_smoke_test_is_a_hook() -> None:
    for each in example("cluster").objects:
        if each["metadata"]["name"] == "podtask-test":
            assert each["metadata"]["annotations"]["helm.sh/hook"] == "test"
            assert "hook-succeeded" in each["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
