"""What scheduler, kubelet, eviction API and neighbours really do to pods: each is told by its name, none is a retry.

Other such cases: `test_faults` (deletion, namesakes), `test_waiting` (image, quota, Pod Security), `test_yaml_door`
(out of memory).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster import invariants, kueue
from tests.cluster.invariants import EVIDENCE, container_state
from tests.cluster.kit import RUNS, Object, World, eventually, kubectl, sentence, task_run
from tests.cluster.operator_process import Operator, without_installed
from tests.cluster.outage import away, switchable

from podtask.core.storage import Store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SLOT = "podtask-tests.dev/slot"
LOW, HIGH = "podtask-tests-low", "podtask-tests-high"
COMPLETED = ("Completed", "Completed")
TEKTON: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "taskruns.tekton.dev"},
    "spec": {
        "group": "tekton.dev",
        "scope": "Namespaced",
        "names": {"plural": "taskruns", "singular": "taskrun", "kind": "TaskRun", "shortNames": ["tr", "trs"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def once(seconds: float) -> str:
    """Source of a task whose first attempt takes so long, and whose others take no time."""
    return f"""
import os, time
def main():
    print("{EVIDENCE}", flush=True)
    time.sleep({seconds} if os.environ["PODTASK_ATTEMPT"] == "1" else 0)
    return os.environ["PODTASK_ATTEMPT"]
"""


def slotted(name: str, seconds: float, priority: str) -> Object:
    """A run that needs the node's only slot."""
    one = {SLOT: "1"}
    return task_run(
        name, once(seconds), resources={"requests": one, "limits": one}, podTemplate={"priorityClassName": priority}
    )


