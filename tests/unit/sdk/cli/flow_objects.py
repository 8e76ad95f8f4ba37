"""FlowRuns and their TaskRuns as the API server has them, for the tests of the command."""

from __future__ import annotations

from typing import Any

from tests.unit.sdk.cli.runs import run

ID = "6f0ceff0-3aa5-4c21-bd05-90280060aaf5"
INNER = "0000aaaa-3aa5-4c21-bd05-90280060aaf5"
ENDED = {
    "state": "Failed",
    "message": "1/3 states failed.",
    "tasks": "3/3",
    "startedAt": "2026-01-02T03:04:05Z",
    "finishedAt": "2026-01-02T03:05:10Z",
    "duration": "1m5s",
}
LOST = {"type": "DriverLost", "status": "True", "reason": "HeartbeatMissed", "message": "No sign of life."}


def flow(name: str = ID, *, minute: int = 4, title: str = "etl-6f0ceff0", status: Any = None, **spec: Any) -> Any:
    """A FlowRun of namespace `team`."""
    root = spec["parent"]["name"] if "parent" in spec else name
    meta = {
        "name": name,
        "namespace": "team",
        "uid": f"uid-{name}",
        "creationTimestamp": f"2026-01-02T03:{minute:02}:05Z",
        "resourceVersion": "7",
        "labels": {"podtask.dev/root-flow-run": root},
        "managedFields": [{"manager": "podtask"}],
    }
    driver = {"id": "a", "host": "laptop", "program": "etl.py", "sdkVersion": "0.1.0", "python": "3.11.7"}
    full = {"flow": "etl", "title": title, "driver": driver, "pin": "nightly 1", "tags": ["a", "b"], **spec}
    return {"metadata": meta, "spec": full, "status": {"state": "Running"} if status is None else status}


def task_run(name: str, state: str, flow_run: str = ID, *needs: str, ended: str = "03:05:05", **more: Any) -> Any:
    status = {"finishedAt": f"2026-01-02T{ended}Z", **more} if state != "Running" else more
    spec = {"upstream": [{"taskRun": need} for need in needs]} if needs else {}
    spec["task"] = {"name": name.partition("-")[0], "source": "def main(): pass"}
    return run(name, state, labels={"podtask.dev/flow-run": flow_run}, status=status, spec=spec)
