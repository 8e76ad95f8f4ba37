"""A cancelled or deleted FlowRun ends its TaskRuns: those that are there, those inside, and those that come later."""

from __future__ import annotations

from typing import Any

from tests.support.operator_world import ENDED, World, reconciling

from podtask_operator.events.intake import Intake
from podtask_operator.kube.client import ApiError
from podtask_operator.task_runs.key import Key

RUNNING = {
    "phase": "Running",
    "containerStatuses": [{"name": "task", "state": {"running": {"startedAt": "2026-01-02T03:59:00Z"}}}],
}


def shown(world: World, obj: Any, kind: str = "MODIFIED") -> set[str]:
    """The watch shows a FlowRun; which TaskRuns are looked at because of that."""
    Intake(world.cluster, world.reconciler.queue.add).flow_run({"type": kind, "object": obj})
    return world.woken()


@reconciling
async def test_what_runs_is_stopped_and_what_comes_later_never_starts(world: World) -> None:
    shown(world, world.api.add_flow_run("etl"), "ADDED")
    world.add("one", flow_run="etl")
    await world.look("one")
    world.api.pods["one-1"]["status"] = RUNNING
    world.cluster.put_pod(
        world.api.pods["one-1"] | {"metadata": {**world.api.pods["one-1"]["metadata"], "resourceVersion": "9999"}}
    )
    world.woken()
    assert shown(world, world.api.touch_flow_run("etl", spec={"cancel": True})) == {"one"}
    await world.look("one")
    assert "stop one-1" in world.api.calls
    world.add("later", flow_run="etl")
    await world.look("later")
    assert world.status("later")["state"] == "Cancelled"
    assert world.status("later")["message"] == "Flow run 'etl' was cancelled."
    assert "later-1" not in world.api.pods
    assert "get flow run etl" not in world.api.calls


@reconciling
async def test_runs_of_subflows_end_with_the_outermost_flow_run(world: World) -> None:
    parent = {"parent": {"name": "etl", "uid": "uid-etl"}}
    grandparent = {"parent": {"name": "inner", "uid": "uid-inner"}}
    shown(world, world.api.add_flow_run("etl"), "ADDED")
    shown(world, world.api.add_flow_run("inner", parent), "ADDED")
    shown(world, world.api.add_flow_run("innermost", grandparent), "ADDED")
    world.add("one", flow_run="innermost")
    world.add("beside", flow_run="beside")
    world.api.add_flow_run("beside")
    assert shown(world, world.api.touch_flow_run("etl", spec={"cancel": True})) == {"one"}
    await world.look("one")
    assert world.status("one")["state"] == "Cancelled"
    await world.look("beside")
    assert "beside-1" in world.api.pods


@reconciling
async def test_a_subflow_is_cancelled_without_its_parent(world: World) -> None:
    shown(world, world.api.add_flow_run("etl"), "ADDED")
    shown(
        world, world.api.add_flow_run("inner", {"parent": {"name": "etl", "uid": "uid-etl"}, "cancel": True}), "ADDED"
    )
    world.add("inside", flow_run="inner")
    world.add("outside", flow_run="etl")
    await world.look("inside")
    await world.look("outside")
    assert world.status("inside")["state"] == "Cancelled"
    assert "outside-1" in world.api.pods


@reconciling
async def test_taking_a_cancellation_back_lets_new_runs_start(world: World) -> None:
    shown(world, world.api.add_flow_run("etl", {"cancel": True}), "ADDED")
    world.add("one", flow_run="etl")
    await world.look("one")
    shown(world, world.api.touch_flow_run("etl", spec={"cancel": False}))
    world.add("two", flow_run="etl")
    await world.look("two")
    assert (world.status("one")["state"], "two-1" in world.api.pods) == ("Cancelled", True)


@reconciling
async def test_a_flow_run_that_no_watch_has_shown_is_asked_for_once(world: World) -> None:
    world.api.add_flow_run("etl")
    world.add("one", flow_run="etl")
    world.add("two", flow_run="etl")
    await world.look("one")
    await world.look("two")
    assert world.api.calls.count("get flow run etl") == 1
    assert {"one-1", "two-1"} <= world.api.pods.keys()


@reconciling
async def test_a_flow_run_that_is_gone_ends_its_runs_and_is_asked_for_once(world: World) -> None:
    world.api.add_flow_run("etl", uid="uid-of-a-newer-one")
    world.add("one", flow_run="etl")
    world.add("two", flow_run="etl")
    await world.look("one")
    await world.look("two")
    assert world.status("one")["message"] == "Flow run 'etl' was deleted."
    assert world.status("two")["state"] == "Cancelled"
    assert world.api.calls.count("get flow run etl") == 1
    assert world.api.pods == {}


@reconciling
async def test_a_deletion_wakes_what_is_unfinished(world: World) -> None:
    made = world.api.add_flow_run("etl")
    shown(world, made, "ADDED")
    world.add("one", flow_run="etl")
    world.add("done", flow_run="etl", status=ENDED)
    assert shown(world, made, "DELETED") == {"one"}
    await world.look("one")
    await world.look("done")
    assert world.status("one")["state"] == "Cancelled"
    assert world.status("done")["state"] == "Completed"


@reconciling
async def test_a_flow_run_that_is_being_deleted_counts_as_deleted(world: World) -> None:
    shown(world, world.api.add_flow_run("etl", deletionTimestamp="2026-01-02T03:04:05Z"), "ADDED")
    world.add("one", flow_run="etl")
    await world.look("one")
    assert world.status("one")["state"] == "Cancelled"


@reconciling
async def test_without_the_right_to_read_flow_runs_task_runs_run(world: World) -> None:
    world.api.refused["get flow run"] = ApiError(403, "Forbidden", "no")
    world.add("one", flow_run="etl")
    await world.look("one")
    assert "one-1" in world.api.pods
    world.cluster.flow_runs.readable = False
    world.api.calls.clear()
    world.add("two", flow_run="etl")
    await world.look("two")
    assert "get flow run etl" not in world.api.calls


@reconciling
async def test_an_owner_of_another_kind_is_no_flow_run(world: World) -> None:
    obj = world.api.add("one", flow_run="etl")
    obj["metadata"]["ownerReferences"][0]["apiVersion"] = "tekton.dev/v1"
    world.cluster.put_run(obj)
    assert world.cluster.runs[Key("team", "one")].flow_run is None


@reconciling
async def test_a_heartbeat_wakes_nobody(world: World) -> None:
    shown(world, world.api.add_flow_run("etl", {"cancel": True}, {"heartbeat": 1}), "ADDED")
    world.add("one", flow_run="etl")
    looked: list[Key] = []
    intake = Intake(world.cluster, looked.append, looked.append)
    intake.flow_run({"type": "MODIFIED", "object": world.api.touch_flow_run("etl", status={"heartbeat": 2})})
    assert looked == []


@reconciling
async def test_flow_runs_in_a_circle_are_no_endless_loop(world: World) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        shown(world, world.api.add_flow_run(name, {"parent": {"name": other, "uid": f"uid-{other}"}}), "ADDED")
    world.add("one", flow_run="a")
    await world.look("one")
    assert "one-1" in world.api.pods
    assert list(world.cluster.flow_runs.unfinished("uid-a")) == [Key("team", "one")]
    root = world.cluster.flow_runs.get(Key("team", "a"))
    assert root is not None
    assert world.cluster.flow_runs.root(root) is not None
