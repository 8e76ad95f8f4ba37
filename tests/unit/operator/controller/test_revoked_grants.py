"""The Secret with the grants goes when the run ends, and never while a pod may need it."""

from __future__ import annotations

import pytest
from tests.support.operator_world import World, reconciling
from tests.unit.operator.controller import test_stored_result as stored_result
from tests.unit.operator.controller.test_limits import end

from podtask.core.storage.layout import secret_name
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import ApiError

SECRET = secret_name("hello", "uid-hello")
DELETED = f"delete secret {SECRET}"


@reconciling
async def test_it_goes_before_the_end_is_written(world: World) -> None:
    world.add("hello")
    await world.look("hello")
    assert list(world.api.secrets) == [SECRET]
    end(world, "hello-1")
    await world.look("hello")
    assert world.api.calls[-2:] == [DELETED, "status hello"]
    assert world.api.secrets == {}


@reconciling
async def test_between_two_attempts_it_stays(world: World) -> None:
    world.add("hello", {"maxDisruptions": 3})
    await world.look("hello")
    status = {"phase": "Failed", "reason": "Evicted"}
    world.cluster.put_pod(world.api.touch_pod("hello-1", status))
    await world.look("hello")
    assert world.status("hello")["attemptsTotal"] == 2
    assert DELETED not in world.api.calls


@reconciling
async def test_an_operator_that_dies_in_between_leaves_the_next_one_the_same_judgement(world: World) -> None:
    world.add("hello")
    await world.look("hello")
    end(world, "hello-1")
    world.api.lost.add("delete secret")
    with pytest.raises(Later):
        await world.look("hello")
    assert "finishedAt" not in world.status("hello")
    world.restart()
    await world.look("hello")
    assert world.status("hello")["state"] == "Crashed"
    assert world.api.secrets == {}


@reconciling
async def test_without_the_right_to_delete_it_the_run_ends_all_the_same(
    world: World,
) -> None:
    world.add("hello")
    await world.look("hello")
    end(world, "hello-1")
    world.api.refused["delete secret"] = ApiError(403, "Forbidden", "no right to delete secrets")
    await world.look("hello")
    assert world.status("hello")["state"] == "Crashed"


@reconciling
async def test_where_no_pod_was_ever_seen_it_may_be_somebody_elses(world: World) -> None:
    world.add("hello")
    world.api.refused["secret"] = ApiError(422, "Invalid", "field is immutable")
    await world.look("hello")
    world.cluster.put_run(world.api.touch("hello", cancel=True))
    await world.look("hello")
    assert world.status("hello")["state"] == "Cancelled"
    assert DELETED not in world.api.calls


@reconciling
async def test_a_run_that_is_cancelled_between_two_attempts_leaves_none_behind(world: World) -> None:
    world.add("hello", {"retries": 1, "retryDelaySeconds": [600]})
    await world.look("hello")
    said = '{"v": 1, "outcome": "Failed", "error": {"type": "E", "message": "m", "retryable": true}}'
    end(world, "hello-1", {"exitCode": 1, "message": said, "startedAt": "2026-01-02T03:59:00Z"})
    await world.look("hello")
    assert world.status("hello")["state"] == "AwaitingRetry"
    assert world.api.secrets != {}
    world.cluster.put_run(world.api.touch("hello", cancel=True))
    await world.look("hello")
    assert (world.status("hello")["state"], world.api.secrets) == ("Cancelled", {})


@reconciling
async def test_a_pod_that_has_stored_its_result_keeps_it_until_it_has_ended(world: World) -> None:
    await stored_result.running(world)
    stored_result.stores(world)
    world.ring("hello")
    await world.look("hello")
    assert (world.status("hello")["state"], list(world.api.secrets)) == ("Completed", [SECRET])
    await world.look("hello")
    assert DELETED not in world.api.calls
    stored_result.ends(world)
    await world.look("hello")
    await world.look("hello")
    assert (world.api.calls.count(DELETED), world.api.secrets) == (1, {})


@reconciling
async def test_a_pod_that_is_deleted_meanwhile_needs_it_no_more(world: World) -> None:
    await stored_result.running(world)
    stored_result.stores(world)
    world.ring("hello")
    await world.look("hello")
    world.cluster.forget_pod(world.api.pods.pop("hello-1"))
    await world.look("hello")
    assert world.api.secrets == {}


@reconciling
async def test_a_late_deletion_without_answer_is_tried_again(world: World) -> None:
    await stored_result.running(world)
    stored_result.stores(world)
    world.ring("hello")
    await world.look("hello")
    stored_result.ends(world)
    world.api.lost.add("delete secret")
    with pytest.raises(Later):
        await world.look("hello")
    await world.look("hello")
    assert world.api.secrets == {}
