"""Objects for tests, each valid by itself; a test names only what it is about.

`run_object` and `pod` are plain dicts as the API server sends them, `run` is parsed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podtask.core.api import names
from podtask_operator.settings import Settings
from podtask_operator.task_runs.held import sized
from podtask_operator.task_runs.parse import TaskRun

UID = "0b9a1c1e-0000-4000-8000-000000000001"
POD_UID = "0b9a1c1e-0000-4000-8000-0000000000aa"
CREATED = "2026-01-02T03:04:05Z"
DIGEST = "ab" * 32
PINNED = f"registry.example/own@sha256:{DIGEST}"

SETTINGS = Settings(
    store="s3://bucket/prefix",
    runner_images={"3.10": "podtask-runner:py3.10", "3.11": "podtask-runner:py3.11"},
    default_python="3.11",
)


def run_object(
    spec: Mapping[str, Any] | None = None,
    *,
    name: str = "hello",
    status: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A TaskRun with inline source; `spec` adds to it or replaces, None takes a field away."""
    merged = {"task": {"source": "def main(): pass"}, **(spec or {})}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": UID,
            "generation": 1,
            "resourceVersion": "7",
            "creationTimestamp": CREATED,
            **(metadata or {}),
        },
        "spec": {field: value for field, value in merged.items() if value is not None},
        **({"status": dict(status)} if status is not None else {}),
    }


def run(spec: Mapping[str, Any] | None = None, **more: Any) -> TaskRun:
    """The same, parsed."""
    return TaskRun.parse(sized(run_object(spec, **more)))


def pod(
    status: Mapping[str, Any] | None = None,
    *,
    state: Mapping[str, Any] | None = None,
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
    metadata: Mapping[str, Any] | None = None,
    spec: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The pod of the first attempt of `run()`; `state` is its container's, `conditions` are by type."""
    given: dict[str, Any] = {"phase": "Pending", **(status or {})}
    if state is not None:
        given["containerStatuses"] = [{"name": names.POD_CONTAINER, "state": dict(state)}]
    if conditions is not None:
        given["conditions"] = [{"type": kind, "status": "True", **rest} for kind, rest in conditions.items()]
    owner = {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": "hello", "uid": UID, "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "hello-1",
            "namespace": "team",
            "uid": POD_UID,
            "resourceVersion": "8",
            "creationTimestamp": CREATED,
            "labels": {names.LABEL_TASK_RUN: "hello", names.LABEL_ATTEMPT: "1"},
            "ownerReferences": [owner],
            **(metadata or {}),
        },
        "spec": {"nodeName": "node-a", **(spec or {})},
        "status": given,
    }
