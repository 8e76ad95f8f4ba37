"""A real Kueue queues the pods of task runs: admitted, made to wait, preempted, and created again at no cost.

`dev/kueue` builds Kueue from its module. In `make test` the part of Kueue is played by `tests/cluster/kueue.py`.
"""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator

import pytest
from tests.cluster import invariants
from tests.cluster.kit import ROOT, Object, World, kubectl, let_go, sentence, task_run
from tests.cluster.kueue import QUEUE

from podtask.core.storage import Store

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(900)]

API = "kueue.x-k8s.io/v1beta2"
LOW, HIGH = "podtask-tests-low", "podtask-tests-high"
GATED = """
import os, time

def main():
    while os.environ["PODTASK_ATTEMPT"] == "1" and not os.path.exists("/tmp/go"):
        time.sleep(0.05)
    return os.environ["PODTASK_ATTEMPT"]
"""


def queues(namespace: str) -> list[Object]:
    """One CPU for the namespace's queue; who is more important goes first."""
    flavors = [
        {
            "name": "podtask-tests",
            "resources": [{"name": "cpu", "nominalQuota": 1}, {"name": "memory", "nominalQuota": "2Gi"}],
        }
    ]
    return [
        {"apiVersion": API, "kind": "ResourceFlavor", "metadata": {"name": "podtask-tests"}},
        {
            "apiVersion": API,
            "kind": "ClusterQueue",
            "metadata": {"name": "podtask-tests"},
            "spec": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "preemption": {"withinClusterQueue": "LowerPriority"},
                "resourceGroups": [{"coveredResources": ["cpu", "memory"], "flavors": flavors}],
            },
        },
        {
            "apiVersion": API,
            "kind": "LocalQueue",
            "metadata": {"name": "team", "namespace": namespace},
            "spec": {"clusterQueue": "podtask-tests"},
        },
        *({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value}
          for name, value in ((LOW, 1), (HIGH, 2))),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def kueue(served: World) -> Iterator[World]:
    subprocess.run([ROOT / "dev" / "kueue", "up"], check=True, timeout=800)
    made = "\n---\n".join(json.dumps(one) for one in queues(served.namespace))
    try:
        apply = functools.partial(kubectl, "apply", "-f", "-", given=made)
        served.until("the webhook of Kueue answers", lambda: sentence(apply) == "it was accepted", 60)
        yield served
    finally:
        kubectl("delete", "priorityclass", LOW, HIGH, "--ignore-not-found")
        subprocess.run([ROOT / "dev" / "kueue", "down"], check=True, timeout=300)


def queued(name: str, source: str, priority: str = LOW) -> Object:
    """A run that takes the whole quota."""
    resources = {"requests": {"cpu": "1", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
    template = {"labels": {QUEUE: "team"}, "priorityClassName": priority}
    return task_run(name, source, resources=resources, podTemplate=template)


def test_the_second_waits_in_the_queue_until_the_first_has_ended(kueue: World, store: Store) -> None:
    kueue.apply(queued("first", GATED))
    kueue.in_state("first", "Running")
    kueue.apply(queued("second", GATED))
    waits = kueue.in_state("second", "Pending", "Queued")["status"]
    assert "kueue.x-k8s.io/admission" in waits["message"]
    let_go(kueue, "first-1")
    kueue.finished("first")
    kueue.in_state("second", "Running", seconds=120)
    let_go(kueue, "second-1")
    kueue.finished("second")
    for name in ("first", "second"):
        run = invariants.check(kueue, store, name)
        assert [outcome for outcome, _ in invariants.outcomes(run)] == ["Completed"]


def test_a_preempted_run_goes_back_into_the_queue_and_loses_no_retry(kueue: World, store: Store) -> None:
    kueue.apply(queued("modest", GATED))
    kueue.in_state("modest", "Running")
    kueue.apply(queued("urgent", GATED, HIGH))
    kueue.in_state("urgent", "Running", seconds=120)
    kueue.in_state("modest", "Pending", "Queued", seconds=120)
    let_go(kueue, "urgent-1")
    kueue.finished("urgent")
    kueue.finished("modest", 120)
    run = invariants.check(kueue, store, "modest")
    assert [outcome for outcome, _ in invariants.outcomes(run)] == ["Disruption", "Completed"]
    assert (run["status"]["retriesUsed"], run["status"]["disruptionsUsed"]) == (0, 1)


def test_a_cancelled_run_leaves_the_queue(kueue: World) -> None:
    kueue.apply(queued("holds", GATED))
    kueue.in_state("holds", "Running")
    kueue.apply(queued("leaves", GATED))
    kueue.in_state("leaves", "Pending", "Queued")
    kueue.patch("leaves", cancel=True)
    assert kueue.finished("leaves")["status"]["state"] == "Cancelled"
    kueue.until("its pod is gone", lambda: "leaves-1" not in kueue.pods)
    let_go(kueue, "holds-1")
    kueue.finished("holds")
