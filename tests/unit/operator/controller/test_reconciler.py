"""Reconciles against an API server in a dict: lost answers, lost races, namesakes, pods that come late."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import DIGEST, SETTINGS
from tests.support.fake_api import FakeApi
from tests.support.operator_world import CACHED, ENDED, NOW, World, reconciling

from podtask.core.storage import StoreRefused
from podtask_operator.controller.pod_launcher import PodLauncher
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import Api, ApiError
from podtask_operator.pods import build
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun


@reconciling
async def test_an_attempt_is_recorded_before_its_pod_and_both_once(world: World) -> None:
    world.add("hello")
    await world.look("hello")
    await world.look("hello")
    assert world.api.calls == ["status hello", "secret hello-uid-hell-grants", "pod hello-1"]


@reconciling
async def test_who_waits_is_woken_although_the_answer_to_the_last_write_was_lost(world: World) -> None:
    world.add("hello", {"cancel": True})
    world.add("next", {"waitFor": [{"taskRun": "hello"}]})
    world.api.lost.add("status")
    with pytest.raises(Later):
        await world.look("hello")
    world.woken()
    world.cluster.put_run(world.api.runs["hello"])  # the watch brings what the answer did not
    await world.look("hello")
    assert "next" in world.woken()
    await world.look("hello")
    assert world.woken() == set()


@reconciling
async def test_a_run_that_has_ended_is_looked_at_once_more_and_again_at_the_end_of_its_time_to_live(
    world: World,
) -> None:
    world.add("hello", {"ttlSecondsAfterFinished": 60, "cancel": True})
    await world.look("hello")
    assert "hello" in world.woken()  # no watch tells of a write whose answer was taken in already
    await world.look("hello")
    assert Key("team", "hello") in world.reconciler.queue.due


@reconciling
async def test_a_finished_upstream_is_looked_at_again_when_nobody_needs_it_any_more(world: World) -> None:
    world.add("hello", {"ttlSecondsAfterFinished": 60}, status=ENDED)
    world.add("next", {"waitFor": [{"taskRun": "hello"}], "cancel": True})
    await world.look("next")
    assert "hello" in world.woken()


@reconciling
async def test_a_lost_answer_to_the_pods_post_creates_no_second_pod_and_uses_no_second_number(world: World) -> None:
    world.add("hello")
    world.api.lost.add("pod")
    with pytest.raises(Later):
        await world.look("hello")
    await world.look("hello")
    assert list(world.api.pods) == ["hello-1"]
    assert world.status("hello")["attemptsTotal"] == 1


@reconciling
async def test_a_lost_answer_to_the_record_of_an_attempt_uses_no_second_number(world: World) -> None:
    world.add("hello")
    world.api.lost.add("status")
    with pytest.raises(Later):
        await world.look("hello")
    world.cluster.put_run(world.api.runs["hello"])  # the watch brings what the answer did not
    await world.look("hello")
    assert list(world.api.pods) == ["hello-1"]
    assert world.status("hello")["attemptsTotal"] == 1


@reconciling
async def test_a_record_that_is_sent_again_before_the_watch_tells_of_it_uses_no_second_number(world: World) -> None:
    world.add("hello")
    world.api.lost.add("status")
    with pytest.raises(Later):
        await world.look("hello")
    for _ in range(2):  # meets the first record: 409
        world.now += timedelta(seconds=1)
        with contextlib.suppress(Later):
            await world.look("hello")
    assert list(world.api.pods) == ["hello-1"]
    assert world.status("hello")["attemptsTotal"] == 1


@reconciling
async def test_an_attempt_that_somebody_else_recorded_is_not_launched(world: World) -> None:
    world.add("hello")
    world.api.lost.add("status")
    with pytest.raises(Later):
        await world.look("hello")
    world.api.runs["hello"]["status"]["attempts"][0]["recordedAt"] = "2026-01-02T04:00:00.000001Z"
    world.cluster.put_run(world.api.touch("hello"))
    await world.look("hello")
    assert world.status("hello")["attempts"][0]["reason"] == "Lost"
    assert "hello-1" not in world.api.pods


RECORDED: dict[str, Any] = {
    "state": "Pending",
    "reason": "Scheduling",
    "attempts": [{"number": 1, "cause": "First", "recordedAt": "2026-01-02T04:00:00Z"}],
    "attemptsTotal": 1,
    "startedAt": "2026-01-02T04:00:00Z",
}


@reconciling
async def test_after_a_restart_no_second_attempt_starts_while_the_first_ones_post_may_still_arrive(
    world: World,
) -> None:
    world.add("hello", {"retries": 3}, status=RECORDED)
    world.api.late_seconds = 35.0
    await world.look("hello")
    assert world.status("hello") == RECORDED
    assert world.reconciler.queue.due[Key("team", "hello")]
    # the POST that was in admission takes effect
    theirs = build.build(TaskRun.parse(world.api.runs["hello"]), 1, SETTINGS)
    await world.api.create_pod("team", theirs)
    world.api.late_seconds = 20.0
    await world.look("hello")
    assert list(world.api.pods) == ["hello-1"]
    assert world.status("hello")["attemptsTotal"] == 1


@reconciling
async def test_after_that_time_the_attempt_is_lost_and_the_next_one_starts(world: World) -> None:
    world.add("hello", status=RECORDED)
    world.api.late_seconds = 35.0
    await world.look("hello")
    world.api.late_seconds = 0.0
    await world.look("hello")
    assert world.status("hello")["attempts"][0]["reason"] == "Lost"
    assert world.status("hello")["attemptsTotal"] == 2


@reconciling
async def test_a_pod_that_was_there_is_not_waited_for(world: World) -> None:
    known = {**RECORDED, "attempts": [{**RECORDED["attempts"][0], "podUID": "pod-1"}]}
    world.add("hello", status=known)
    world.api.late_seconds = 35.0
    await world.look("hello")
    assert world.status("hello")["attempts"][0]["reason"] == "PodDeleted"


@reconciling
async def test_who_cancels_meanwhile_waits_for_the_post_as_well(world: World) -> None:
    world.add("hello", {"cancel": True}, status=RECORDED)
    world.api.late_seconds = 35.0
    await world.look("hello")
    assert world.status("hello") == RECORDED
    world.api.late_seconds = 0.0
    await world.look("hello")
    assert world.status("hello")["state"] == "Cancelled"


@reconciling
async def test_a_namesake_that_came_during_a_reconcile_is_not_forgotten_with_the_old_one(world: World) -> None:
    world.add("hello")
    expectations = world.cluster.expectations.of(Key("team", "hello"), "uid-hello")
    world.api.add("hello", uid="new")
    world.cluster.put_run(world.api.runs["hello"])  # the watch is ahead of the reconcile that is about to launch
    launcher = PodLauncher(world.api, world.cluster, world.objects, world.signer, SETTINGS)  # type: ignore[arg-type]
    await launcher.launch(Key("team", "hello"), 1, expectations, NOW)
    assert world.cluster.runs[Key("team", "hello")].uid == "new"
    assert world.api.pods == {}


@reconciling
async def test_a_conflict_is_looked_at_again_with_the_newer_object(world: World) -> None:
    world.add("hello")
    world.api.touch("hello")  # somebody changed it; the watch is late
    with pytest.raises(Later):
        await world.look("hello")
    await world.look("hello")
    assert "hello-1" in world.api.pods


@reconciling
async def test_a_stop_that_meets_another_writer_is_tried_again(world: World) -> None:
    world.add("hello")
    await world.look("hello")
    container = {"name": "task", "state": {"running": {"startedAt": "2026-01-02T04:00:00Z"}}}
    world.api.pods["hello-1"]["status"] = {"phase": "Running", "containerStatuses": [container]}
    world.cluster.pods.clear()
    world.cluster.put_pod(world.api.pods["hello-1"])
    world.cluster.put_run(world.api.touch("hello", cancel=True))
    world.api.refused["stop"] = ApiError(409, "Conflict", "the object has been modified")
    with pytest.raises(Later):
        await world.look("hello")
    world.api.refused.clear()
    await world.look("hello")
    assert world.api.pods["hello-1"]["spec"]["activeDeadlineSeconds"] == 1


@reconciling
async def test_a_run_that_is_gone_is_forgotten_at_its_404(world: World) -> None:
    world.add("hello")
    world.add("next", {"waitFor": [{"taskRun": "hello"}]})
    del world.api.runs["hello"]
    with pytest.raises(Later):
        await world.look("hello")
    assert Key("team", "hello") not in world.cluster.runs
    assert "next" in world.woken()
    await world.look("hello")


@reconciling
async def test_a_refused_secret_is_told_to_the_user_and_tried_again_with_the_same_number(world: World) -> None:
    world.add("hello")
    world.api.refused["secret"] = ApiError(403, "Forbidden", "exceeded quota: secrets")
    await world.look("hello")
    await world.look("hello")
    assert (world.status("hello")["state"], world.status("hello")["reason"]) == ("Pending", "Quota")
    world.api.refused.clear()
    world.now += timedelta(seconds=5)
    await world.look("hello")
    assert list(world.api.pods) == ["hello-1"]


@reconciling
async def test_a_bucket_that_refuses_the_operator_is_told_to_the_user_once(world: World) -> None:
    def refuse(*_: Any) -> Any:
        raise StoreRefused("cannot read 'ns' in bucket 'b': AccessDenied. Check the rights of the key.")

    world.add("hello", CACHED)
    world.objects.lookup = refuse  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(Later):
            await world.look("hello")
    assert [event["message"] for event in await world.events()] == [
        "The operator cannot read 'ns' in bucket 'b': AccessDenied. Check the rights of the key."
    ]


@reconciling
async def test_an_attempt_that_no_pod_can_be_built_for_any_more_ends_the_run(world: World) -> None:
    """The chart was upgraded meanwhile, without the runner image of its Python."""
    world.add("hello")
    await world.look("hello")
    world.api.pods.clear()
    world.restart(replace(SETTINGS, runner_images={}))
    await world.look("hello")  # the first attempt is Lost, and the second is recorded at once
    await world.look("hello")
    assert (world.status("hello")["state"], world.status("hello")["reason"]) == ("Failed", "InvalidSpec")
    assert "There is no runner image for Python" in world.status("hello")["message"]


@reconciling
async def test_a_payload_that_is_no_base64_ends_the_run(world: World) -> None:
    world.add("hello", {"inputs": {"inline": "aGk"}})
    await world.look("hello")
    await world.look("hello")
    assert (world.status("hello")["state"], world.status("hello")["reason"]) == ("Failed", "InvalidSpec")


@reconciling
async def test_an_upstreams_small_result_that_is_no_base64_is_read_from_the_store(world: World) -> None:
    """A task can write its own termination message."""
    result = {"digest": DIGEST, "size": 2, "serializer": "cloudpickle", "inline": "aGk", "attempt": 1}
    world.add("first", status={**ENDED, "result": result})
    world.add("hello", {"upstream": [{"taskRun": "first", "parameter": "x"}]})
    await world.look("hello")
    assert list(world.api.pods) == ["hello-1"]


@reconciling
async def test_a_secret_of_somebody_else_under_the_name_of_the_grants_is_waited_for(world: World) -> None:
    world.add("hello")
    text = 'Secret "hello-grants" is invalid: type: Invalid value: "podtask.dev/grants": field is immutable'
    world.api.refused["secret"] = ApiError(422, "Invalid", text)
    await world.look("hello")
    await world.look("hello")
    assert (world.status("hello")["state"], world.status("hello")["reason"]) == ("Pending", "PodNameConflict")
    world.api.refused.clear()
    world.now += timedelta(seconds=5)
    await world.look("hello")
    assert list(world.api.pods) == ["hello-1"]


@reconciling
async def test_a_pod_that_appears_after_its_attempt_was_judged_is_deleted(world: World) -> None:
    world.add("hello")
    await world.look("hello")
    late = world.api.pods.pop("hello-1")
    world.restart()
    await world.look("hello")  # judged as lost
    assert world.status("hello")["attempts"][0]["outcome"] == "Disruption"
    world.api.pods["hello-1"] = late
    world.cluster.put_pod(late)
    await world.look("hello")
    assert "hello-1" not in world.api.pods


def test_the_fake_has_the_verbs_of_the_real_one() -> None:
    ours = {"add", "touch", "touch_pod", "add_flow_run", "touch_flow_run", "add_warm_pool", "touch_warm_pool"}
    verbs = {name for name in vars(FakeApi) if not name.startswith("_")} - ours
    assert verbs <= set(vars(Api))


@pytest.mark.parametrize("name", ["../../other/taskruns/run", "held/hello", "..", "asb?x=1"])
def test_what_is_no_name_is_never_asked_for_and_ends_the_run_at_once(name: str) -> None:
    @reconciling
    async def test(world: World) -> None:
        world.add("hello", {"waitFor": [{"taskRun": name}]})
        await world.look("hello")
        assert world.status("hello")["reason"] == "InvalidSpec"
        assert world.api.asked == []

    test()


@reconciling
async def test_the_pod_of_a_namesake_that_was_orphaned_gets_nothing_of_the_new_run(world: World) -> None:
    world.add("hello", uid="11111111-old")
    await world.look("hello")
    mounted = world.api.pods["hello-1"]["spec"]["volumes"][0]["secret"]["secretName"]
    world.cluster.forget_run(Key("team", "hello"))
    del world.api.runs["hello"]  # and its pod stays: kubectl delete --cascade=orphan
    world.api.calls.clear()
    world.add("hello", uid="22222222-new")
    await world.look("hello")
    assert world.api.calls[0] == "status hello"
    assert f"secret {mounted}" not in world.api.calls
    assert "secret hello-22222222-grants" in world.api.calls
    await world.look("hello")
    assert world.status("hello")["reason"] == "PodNameConflict"
