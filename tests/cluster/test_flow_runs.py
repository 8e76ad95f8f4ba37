"""The FlowRun on a real cluster: what a driver records, what holds when it is killed, what goes with one object."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.drivers import driver, lines_of
from tests.cluster.kit import Object, Refused, World, eventually, kubectl, let_go, task_run

pytestmark = pytest.mark.cluster

FLOW_RUNS = "flowruns.podtask.dev"
TASKS = """
from podtask import flow, task

@task
def quick(x):
    return x + 1

@task
def gated(x):
    import os, time
    while not os.path.exists("/tmp/go"):
        time.sleep(0.05)
    return x * 10
"""
NESTED = """
@flow
def inner(x):
    return quick(x).result()

@flow
def outer(x, password="hunter2"):
    return inner(quick(x).result())

print(outer(1))
"""
GATED = """
@flow
def gate():
    first = quick(1)
    print(first.run_id, first.result())
    second = gated(first)
    print(second.run_id)
    print(second.result())

gate()
"""
AFTER_ANOTHER = """
@flow
def goes_on():
    first = gated(1)
    print(first.run_id)
    print(first.wait().name)
    quick(2)

goes_on()
"""


def flow_runs(world: World) -> dict[str, Object]:
    """FlowRuns by the name of their flow."""
    items = json.loads(world.kubectl("get", FLOW_RUNS, "-o", "json"))["items"]
    return {item["spec"]["flow"]: item for item in items}


def flow_run(world: World, flow: str) -> Object:
    return eventually(f"there is a FlowRun of {flow}", lambda: flow_runs(world).get(flow))


def change(world: World, name: str, **spec: Any) -> None:
    world.kubectl("patch", FLOW_RUNS, name, "--type=merge", "-p", json.dumps({"spec": spec}))


def runs_of(world: World, name: str) -> list[str]:
    labels = {run: obj["metadata"].get("labels") or {} for run, obj in world.runs.items()}
    return [run for run, known in labels.items() if known.get("podtask.dev/flow-run") == name]


@contextmanager
def killed(world: World, folder: Path, pin: str) -> Iterator[list[str]]:
    """A driver of `gate` that is killed while its second task runs; the names of its TaskRuns."""
    with driver(folder, TASKS + GATED, world.namespace, pin) as process:
        first, second = lines_of(process, 2)
        world.in_state(second, "Running")
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    yield [first.split()[0], second]


def test_a_flow_its_subflow_and_their_task_runs_are_recorded(served: World, tmp_path: Path) -> None:
    with driver(tmp_path, TASKS + NESTED, served.namespace, "recorded") as process:
        out, said = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "3\n"), said
    outer, inner = flow_runs(served)["outer"], flow_runs(served)["inner"]
    assert [one["status"]["state"] for one in (outer, inner)] == ["Completed", "Completed"]
    assert outer["status"]["result"] == "3"
    assert outer["status"]["tasks"] == "1/1"
    assert outer["spec"]["pin"] == "recorded"
    assert "hunter2" not in json.dumps(outer)
    assert inner["spec"]["parent"] == {"name": outer["metadata"]["name"], "uid": outer["metadata"]["uid"]}
    for each in (outer, inner):
        (name,) = runs_of(served, each["metadata"]["name"])
        (owner,) = served.runs[name]["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("FlowRun", each["metadata"]["uid"])
    listed = served.kubectl("get", "pfr", outer["metadata"]["name"], "--no-headers").split()
    assert listed[1:4] == ["outer", "Completed", "1/1"]
    served.kubectl("wait", "--for=condition=Finished", f"pfr/{outer['metadata']['name']}", "--timeout=5s")


def test_a_killed_driver_leaves_a_flow_run_that_the_next_one_opens_again(served: World, tmp_path: Path) -> None:
    with killed(served, tmp_path, "killed") as names:
        before = flow_run(served, "gate")
        assert before["status"]["state"] == "Running"
        with driver(tmp_path, TASKS + GATED, served.namespace, "killed") as again:
            assert [line.split()[0] for line in lines_of(again, 2)] == names
            let_go(served, f"{names[1]}-1")
            out, said = again.communicate(timeout=90)
        assert again.returncode == 0, said
    after = flow_run(served, "gate")
    assert out == "20\n"
    assert "this process goes on with it" in said
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert (after["status"]["state"], after["status"]["runs"]) == ("Completed", 2)
    assert [served.pods_of(name) for name in names] == [[f"{name}-1"] for name in names]
    served.kubectl("delete", "pfr", after["metadata"]["name"])


def test_cancel_without_a_driver_ends_what_runs_and_what_comes_later(served: World, tmp_path: Path) -> None:
    with killed(served, tmp_path, "abandoned") as names:
        there = flow_run(served, "gate")
        change(served, there["metadata"]["name"], cancel=True)
        ended = served.finished(names[1])
        assert ended["status"]["state"] == "Cancelled"
        assert "was cancelled" in ended["status"]["message"]
        assert served.runs[names[0]]["status"]["state"] == "Completed"
    owner = served.runs[names[1]]["metadata"]["ownerReferences"]
    late = task_run("late", "def main():\n    return 1\n")
    late["metadata"] = {**late["metadata"], "ownerReferences": owner}
    served.apply(late)
    assert served.finished("late")["status"]["state"] == "Cancelled"
    assert served.pods_of("late") == []
    served.kubectl("delete", "pfr", there["metadata"]["name"])


def test_cancel_with_a_driver_ends_its_calls(served: World, tmp_path: Path) -> None:
    with driver(tmp_path, TASKS + AFTER_ANOTHER, served.namespace, "steered") as process:
        (name,) = lines_of(process, 1)
        served.in_state(name, "Running")
        there = flow_run(served, "goes-on")
        change(served, there["metadata"]["name"], cancel=True)
        out, said = process.communicate(timeout=120)
    assert out == "Cancelled\n"
    assert process.returncode == 1
    assert "FlowCancelled" in said
    assert flow_run(served, "goes-on")["status"]["state"] == "Cancelled"
    assert runs_of(served, there["metadata"]["name"]) == [name]


def test_deleting_the_flow_run_takes_subflows_task_runs_and_pods_along(served: World, tmp_path: Path) -> None:
    with driver(tmp_path, TASKS + NESTED, served.namespace, "deleted") as process:
        process.communicate(timeout=120)
    mine = [
        one
        for one in json.loads(served.kubectl("get", "pfr", "-o", "json"))["items"]
        if one["spec"].get("pin") == "deleted"
    ]
    (outer,) = mine
    name = outer["metadata"]["name"]
    tree = json.loads(served.kubectl("get", "pfr", "-l", f"podtask.dev/root-flow-run={name}", "-o", "json"))["items"]
    names = [run for one in tree for run in runs_of(served, one["metadata"]["name"])]
    assert (len(tree), len(names)) == (2, 2)
    served.kubectl("delete", "pfr", name)
    served.until("its TaskRuns are gone", lambda: not set(names) & served.runs.keys())
    served.until("their pods are gone", lambda: not {f"{run}-1" for run in names} & served.pods.keys())
    left = json.loads(served.kubectl("get", "pfr", "-l", f"podtask.dev/root-flow-run={name}", "-o", "json"))["items"]
    assert left == []


def test_the_time_to_live_of_the_outermost_flow_run_is_that_of_all(served: World, tmp_path: Path) -> None:
    with driver(tmp_path, TASKS + NESTED, served.namespace, "short-lived") as process:
        process.communicate(timeout=120)
    listed = json.loads(served.kubectl("get", "pfr", "-o", "json"))["items"]
    (outer,) = [one for one in listed if one["spec"].get("pin") == "short-lived"]
    name = outer["metadata"]["name"]
    names = runs_of(served, name)
    assert names
    change(served, name, ttlSecondsAfterFinished=0)

    def gone() -> bool:
        left = served.kubectl("get", "pfr", "-l", f"podtask.dev/root-flow-run={name}", "-o", "name")
        return not left.strip()

    eventually("the tree is gone", gone)
    served.until("its TaskRuns are gone", lambda: not set(names) & served.runs.keys())


def test_without_the_right_a_flow_runs_and_says_so_once(served: World, tmp_path: Path) -> None:
    with driver(
        tmp_path, TASKS + NESTED, served.namespace, "no-rights", KUBECONFIG=str(only_task_runs(served, tmp_path))
    ) as process:
        out, said = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "3\n"), said
    assert said.count("Flow runs are not recorded; the flow runs all the same.") == 1
    assert "may not create flowruns" in said
    listed = json.loads(served.kubectl("get", "pfr", "-o", "json"))["items"]
    assert not [one for one in listed if one["spec"].get("pin") == "no-rights"]


def only_task_runs(world: World, folder: Path) -> Path:
    """The kube config of an account that may handle TaskRuns and nothing else."""
    world.kubectl("create", "serviceaccount", "older")
    verbs = "--verb=create,get,list,watch,patch"
    world.kubectl("create", "role", "older", verbs, "--resource=taskruns.podtask.dev")
    world.kubectl("create", "rolebinding", "older", "--role=older", f"--serviceaccount={world.namespace}:older")
    token = world.kubectl("create", "token", "older").strip()
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    config["users"] = [{"name": one["name"], "user": {"token": token}} for one in config["users"]]
    path = folder / "older.kubeconfig"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize(
    ("patch", "sentence"),
    [
        ({"flow": "another"}, "spec.flow is immutable: create a FlowRun under another name instead"),
        ({"pin": "another"}, "spec.pin is immutable: create a FlowRun under another name instead"),
        ({"cancel": "yes"}, "spec.cancel"),
    ],
)
def test_the_spec_does_not_change(served: World, patch: Object, sentence: str) -> None:
    name = f"fixed-{'-'.join(patch)}"
    served.apply(
        {"apiVersion": "podtask.dev/v1alpha1", "kind": "FlowRun", "metadata": {"name": name}, "spec": {"flow": "x"}}
    )
    assert served.kubectl("get", "pfr", name, "-o", "jsonpath={.status.state}") == "Running"
    with pytest.raises(Refused, match=sentence):
        change(served, name, **patch)


@pytest.mark.long
def test_a_driver_that_is_gone_is_said_to_be_lost_and_what_runs_goes_on(served: World, tmp_path: Path) -> None:
    with killed(served, tmp_path, "lost") as names:

        def lost() -> list[Any]:
            conditions = flow_run(served, "gate")["status"].get("conditions", ())
            return [one for one in conditions if one["type"] == "DriverLost"]

        (said,) = eventually("the driver is said to be lost", lost, seconds=300)
        assert "PODTASK_FLOW_RUN_ID=lost python driver.py" in said["message"]
        assert served.runs[names[1]]["status"]["state"] == "Running"
        with driver(tmp_path, TASKS + GATED, served.namespace, "lost") as again:
            lines_of(again, 2)
            let_go(served, f"{names[1]}-1")
            again.communicate(timeout=90)
    status = flow_run(served, "gate")["status"]
    assert "DriverLost" not in {one["type"] for one in status["conditions"]}
    assert status["state"] == "Completed"