@pytest.fixture(scope="module")
def operator(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with without_installed():
        made = Operator(tmp_path_factory.mktemp("operators"), world.namespace)
        yield made
        assert made.alive, made.told()
        made.end()


@pytest.fixture(scope="module")
def served(world: World, operator: Operator) -> World:
    return world


def container_runs(world: World, pod: str) -> Object:
    """The pod, once its container runs."""

    def there() -> Object | None:
        found = world.pods.get(pod)
        return found if found and "running" in container_state(found) else None

    return world.until(f"the container of {pod} runs", there)


def disrupted(world: World, store: Store, name: str, reason: str) -> Object:
    """The run completed at its second attempt, and no retry was used; its first attempt."""
    world.finished(name, 180)
    run = invariants.check(world, store, name)
    assert (run["status"]["state"], run["status"]["retriesUsed"]) == ("Completed", 0)
    assert run["status"]["disruptionsUsed"] == 1
    assert invariants.outcomes(run) == [("Disruption", reason), COMPLETED]
    first: Object = run["status"]["attempts"][0]
    return first


def evict(world: World, pod: str) -> None:
    """As a drain of its node does, once its container runs."""
    container_runs(world, pod)
    meta = {"name": pod, "namespace": world.namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
    path = f"/api/v1/namespaces/{world.namespace}/pods/{pod}/eviction"
    kubectl("create", "--raw", path, "-f", "-", given=json.dumps(body))


def test_an_eviction_by_the_api_is_a_disruption_that_says_so(served: World, store: Store) -> None:
    served.apply(task_run("evicted", once(120), retries=1))
    evict(served, "evicted-1")
    assert "evict" in disrupted(served, store, "evicted", "Evicted")["message"].lower()


def test_after_an_eviction_the_node_is_avoided_and_the_last_attempt_is_where_the_spec_says(
    served: World, store: Store
) -> None:
    steady = {"kubernetes.io/os": "linux"}
    asked = {"avoidNode": True, "lastAttempt": {"nodeSelector": steady}}
    waits = once(120).replace('== "1"', 'in ("1", "2")')
    served.apply(task_run("moved", waits, maxDisruptions=2, onDisruption=asked))
    evict(served, "moved-1")
    evict(served, "moved-2")
    served.finished("moved", 180)
    run = invariants.check(served, store, "moved")
    assert invariants.outcomes(run) == [("Disruption", "Evicted"), ("Disruption", "Evicted"), COMPLETED]
    first, second, third = (pod_spec(served, f"moved-{number}") for number in (1, 2, 3))
    assert "nodeAffinity" not in first.get("affinity", {})
    assert avoided(second) == [first["nodeName"]]
    assert avoided(third) == list(dict.fromkeys((first["nodeName"], second["nodeName"])))
    assert [pod.get("nodeSelector") == steady for pod in (first, second, third)] == [False, False, True]


def pod_spec(world: World, name: str) -> Object:
    """As the pod was seen last."""
    spec: Object = next(
        seen.object["spec"] for seen in reversed(world.history) if seen.object["metadata"]["name"] == name
    )
    return spec


def avoided(pod: Object) -> list[str]:
    """Nodes that its affinity prefers not to use."""
    (term,) = pod["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    rules = term["preference"]["matchFields"]
    assert {(rule["key"], rule["operator"]) for rule in rules} == {("metadata.name", "NotIn")}
    return [node for rule in rules for node in rule["values"]]


@pytest.fixture
def one_slot() -> Iterator[None]:
    """Room for one pod that asks for it, and two priorities."""
    node = next(
        item["metadata"]["name"]
        for item in json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
        if not item["spec"].get("taints")
    )
    path = f"/status/capacity/{SLOT.replace('/', '~1')}"
    change = functools.partial(kubectl, "patch", "node", node, "--subresource=status", "--type=json", "-p")
    change(json.dumps([{"op": "add", "path": path, "value": "1"}]))
    try:
        kubectl("delete", "priorityclass", LOW, HIGH, "--ignore-not-found")  # of a session that was killed
        kubectl("create", "priorityclass", LOW, "--value=-10")
        kubectl("create", "priorityclass", HIGH, "--value=10")
        kubectl("wait", f"node/{node}", f"--for=jsonpath={{.status.allocatable.{SLOT.replace('.', chr(92) + '.')}}}=1")
        yield
    finally:
        change(json.dumps([{"op": "remove", "path": path}]))
        kubectl("delete", "priorityclass", LOW, HIGH, "--ignore-not-found")


def test_a_pod_that_makes_room_for_one_of_higher_priority_is_created_again_when_there_is_room(
    served: World, store: Store, one_slot: None
) -> None:
    served.apply(slotted("cheap", 120, LOW))
    container_runs(served, "cheap-1")
    served.apply(slotted("dear", 5, HIGH))
    served.in_state("cheap", "Pending", "Unschedulable")
    served.finished("dear")
    first = disrupted(served, store, "cheap", "Preempted")
    assert first["cure"] == "Give the run a priority of its own with spec.podTemplate.priorityClassName."
    assert invariants.outcomes(invariants.check(served, store, "dear")) == [COMPLETED]


@pytest.mark.long
def test_a_frozen_kubelet_loses_and_repeats_nothing(served: World, store: Store) -> None:
    switchable()
    served.apply(task_run("frozen", once(3)))
    container_runs(served, "frozen-1")
    with away("kubelet", 12, "--signal", "STOP"):
        served.apply(task_run("bound-meanwhile", once(0)))
    for name in ("frozen", "bound-meanwhile"):
        served.finished(name, 120)
        run = invariants.check(served, store, name)
        assert (run["status"]["state"], invariants.outcomes(run)) == ("Completed", [COMPLETED])
        assert served.pods_of(name) == [f"{name}-1"]


PENDING_SECONDS = 20


@pytest.mark.long
def test_a_gated_pod_waits_as_long_as_kueue_wants_and_its_preemption_is_a_disruption(
    served: World, store: Store, tmp_path: Path
) -> None:
    switchable()  # the webhook is on this machine's loopback
    template = {"labels": {kueue.QUEUE: "team"}}
    with kueue.gating(served, tmp_path):
        served.apply(task_run("queued", once(120), podTemplate=template, pendingTimeoutSeconds=PENDING_SECONDS))
        waits = served.in_state("queued", "Pending", "Queued")["status"]
        served.apply(task_run("outlasts", f"import time\n\ndef main():\n    time.sleep({PENDING_SECONDS + 1})\n"))
        served.finished("outlasts")
        assert kueue.GATE in waits["message"]
        assert served.pods["queued-1"]["metadata"]["labels"][kueue.QUEUE] == "team"
        kueue.admit(served, "queued-1")
        container_runs(served, "queued-1")
        kueue.preempt(served, "queued-1")
        served.until("the next pod is gated", lambda: served.pods.get("queued-2", {}).get("spec", {}).get(GATES))
        kueue.admit(served, "queued-2")
        served.finished("queued", 120)
    run = invariants.check(served, store, "queued")
    assert [outcome for outcome, _ in invariants.outcomes(run)] == ["Disruption", "Completed"]
    assert (run["status"]["retriesUsed"], run["status"]["disruptionsUsed"]) == (0, 1)


GATES = "schedulingGates"


@pytest.fixture
def tekton() -> Iterator[None]:
    kubectl("apply", "-f", "-", given=json.dumps(TEKTON))
    try:
        listed = functools.partial(kubectl, "get", "taskruns.tekton.dev", "--namespace", "default")
        eventually("they are served, which is after Established", lambda: sentence(listed) == "it was accepted")
        yield
    finally:
        kubectl("delete", "crd", "taskruns.tekton.dev", "--ignore-not-found")


def test_taskruns_of_tekton_beside_ours_are_neither_served_nor_touched(
    served: World, store: Store, tekton: None
) -> None:
    theirs = {"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": "same"}, "spec": {}}
    served.kubectl("create", "-f", "-", given=json.dumps({**theirs, "metadata": {"name": "same"}}))
    served.apply(task_run("same", once(0)))
    served.finished("same")
    run = invariants.check(served, store, "same")
    assert (run["kind"], run["apiVersion"]) == ("TaskRun", "podtask.dev/v1alpha1")
    assert invariants.outcomes(run) == [COMPLETED]
    told = json.loads(served.kubectl("get", "taskruns.tekton.dev", "same", "-o", "json"))
    assert "status" not in told
    assert told["metadata"]["generation"] == 1
    assert "podtask.dev" in served.kubectl("get", "ptr", "same", "-o", "name")
    assert served.kubectl("get", RUNS, "same", "-o", "name").startswith("taskrun.podtask.dev/")
