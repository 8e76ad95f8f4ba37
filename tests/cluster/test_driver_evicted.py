"""A driver in a pod that is evicted: its next attempt opens the same FlowRun, and what runs goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cluster.kit import Object, World, eventually, kubectl, let_go
from tests.cluster.test_cli_run import DRIVER_IMAGE, account  # noqa: F401 - a fixture
from tests.cluster.transcript import Shell

pytestmark = pytest.mark.cluster

GATE = """
from podtask import flow, task

@task
def gated(x):
    import os, time
    while not os.path.exists("/tmp/go"):
        time.sleep(0.05)
    return x * 10

@flow
def gate():
    return gated(2).result()
"""


def evict(world: World, pod: str) -> None:
    """As a drain of its node does."""
    meta = {"name": pod, "namespace": world.namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
    path = f"/api/v1/namespaces/{world.namespace}/pods/{pod}/eviction"
    kubectl("create", "--raw", path, "-f", "-", given=json.dumps(body))


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("account")
def test_the_next_attempt_opens_the_flow_run_again(world: World, tmp_path: Path) -> None:
    (tmp_path / "gate.py").write_text(GATE)
    run = f"podtask run gate.py:gate --in-cluster --image {DRIVER_IMAGE}"
    created, *_ = Shell(tmp_path, world).run(run).splitlines()
    name = created.removeprefix("taskrun.podtask.dev/").removesuffix(" created")
    driver = world.until("the driver's TaskRun is there", lambda: world.runs.get(name))
    flow_run = driver["metadata"]["labels"]["podtask.dev/flow-run"]

    def status() -> Object:
        found: Object = json.loads(world.kubectl("get", "pfr", flow_run, "-o", "json"))["status"]
        return found

    def others() -> list[str]:
        labels = {run: obj["metadata"].get("labels") or {} for run, obj in world.runs.items()}
        return [run for run, of in labels.items() if of.get("podtask.dev/flow-run") == flow_run and run != name]

    (gated,) = world.until("its task is there", others, 120)
    world.in_state(gated, "Running")
    assert status()["state"] == "Running"
    evict(world, f"{name}-1")
    eventually("another attempt drives it", lambda: status().get("runs") == 2, 180)
    let_go(world, f"{gated}-1")
    world.finished(name, 180)
    ended = world.runs[name]["status"]
    assert (ended["state"], ended["disruptionsUsed"], ended["retriesUsed"]) == ("Completed", 1, 0)
    assert (status()["state"], status()["result"], status()["runs"]) == ("Completed", "20", 2)
    assert (others(), world.pods_of(gated)) == ([gated], [f"{gated}-1"])
