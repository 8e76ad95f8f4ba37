"""A run ends by its stored result while its pod leaves: the pod is left alone, counted, and stopped if it stays."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from tests.support.operator_world import World, reconciling

from podtask.core.lifecycle.concurrency import Limits
from podtask_operator.storage.objects import Objects
from podtask_operator.task_runs.key import Key
from podtask_runner.protocol import Outcome, Result, Verdict, dump_outcome

HELLO = Key("team", "hello")
LEAVES = timedelta(seconds=10 + 5)
"""The default grace, and what a process may take to leave."""


def runs(world: World) -> None:
    """The watch shows that the run's pod runs."""
    state = {"running": {"startedAt": "2026-01-02T03:59:59Z"}}
    status = {"phase": "Running", "containerStatuses": [{"name": "task", "state": state}]}
    world.cluster.put_pod(world.api.touch_pod("hello-1", status))


def ends(world: World) -> None:
    done = {"terminated": {"exitCode": 0, "startedAt": "2026-01-02T03:59:59Z"}}
    status = {"phase": "Succeeded", "containerStatuses": [{"name": "task", "state": done}]}
    world.cluster.put_pod(world.api.touch_pod("hello-1", status))


def stores(world: World, verdict: Verdict = Verdict.COMPLETED) -> None:
    """The runner stores its outcome."""
    run = world.cluster.runs[HELLO]
    result = Result(hashlib.sha256(b"1").hexdigest(), 1, "json", value="1")
    outcome = Outcome(verdict, result=result if verdict is Verdict.COMPLETED else None)
    key = Objects(world.store, "prefix").bucket("team").attempt(run.uid, 1).outcome
    world.store.put(key, dump_outcome(outcome))


async def running(world: World, spec: dict[str, Any] | None = None) -> None:
    world.add("hello", spec)
    await world.look("hello")
    await world.look("hello")
    runs(world)


@reconciling
async def test_the_run_is_completed_with_one_status_write_while_its_pod_runs(world: World) -> None:
    await running(world)
    stores(world)
    world.ring("hello")
    before = len(world.api.calls)
    await world.look("hello")
    assert world.api.calls[before:] == ["status hello"]
    assert world.status("hello")["state"] == "Completed"
    assert world.status("hello")["result"]["value"] == "1"


@reconciling
async def test_without_the_datagram_nothing_is_read_and_the_pods_end_is_waited_for(world: World) -> None:
    await running(world)
    stores(world)
    await world.look("hello")
    assert world.status("hello")["state"] != "Completed"


@reconciling
async def test_a_datagram_without_a_stored_outcome_changes_nothing(world: World) -> None:
    await running(world)
    world.ring("hello")
    await world.look("hello")
    stores(world)
    await world.look("hello")  # the datagram was followed already
    assert world.status("hello")["state"] != "Completed"


@reconciling
async def test_a_stored_failure_waits_for_the_pods_own_end(world: World) -> None:
    await running(world)
    stores(world, Verdict.FAILED)
    world.ring("hello")
    await world.look("hello")
    assert world.status("hello")["state"] not in ("Failed", "Completed")


@reconciling
async def test_the_pod_is_neither_deleted_nor_stopped_within_its_grace_and_stopped_after_it(world: World) -> None:
    await running(world, {"podCleanup": "Delete"})
    stores(world)
    world.ring("hello")
    await world.look("hello")
    await world.look("hello")
    assert [call for call in world.api.calls if call.startswith(("stop", "delete hello"))] == []
    assert HELLO in world.reconciler.queue.due
    world.now += LEAVES
    await world.look("hello")
    assert world.api.pods["hello-1"]["spec"]["activeDeadlineSeconds"] == 1
    stops = world.api.calls.count("stop hello-1")
    world.cluster.put_pod(world.api.touch_pod("hello-1"))
    await world.look("hello")
    assert world.api.calls.count("stop hello-1") == stops, "it is stopped once"


@reconciling
async def test_the_pod_is_cleaned_up_once_it_has_ended(world: World) -> None:
    await running(world, {"podCleanup": "Delete"})
    stores(world)
    world.ring("hello")
    await world.look("hello")
    assert "hello-1" in world.api.pods
    ends(world)
    await world.look("hello")
    assert "hello-1" not in world.api.pods


@reconciling
async def test_its_slot_is_free_when_the_pod_has_ended_and_not_before(world: World) -> None:
    world.cluster.slots.limits = Limits.read({"tags": {"gpu": 1}})
    await running(world, {"tags": ["gpu"]})
    world.add("next", {"tags": ["gpu"]})
    await world.look("next")
    stores(world)
    world.ring("hello")
    await world.look("hello")
    await world.look("next")
    assert "next-1" not in world.api.pods
    world.woken()
    ends(world)
    await world.look("hello")
    assert "next" in world.woken()
    await world.look("next")
    await world.look("next")
    assert "next-1" in world.api.pods


@reconciling
async def test_after_a_restart_a_pod_that_runs_on_is_still_stopped(world: World) -> None:
    await running(world)
    stores(world)
    world.ring("hello")
    await world.look("hello")
    world.restart()
    world.now += LEAVES
    await world.look("hello")
    assert world.api.pods["hello-1"]["spec"]["activeDeadlineSeconds"] == 1
