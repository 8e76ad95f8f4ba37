"""The one exception to "pods have no token": drivers of flows, under the account that the administrator named.

A TaskRun whose serviceAccountName is exactly `Settings.driver_account` (empty: nobody's) gets a token that the kubelet
renews and that dies with the pod. What it may do is said by RBAC; the chart's `driver` lets it handle TaskRuns of its
own namespace and nothing else. Whoever may create TaskRuns there may use it, and could do the same without it.
Asked by: `build`.
"""

from __future__ import annotations

from typing import Any, Final

from podtask_operator.settings import Settings
from podtask_operator.task_runs.parse import TaskRun

Json = dict[str, Any]

VOLUME: Final = "podtask-token"
PLACE: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where clients look for it."""
LIFE_SECONDS: Final = 3600


def is_driver(run: TaskRun, settings: Settings) -> bool:
    """Whether its pod gets a token."""
    return bool(settings.driver_account) and run.spec.service_account_name == settings.driver_account


def volumes(run: TaskRun, settings: Settings) -> list[Json]:
    """Token, the API server's certificate and the namespace; nothing for everybody else."""
    if not is_driver(run, settings):
        return []
    namespace = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": LIFE_SECONDS}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]
    return [{"name": VOLUME, "projected": {"sources": sources}}]


def mounts(run: TaskRun, settings: Settings) -> list[Json]:
    """The mount that belongs to it."""
    return [{"name": VOLUME, "mountPath": PLACE, "readOnly": True}] if is_driver(run, settings) else []
