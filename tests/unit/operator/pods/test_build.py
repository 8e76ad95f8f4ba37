"""Pods as they are posted. The goldens are for people; `python -m tests.unit.operator.pods.test_build` writes them
anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.builders import PINNED, SETTINGS, run

from podtask_operator.pod_template.checks import NotAllowed
from podtask_operator.pods.build import build
from podtask_operator.settings import Settings
from podtask_operator.task_runs.parse import Malformed

GOLDEN = Path(__file__).parent / "golden"

DEFAULTS = replace(
    SETTINGS,
    image_pull_policy="Always",
    task_defaults={
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "nodeSelector": {"kubernetes.io/os": "linux", "pool": "tasks"},
        "tolerations": [{"key": "tasks", "operator": "Exists"}],
        "imagePullSecrets": [{"name": "company"}],
        "priorityClassName": "batch",
        "tmpSizeLimit": "2Gi",
    },
)

EVERYTHING: dict[str, Any] = {
    "image": PINNED,
    "timeoutSeconds": 60.5,
    "pendingTimeoutSeconds": 300,
    "serviceAccountName": "reader",
    "nodeSelector": {"pool": "gpu"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "resources": {"requests": {"memory": "2Gi"}, "limits": {"example.com/gpu": 1}},
    "env": [
        {"name": "HOME", "value": "/data"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token", "optional": True}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ],
    "podTemplate": {
        "labels": {"team": "data"},
        "annotations": {"note": "careful"},
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
        "priorityClassName": "urgent",
        "runtimeClassName": "gvisor",
        "schedulerName": "other",
        "imagePullSecrets": [{"name": "mine"}],
        "terminationGracePeriodSeconds": 90,
        "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
        "securityContext": {"runAsUser": 1000, "fsGroup": 2000, "supplementalGroups": [3000]},
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "shm", "emptyDir": {"medium": "Memory"}},
        ],
        "volumeMounts": [
            {"name": "data", "mountPath": "//data/", "readOnly": True},
            {"name": "shm", "mountPath": "/dev/shm"},
        ],
        "envFrom": [{"prefix": "DB_", "secretRef": {"name": "db"}}],
    },
}
LABELS = {
    "podtask.dev/flow": "etl",
    "podtask.dev/flow-run": "etl-1",
    "podtask.dev/task": "load",
    "kueue.x-k8s.io/queue-name": "team",
    "unrelated": "stays",
}

CASES: dict[str, tuple[dict[str, Any], dict[str, str], int, Settings]] = {
    "smallest": ({}, {}, 1, SETTINGS),
    "defaults": ({"timeoutSeconds": 1}, LABELS, 2, DEFAULTS),
    "everything": (EVERYTHING, LABELS, 12, DEFAULTS),
}


def made(name: str) -> dict[str, Any]:
    spec, labels, attempt, settings = CASES[name]
    return build(run(spec, metadata={"labels": labels}), attempt, settings)


def as_yaml(name: str) -> str:
    return str(yaml.dump(made(name), Dumper=_Plain, sort_keys=False, width=120))


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


@pytest.mark.parametrize("name", CASES)
def test_pod_is_the_committed_one(name: str) -> None:
    assert as_yaml(name) == (GOLDEN / f"pod-{name}.yaml").read_text()


def container(spec: dict[str, Any], settings: Settings = SETTINGS) -> dict[str, Any]:
    found: dict[str, Any] = build(run(spec), 1, settings)["spec"]["containers"][0]
    return found


def test_the_same_run_gives_the_same_pod_and_shares_nothing_it_changes() -> None:
    before = run(EVERYTHING)
    assert build(before, 1, DEFAULTS) == build(before, 1, DEFAULTS)
    assert before == run(EVERYTHING)


def test_our_runner_image_keeps_its_entrypoint_and_another_gets_a_command() -> None:
    assert "command" not in container({})
    assert container({"image": "own:1"})["command"][:2] == ["python3", "-I"]


def test_the_minor_of_the_code_chooses_the_runner_image() -> None:
    assert container({"task": {"source": "x", "python": "3.10"}})["image"] == "podtask-runner:py3.10"
    assert container({})["image"] == "podtask-runner:py3.11"


def test_without_a_timeout_there_is_no_deadline() -> None:
    assert "activeDeadlineSeconds" not in build(run(), 1, SETTINGS)["spec"]


GROWING = {
    "onOutOfMemory": {"maxMemory": "3Gi"},
    "resources": {"requests": {"cpu": 1, "memory": "0.5Gi"}, "limits": {"memory": "1Gi"}},
}


@pytest.mark.parametrize(
    ("kills", "request_", "limit"), [(0, "0.5Gi", "1Gi"), (1, "1Gi", "2Gi"), (2, "2Gi", "3Gi"), (9, "3Gi", "3Gi")]
)
def test_memory_grows_by_what_the_status_says_and_never_beyond_its_maximum(
    kills: int, request_: str, limit: str
) -> None:
    built = build(run(GROWING, status={"outOfMemoryUsed": kills}), kills + 1, SETTINGS)
    assert built["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": 1, "memory": request_},
        "limits": {"memory": limit},
    }


def test_the_charts_default_memory_grows_too() -> None:
    grown = build(run({"onOutOfMemory": {"maxMemory": "4Gi"}}, status={"outOfMemoryUsed": 1}), 2, DEFAULTS)
    assert grown["spec"]["containers"][0]["resources"]["limits"] == {"memory": "2Gi"}


@pytest.mark.parametrize(
    ("spec", "suspended", "seconds"),
    [
        ({"deadlineSeconds": 100}, None, 100 - 40 + 30 + 60),
        ({"deadlineSeconds": 100}, 30, 100 - 40 + 30 + 30 + 60),
        ({"deadlineSeconds": 100, "timeoutSeconds": 5, "pendingTimeoutSeconds": 20}, None, 25 + 30 + 60),
        ({"deadlineSeconds": 20}, None, 30 + 60),
    ],
)
def test_the_kubelet_keeps_the_runs_deadline_while_the_operator_is_away(
    spec: dict[str, Any], suspended: float | None, seconds: int
) -> None:
    status = {
        "startedAt": "2026-01-02T03:00:00Z",
        "suspendedSeconds": suspended,
        "attempts": [{"number": 2, "recordedAt": "2026-01-02T03:00:40Z"}],
        "attemptsTotal": 2,
    }
    assert build(run(spec, status=status), 2, SETTINGS)["spec"]["activeDeadlineSeconds"] == seconds


def test_variables_of_ours_come_last_and_once() -> None:
    wished = container({"env": [{"name": "PODTASK_ATTEMPT", "value": "9"}, {"name": "A", "value": "1"}]})["env"]
    attempts = [entry["value"] for entry in wished if entry["name"] == "PODTASK_ATTEMPT"]
    assert attempts == ["1"]
    assert wished[-1]["name"].startswith("PODTASK_")


RESOURCES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing asked": (
        {},
        {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
    ),
    "more memory requested than the default limit": (
        {"requests": {"memory": "2Gi"}},
        {"requests": {"cpu": "100m", "memory": "2Gi"}},
    ),
    "a limit alone is its own request": (
        {"limits": {"memory": "64Mi"}},
        {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}},
    ),
}


@pytest.mark.parametrize(("asked", "expected"), RESOURCES.values(), ids=RESOURCES.keys())
def test_default_resources_never_contradict_what_is_asked(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    assert container({"resources": asked}, DEFAULTS)["resources"] == expected


def test_what_validate_reports_is_refused_here_too() -> None:
    with pytest.raises(NotAllowed):
        build(run({"podTemplate": {"hostNetwork": True}}), 1, SETTINGS)
    with pytest.raises(Malformed, match=r"3\.9"):
        build(run({"task": {"source": "x", "python": "3.9"}}), 1, SETTINGS)


def test_where_spans_go_is_a_default_that_the_task_may_change() -> None:
    traced, name = replace(SETTINGS, task_otlp_endpoint="http://collector:4318"), "OTEL_EXPORTER_OTLP_ENDPOINT"

    def endpoints(settings: Settings, **spec: Any) -> list[str]:
        return [each.get("value", "") for each in container(spec, settings)["env"] if each["name"] == name]

    assert endpoints(SETTINGS) == []
    assert endpoints(traced) == ["http://collector:4318"]
    assert endpoints(traced, env=[{"name": name, "value": "http://own:4318"}]) == ["http://own:4318"]
    assert endpoints(traced, env=[{"name": name, "value": ""}]) == [""]


if __name__ == "__main__":
    for case in CASES:
        (GOLDEN / f"pod-{case}.yaml").write_text(as_yaml(case))
