"""Who may create TaskRuns in the operator's own namespace gets nothing of what stands there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.builders import SETTINGS, run

from podtask.inspection import smoke
from podtask_operator import settings
from podtask_operator.pods.validate import invalid

HERE = replace(SETTINGS, operator_namespace="team", driver_account="podtask-driver")
SECRET = {"secretKeyRef": {"name": "bucket", "key": "k"}}

TAKING: dict[str, tuple[dict[str, Any], str]] = {
    "a Secret in a variable": ({"env": [{"name": "A", "valueFrom": SECRET}]}, "spec.env[0].valueFrom"),
    "a ConfigMap in a variable": (
        {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]},
        "spec.env[0].valueFrom",
    ),
    "all of a Secret": ({"podTemplate": {"envFrom": [{"secretRef": {"name": "b"}}]}}, "spec.podTemplate.envFrom"),
    "the operator's account": ({"serviceAccountName": "podtask-operator"}, "spec.serviceAccountName"),
    "pull secrets": ({"podTemplate": {"imagePullSecrets": [{"name": "b"}]}}, "spec.podTemplate.imagePullSecrets"),
    **{
        f"a volume of {kind}": ({"podTemplate": {"volumes": [{"name": "v", kind: source}]}}, "volumes[0]")
        for kind, source in {
            "secret": {"secretName": "b"},
            "configMap": {"name": "c"},
            "projected": {"sources": [{"secret": {"name": "b"}}]},
            "persistentVolumeClaim": {"claimName": "p"},
            "csi": {"driver": "secrets-store.csi.k8s.io"},
        }.items()
    },
}


@pytest.mark.parametrize("case", TAKING)
def test_what_is_the_operators_is_refused_there_and_nowhere_else(case: str) -> None:
    spec, path = TAKING[case]
    why = invalid(run(spec), HERE)
    assert why is not None
    assert path in why.message
    assert "'team', the operator's own" in why.message
    assert "watchNamespaces" in str(why.cure)
    for elsewhere in (
        SETTINGS,
        replace(HERE, operator_namespace="podtask-system"),
        replace(HERE, namespaces=("other", "team")),
    ):
        assert invalid(run(spec), elsewhere) is None


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            ]
        },
        {"podTemplate": {"volumes": [{"name": "v", "emptyDir": {}}], "schedulerName": "x"}},
        {"serviceAccountName": "podtask-driver"},
    ],
)
def test_what_takes_nothing_runs_there(spec: dict[str, Any]) -> None:
    assert invalid(run(spec), HERE) is None


def test_the_smoke_test_runs_there() -> None:
    assert invalid(run(smoke.task_run(60)["spec"]), HERE) is None


def test_only_the_chart_says_which_namespace_is_the_operators() -> None:
    environment = {settings.STORE: "s3://bucket", settings.RUNNER_IMAGES: '{"3.11": "x"}'}
    assert settings.load(environment).operator_namespace is None
    assert settings.load({**environment, settings.LEASE_NAMESPACE: "podtask-system"}).operator_namespace is None
    told = settings.load({**environment, settings.OPERATOR_NAMESPACE: "podtask-system"})
    assert told.operator_namespace == "podtask-system"
