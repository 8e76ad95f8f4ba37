"""What a decision writes besides status and pod, and what happens where somebody else wrote in between."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import SETTINGS
from tests.support.operator_world import CACHED, ENDED, World, reconciling

from podtask.core.lifecycle.pod_expectation import Creation
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import ApiError
from podtask_operator.pods import build
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun
from podtask_runner.protocol import Outcome, Result, Verdict, dump_outcome

HELLO = Key("team", "hello")
CONFLICT = ApiError(409, "Conflict", "the object has been modified")


def shown(world: World, name: str, phase: str, state: dict[str, Any]) -> None:
    """The watch shows how the pod is."""
    status = {"phase": phase, "containerStatuses": [{"name": "task", "state": state}]}
    world.cluster.put_pod(world.api.touch_pod(name, status))


def completes(world: World, name: str) -> None:
    """The first attempt of a run stores its result, says so and ends."""
    data, run = name.encode(), world.cluster.runs[Key("team", name)]
    world.store.put(world.objects.bucket("team").attempt(run.uid, 1).result, data)
    outcome = Outcome(Verdict.COMPLETED, Result(hashlib.sha256(data).hexdigest(), len(data), "json"))
    ended = {"exitCode": 0, "message": dump_outcome(outcome).decode(), "startedAt": "2026-01-02T03:59:00Z"}
    shown(world, f"{name}-1", "Succeeded", {"terminated": ended})


@pytest.mark.parametrize("restart", [False, True], ids=["by its own operator", "by the next operator"])
def test_a_cached_result_is_published_and_hit(restart: bool) -> None:
    @reconciling
    async def test(world: World) -> None:
        world.add("hello", {"cache": {}})  # a key that is composed
        await world.look("hello")
        completes(world, "hello")
        if restart:
            world.restart()
        await world.look("hello")
        world.add("next", {"cache": {}})
        await world.look("next")
        assert [world.status(name)["state"] for name in ("hello", "next")] == ["Completed", "Cached"]
        assert world.status("next")["cache"]["sourceRun"] == "hello"

    test()


@reconciling
async def test_a_miss_names_what_differs_from_the_last_run_of_the_task(world: World) -> None:
    for name, number in (("hello", 1), ("next", 2)):
        world.add(name, {"cache": {}, "parameters": {"x": number}})
        await world.look(name)
        completes(world, name)
        await world.look(name)
    cache = world.status("next")["cache"]
    assert (cache["outcome"], cache["comparedWith"]) == ("Miss", "hello")
    assert "argument `x` changed" in cache["missReason"]


@reconciling
async def test_who_asks_for_a_fresh_result_looks_nothing_up_and_publishes_his_own(world: World) -> None:
    for name in ("hello", "next"):
        world.add(name, {"cache": {"key": "k", "refresh": True}})
        await world.look(name)
        assert world.status(name)["cache"]["missReason"] == "spec.cache.refresh is true."
        completes(world, name)
        await world.look(name)
    world.add("last", CACHED)
    await world.look("last")
    assert world.status("last")["cache"]["sourceRun"] == "next"


@reconciling
async def test_an_entry_that_was_dropped_is_told_in_one_event(world: World) -> None:
    world.add("hello", CACHED)
    await world.look("hello")
    completes(world, "hello")
    await world.look("hello")
    world.store.delete(world.objects.bucket("team").attempt("uid-hello", 1).result)
    for name in ("next", "last"):
        world.add(name, CACHED)
        await world.look(name)
    dropped = [event["message"] for event in await world.events() if event["reason"] == "CacheEntryDropped"]
    assert dropped == ["The stored result of 'hello' is gone; the entry was dropped."]


@reconciling
async def test_a_run_whose_time_to_live_is_over_is_deleted(world: World) -> None:
    world.add("hello", {"ttlSecondsAfterFinished": 60}, status=ENDED)
    await world.look("hello")
    assert world.api.calls == ["delete run hello"]
    assert world.api.runs == {}


@reconciling
async def test_a_run_that_changed_before_its_deletion_is_looked_at_again(world: World) -> None:
    world.add("hello", {"ttlSecondsAfterFinished": 60}, status=ENDED)
    world.api.refused["delete run"] = CONFLICT
    world.api.touch("hello", ttlSecondsAfterFinished=7200)
    with pytest.raises(Later):
        await world.look("hello")
    await world.look("hello")
    assert "hello" in world.api.runs


@reconciling
async def test_a_deletion_that_is_refused_is_an_error(world: World) -> None:
    world.add("hello", {"ttlSecondsAfterFinished": 60}, status=ENDED)
    world.api.refused["delete run"] = ApiError(403, "Forbidden", "no")
    with pytest.raises(ApiError):
        await world.look("hello")


@reconciling
async def test_a_pod_that_changed_before_its_deletion_is_looked_at_again(world: World) -> None:
    world.add("hello", {"podCleanup": "Delete"})
    await world.look("hello")
    shown(world, "hello-1", "Failed", {"terminated": {"exitCode": 1, "startedAt": "2026-01-02T03:59:00Z"}})
    world.api.refused["delete"] = CONFLICT
    with pytest.raises(Later):
        await world.look("hello")
    world.api.refused.clear()
    await world.look("hello")
    assert world.api.pods == {}


@reconciling
async def test_a_pod_that_may_not_be_deleted_is_an_error(world: World) -> None:
    world.add("hello", {"podCleanup": "Delete"})
    await world.look("hello")
    shown(world, "hello-1", "Failed", {"terminated": {"exitCode": 1, "startedAt": "2026-01-02T03:59:00Z"}})
    world.api.refused["delete"] = ApiError(403, "Forbidden", "no")
    with pytest.raises(ApiError):
        await world.look("hello")


@reconciling
async def test_a_pod_that_is_gone_when_it_is_to_be_stopped_is_judged_by_the_next_look(world: World) -> None:
    world.add("hello")
    await world.look("hello")
    shown(world, "hello-1", "Running", {"running": {"startedAt": "2026-01-02T04:00:00Z"}})
    world.cluster.put_run(world.api.touch("hello", cancel=True))
    world.api.refused["stop"] = ApiError(404, "NotFound", "not found")
    await world.look("hello")
    world.cluster.forget_pod(world.api.pods.pop("hello-1"))
    await world.look("hello")
    assert world.status("hello")["state"] == "Cancelled"


@reconciling
async def test_a_refused_pod_is_told_to_the_user_and_tried_again_with_the_same_number(world: World) -> None:
    world.add("hello")
    world.api.refused["pod"] = ApiError(403, "Forbidden", "exceeded quota: pods")
    await world.look("hello")
    await world.look("hello")
    assert (world.status("hello")["state"], world.status("hello")["reason"]) == ("Pending", "Quota")
    world.api.refused.clear()
    world.now += timedelta(seconds=5)
    await world.look("hello")
    assert list(world.api.pods) == ["hello-1"]


@reconciling
async def test_a_name_that_was_taken_and_is_free_again_is_tried_again_with_the_same_number(world: World) -> None:
    world.add("hello")
    world.api.refused["pod"] = ApiError(409, "AlreadyExists", "already exists")
    with pytest.raises(Later):
        await world.look("hello")
    world.api.refused.clear()
    await world.look("hello")
    assert list(world.api.pods) == ["hello-1"]
    assert world.status("hello")["attemptsTotal"] == 1


@reconciling
async def test_the_pod_of_somebody_else_under_the_name_is_waited_for_and_leaves_the_number_free(world: World) -> None:
    world.add("hello")
    await world.api.create_pod("team", {"metadata": {"name": "hello-1"}})
    await world.look("hello")
    await world.look("hello")
    assert world.status("hello")["reason"] == "PodNameConflict"
    assert world.expected("hello").pod.creation is Creation.NAME_TAKEN
    del world.api.pods["hello-1"]
    await world.look("hello")
    assert world.status("hello")["attemptsTotal"] == 1
    assert list(world.api.pods) == ["hello-1"]


@reconciling
async def test_the_runs_own_pod_under_the_name_is_taken_for_its_own(world: World) -> None:
    world.add("hello")
    await world.api.create_pod("team", build.build(TaskRun.parse(world.api.runs["hello"]), 1, SETTINGS))
    await world.look("hello")
    assert world.expected("hello").pod.uid == "pod-hello-1"
    assert world.status("hello")["attemptsTotal"] == 1


@reconciling
async def test_an_attempt_is_not_launched_for_a_run_that_is_being_deleted(world: World) -> None:
    world.add("hello")
    world.api.lost.add("status")
    with pytest.raises(Later):
        await world.look("hello")
    world.cluster.put_run(world.api.runs["hello"])
    world.api.runs["hello"]["metadata"]["deletionTimestamp"] = "2026-01-02T04:00:00Z"
    world.api.touch("hello")  # the watch is late
    with pytest.raises(Later):
        await world.look("hello")
    assert world.api.pods == {}
    assert world.cluster.runs[HELLO].deleting


@reconciling
async def test_a_launch_takes_the_payloads_from_the_answer_to_its_record(world: World) -> None:
    world.add("hello", {"inputs": {"inline": "aGk="}})
    await world.look("hello")
    (secret,) = world.api.secrets.values()
    assert json.loads(base64.b64decode(secret["data"]["1.json"]))["inputs"]["inline"] == "aGk="
    assert world.api.asked == []


@reconciling
async def test_an_upstream_that_no_watch_has_shown_is_asked_for_before_it_counts_as_absent(world: World) -> None:
    world.add("hello", {"waitFor": [{"taskRun": "first"}]})
    world.api.add("first", status=ENDED)
    world.now = world.cluster.runs[HELLO].created_at + timedelta(seconds=60)
    with pytest.raises(Later):
        await world.look("hello")
    world.cluster.put_run(world.api.runs["first"])
    await world.look("hello")
    assert list(world.api.pods) == ["hello-1"]


@reconciling
async def test_an_upstream_that_does_not_exist_ends_the_run_after_its_grace(world: World) -> None:
    world.add("hello", {"waitFor": [{"taskRun": "first"}]})
    world.now = world.cluster.runs[HELLO].created_at + timedelta(seconds=59)
    await world.look("hello")
    assert world.api.asked == []
    world.now += timedelta(seconds=1)
    await world.look("hello")
    assert world.api.asked == ["first"]
    assert world.status("hello")["message"] == "There is no TaskRun 'first' in this namespace."


@reconciling
async def test_the_small_result_of_an_upstream_travels_with_the_grants(world: World) -> None:
    stored = {"digest": hashlib.sha256(b"hi").hexdigest(), "size": 2, "serializer": "json", "inline": "aGk="}
    world.add("first", status={**ENDED, "result": {**stored, "attempt": 1}})
    world.add("hello", {"upstream": [{"taskRun": "first", "parameter": "x"}]})
    await world.look("hello")
    (written,) = world.api.secrets["hello-uid-hell-grants"]["data"].values()
    assert '"aGk="' in base64.b64decode(written).decode()


@reconciling
async def test_grants_of_a_run_that_is_gone_are_not_renewed(world: World) -> None:
    world.add("hello", {"timeoutSeconds": 604800})
    await world.look("hello")
    shown(world, "hello-1", "Running", {"running": {"startedAt": "2026-01-02T04:00:00Z"}})
    world.now += timedelta(seconds=SETTINGS.grant_seconds / 2)
    await world.look("hello")
    world.now += timedelta(seconds=SETTINGS.grant_seconds / 2)
    del world.api.runs["hello"]  # the watch is late
    written = world.api.calls.copy()
    await world.look("hello")
    assert world.api.calls == written
    assert HELLO not in world.cluster.runs
