"""The Helm chart, rendered by a real helm, for the tests of the chart."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).parents[2]
CHART = TOP / "charts" / "podtask"
CRD = TOP / "crds" / "taskruns.podtask.dev.yaml"
GOLDEN = Path(__file__).parent / "golden" / "chart.yaml"
EXAMPLES = sorted((CHART / "ci").glob("*-values.yaml"))
MINIMAL = {"store": {"bucket": "results", "existingSecret": "podtask-store"}}

# Group, resource, verbs. Nothing else, anywhere.
OPERATOR_RULES = {
    ("podtask.dev", "taskruns"): {"get", "list", "watch", "delete"},
    ("podtask.dev", "taskruns/status"): {"patch"},
    ("podtask.dev", "flowruns"): {"get", "list", "watch", "delete"},
    ("podtask.dev", "flowruns/status"): {"patch"},
    ("podtask.dev", "warmpools"): {"list", "watch"},
    ("podtask.dev", "warmpools/status"): {"patch"},
    ("", "pods"): {"create", "get", "list", "watch", "patch", "delete"},
    ("", "pods/log"): {"get"},
    ("", "secrets"): {"create", "patch", "delete"},
    ("", "events"): {"create", "list"},
    ("", "namespaces"): {"get"},
    ("coordination.k8s.io", "leases"): {"get", "create", "update"},
}
LEASE_RULES = {("coordination.k8s.io", "leases"): {"get", "create", "update"}, ("", "namespaces"): {"get"}}


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


def template_notes(values: dict[str, Any]) -> str:
    """NOTES.txt as `helm install` prints it; without a cluster."""
    installed = run("install", "podtask", CHART, "--namespace", "podtask-system", "--dry-run=client", values=values)
    assert installed.returncode == 0, installed.stderr
    return installed.stdout.partition("NOTES:")[2]
