"""A small TaskRun, from its creation to its stored result: operator, scheduling, image pull, bucket from a pod, Python.

It is deleted afterwards, whatever happens; should this process be killed, it goes by itself after some minutes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timezone

from podtask.cli.doctor.cluster import clock
from podtask.cli.doctor.findings import Finding, failed, ok, skipped, warning
from podtask.core.api.names import API_VERSION, KIND, Reason
from podtask.core.api.reasons import entry_of
from podtask.inspection.cluster import Cluster
from podtask.inspection.task_run import SeenTaskRun
from podtask.kube.errors import INSTALL, ClusterRefused

SOURCE = """\
import sys
import time


def main():
    return {"python": "%d.%d" % sys.version_info[:2], "time": time.time()}
"""
HEARD_SECONDS = 15.0
"""Until the operator wrote a status."""


def trial(cluster: Cluster, image: str | None, seconds: float) -> Iterator[Finding]:
    """Run it and judge it."""
    try:
        run = SeenTaskRun(cluster.create(manifest(image, seconds), cluster.namespace))
    except ClusterRefused as no:
        yield failed("trial", str(no))
        return
    try:
        run = _followed(cluster, run, seconds)
        yield from judged(run)
    finally:
        try:
            cluster.remove(run.namespace, run.name)
        except ClusterRefused as no:
            yield warning("trial", str(no), f"kubectl -n {run.namespace} delete ptr {run.name}")


def manifest(image: str | None, seconds: float) -> dict[str, object]:
    """The TaskRun."""
    spec: dict[str, object] = {
        "task": {"name": "doctor", "source": SOURCE},
        "pendingTimeoutSeconds": seconds,
        "maxDisruptions": 0,
        "ttlSecondsAfterFinished": 300,
    }
    if image is not None:
        spec["image"] = image
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"generateName": "podtask-doctor-"}, "spec": spec}


def judged(run: SeenTaskRun) -> Iterator[Finding]:
    """What its end, or where it got stuck, says of each part."""
    if not run.raw.get("state"):
        told = f"no operator has looked at TaskRun {run.namespace}/{run.name}"
        yield failed("operator answers", told, f"is it running, and does it serve this namespace? Else: {INSTALL}")
        return
    yield ok("operator answers", "it took the TaskRun up")
    if not run.finished or not run.state.succeeded:
        yield _trouble(run)
        return
    yield ok("image and pod", f"its pod ran on {_node(run)}, {run.raw.get('duration', '?')} from record to end")
    yield ok("bucket from a pod", "the pod stored its result by its signed URLs")
    value = run.status.result.value if run.status.result else None
    if value is None:
        yield skipped("Python", "the result did not come back in the status")
        return
    said = json.loads(value)
    yield python(str(said["python"]))
    finished = run.status.finished_at
    if finished is not None:
        there = datetime.fromtimestamp(said["time"], timezone.utc)
        if abs((finished - there).total_seconds()) > 60:
            yield clock("clock of the node", f"node {_node(run)}", there)


def python(there: str) -> Finding:
    """Functions travel by cloudpickle: the minors have to be the same."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if there == here:
        return ok("Python", f"{there} in the runner image, as here")
    cure = f"add an image for {here} (runner.images of the chart), or run your flows with Python {there}"
    return warning("Python", f"the default runner image has {there}, and here is {here}", f"for tasks of flows {cure}")


def _trouble(run: SeenTaskRun) -> Finding:
    status = run.status
    reason, message = status.reason, status.message or ""
    if status.error is not None:
        message = status.error.message
    cause = (status.latest.held_up_by if status.latest else None) or reason  # the trial asks for nothing of its own
    cure = entry_of(cause).chart if cause else None
    cure = cure or (status.error.cure if status.error else status.cure) or "kubectl describe the pod"
    check = "image and pod" if reason is not Reason.STORE_UNAVAILABLE else "bucket from a pod"
    how = f"it ended as {run.word}" if run.finished else f"it is still {run.word}"
    return failed(check, f"{how} ({reason}): {' '.join(message.split())}", cure)


def _node(run: SeenTaskRun) -> str:
    latest = run.status.latest
    return (latest.node if latest else None) or "a node"


def _followed(cluster: Cluster, run: SeenTaskRun, seconds: float) -> SeenTaskRun:
    """Until it has ended, or time is up; a short time where the operator says nothing at all."""
    fields, version = f"metadata.name={run.name}", str(run.meta["resourceVersion"])
    deadline = time.monotonic() + seconds
    heard_by = time.monotonic() + min(HEARD_SECONDS, seconds)
    while not run.finished:
        left = (deadline if run.raw.get("state") else heard_by) - time.monotonic()
        if left <= 0:
            break
        for event in cluster.changes(run.namespace, "", version, fields, seconds=left):
            run = SeenTaskRun(event["object"])
            version = str(run.meta["resourceVersion"])
            if run.finished or time.monotonic() > deadline or not run.raw.get("state"):
                break
    return run
