"""A node that does not answer: no overlap, and the administrator's force policy.

The node is an object without a kubelet, which is what a lost node is to everybody else: pods are bound to it, nobody
starts them, and nobody confirms their deletion. The test plays the last words of its kubelet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.cluster.invariants import when
from tests.cluster.kit import Object, World, kubectl, task_run
from tests.cluster.operator_process import Operator, without_installed

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

NODE = "t-lost-node-ghost"
FORCE_AFTER = 4
GHOST: Object = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": NODE, "labels": {"example.org/ghost": "yes"}},
    "spec": {"taints": [{"key": "example.org/ghost", "effect": "NoSchedule"}]},
}
ROOM = {name: {"cpu": "4", "memory": "4Gi", "pods": "20"} for name in ("capacity", "allocatable")}
ON_GHOST = {"nodeSelector": {"example.org/ghost": "yes"}, "tolerations": [{"operator": "Exists"}]}


@pytest.fixture(scope="module")
def served(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    kubectl("apply", "-f", "-", given=json.dumps(GHOST))
    kubectl("patch", "node", NODE, "--subresource=status", "--type=merge", "-p", json.dumps({"status": ROOM}))
    with without_installed():
        folder = tmp_path_factory.mktemp("operator")
        operator = Operator(folder, world.namespace, PODTASK_LOST_NODE_FORCE_SECONDS=str(FORCE_AFTER))
        try:
            yield world
        finally:
            operator.end()
            kubectl("delete", "node", NODE, "--wait=false")


def bound(world: World, pod: str) -> Object:
    """The pod, once it is on the ghost."""

    def there() -> Object | None:
        found = world.pods.get(pod)
        return found if found and found["spec"].get("nodeName") == NODE else None

    return world.until(f"{pod} is bound to the node", there)


def runs_there(world: World, pod: str) -> None:
    """The last that its kubelet said: the container runs."""
    started = bound(world, pod)["metadata"]["creationTimestamp"]
    state = {"name": "task", "image": "x", "imageID": "x", "ready": True, "restartCount": 0}
    status = {"phase": "Running", "containerStatuses": [{**state, "state": {"running": {"startedAt": started}}}]}
    world.kubectl("patch", "pod", pod, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))


def moment(world: World, pod: str, kind: str) -> float:
    """When the watch first told of the pod in that way."""
    return next(seen.at for seen in world.history if (seen.object["metadata"]["name"], seen.type) == (pod, kind))


def judged(run: Object) -> Object | None:
    """The run's first attempt, once its outcome is known."""
    first: Object = run["status"]["attempts"][0]
    return first if "outcome" in first else None


def test_a_pod_that_outlives_its_deletion_is_removed_by_force_and_only_then_the_next_one_starts(served: World) -> None:
    served.apply(task_run("gone", "def main(): pass", **ON_GHOST))
    runs_there(served, "gone-1")
    served.in_state("gone", "Running")
    served.kubectl("delete", "pod", "gone-1", "--wait=false", "--grace-period=1")
    bound(served, "gone-2")
    attempt = served.until("its first attempt is judged", lambda: judged(served.runs["gone"]))  # by another watch
    assert (attempt["outcome"], attempt["reason"], attempt["node"]) == ("Disruption", "NodeLost", NODE)
    assert "removed by force" in attempt["message"]
    assert attempt["cure"]
    removed = moment(served, "gone-1", "DELETED")
    assert removed <= moment(served, "gone-2", "ADDED"), "two pods at a time"
    told = (seen.object["metadata"] for seen in served.history if seen.object["metadata"]["name"] == "gone-1")
    gone_by = next(meta["deletionTimestamp"] for meta in told if "deletionTimestamp" in meta)
    assert removed >= when(gone_by).timestamp() + FORCE_AFTER
    status = served.runs["gone"]["status"]
    assert (status["retriesUsed"], status["disruptionsUsed"]) == (0, 1)


@pytest.mark.long
def test_cancel_ends_a_run_whose_node_is_lost(served: World) -> None:
    served.apply(task_run("stopped", "def main(): pass", **ON_GHOST))
    runs_there(served, "stopped-1")
    served.in_state("stopped", "Running")
    served.patch("stopped", cancel=True)  # the stop reaches nobody
    stopping = served.until("it is stopping", lambda: served.pods["stopped-1"]["spec"].get("activeDeadlineSeconds"))
    assert stopping == 1
    served.kubectl("delete", "pod", "stopped-1", "--wait=false", "--grace-period=1")  # as the taint does in time
    assert served.finished("stopped")["status"]["state"] == "Cancelled"
    assert served.pods_of("stopped") == ["stopped-1"]
