"""Limits, pod clean-up and lost nodes in whole reconciles: never a slot too many, whatever happens between writes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.builders import SETTINGS
from tests.support.fake_api import Object
from tests.support.operator_world import NOW, World, reconciling

from podtask.core.lifecycle.concurrency import Limits, Most
from podtask_operator import settings
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import ApiError
from podtask_operator.settings import SettingsError
from podtask_operator.task_runs.key import Key

GPU = {"tags": ["gpu"]}
LIMITED = {"namespace": {"default": 3}, "tags": {"gpu": 2}}


def limited(world: World, told: dict[str, Any] | None = None) -> World:
    world.limits = Limits.read(told or LIMITED)
    world.start()
    return world


def end(world: World, name: str, state: Object | None = None) -> None:
    """The container of the run's pod ends; the watch says so."""
    ended = {"terminated": state or {"exitCode": 1, "startedAt": "2026-01-02T03:59:00Z"}}
    status = {"phase": "Failed", "containerStatuses": [{"name": "task", "state": ended}]}
    world.cluster.put_pod(world.api.touch_pod(name, status))


async def settle(world: World, names: list[str]) -> None:
    """Look at everything twice, at the same time."""
    for _ in range(2):
        answers = await asyncio.gather(*map(world.look, names), return_exceptions=True)
        assert all(answer is None or isinstance(answer, Later) for answer in answers)


@reconciling
async def test_reconciles_at_the_same_time_never_take_one_slot_twice(world: World) -> None:
    limited(world)
    names = [f"run{number}" for number in range(6)]
    for name in names:
        world.add(name, GPU)
    await settle(world, names)
    assert len(world.api.pods) == 2


@reconciling
async def test_who_ends_wakes_exactly_the_oldest(world: World) -> None:
    limited(world)
    names = [f"run{number}" for number in range(6)]
    for name in names:
        world.add(name, GPU)
    await settle(world, names)
    assert list(world.api.pods) == ["run0-1", "run1-1"]
    world.woken()
    end(world, "run0-1")
    await world.look("run0")
    assert world.status("run0")["state"] == "Crashed"
    assert world.woken() == {"run2"}
    await settle(world, ["run5", "run2"])
    assert list(world.api.pods) == ["run0-1", "run1-1", "run2-1"]


@reconciling
async def test_those_who_wait_longer_say_for_what_and_cost_one_write(world: World) -> None:
    limited(world, {"tags": {"gpu": 0}})
    world.add("hello", GPU)
    await world.look("hello")
    await world.look("hello")
    assert world.api.calls == ["status hello"]
    assert world.status("hello")["message"].startswith("The limit of tag 'gpu' is 0: nothing starts there")


@reconciling
async def test_a_record_whose_answer_was_lost_holds_its_slot(world: World) -> None:
    limited(world, {"tags": {"gpu": 1}})
    world.add("a", GPU)
    world.add("b", GPU)
    world.api.lost.add("status")
    with pytest.raises(Later):
        await world.look("a")  # recorded, and nobody was told
    await world.look("b")
    assert world.api.pods == {}
    with pytest.raises(Later):
        await world.look("a")  # 409: the record is found
    await settle(world, ["b", "a"])
    assert list(world.api.pods) == ["a-1"]


@reconciling
async def test_a_record_that_was_refused_gives_its_slot_back(world: World) -> None:
    limited(world, {"tags": {"gpu": 1}})
    world.add("a", GPU)
    world.add("b", GPU)
    world.api.refused["status"] = ApiError(422, "Invalid", "no")
    with pytest.raises(ApiError):
        await world.look("a")
    world.api.refused.clear()
    await world.look("b")
    assert list(world.api.pods) == ["b-1"]


@reconciling
async def test_a_run_in_line_whose_record_is_refused_lets_the_next_one_pass(world: World) -> None:
    limited(world, {"tags": {"gpu": 1}})
    for name in ("a", "b", "c"):
        world.add(name, GPU)
    await settle(world, ["a", "b", "c"])
    end(world, "a-1")
    await world.look("a")
    world.woken()
    world.api.refused["status"] = ApiError(422, "Invalid", "no")
    with pytest.raises(ApiError):
        await world.look("b")
    world.api.refused.clear()  # it is refused for ever, and alone
    assert world.woken() == {"c"}
    await world.look("c")
    assert "c-1" in world.api.pods


@reconciling
async def test_a_run_that_is_deleted_gives_its_slot_to_who_waits(world: World) -> None:
    limited(world, {"tags": {"gpu": 1}})
    world.add("a", GPU)
    world.add("b", GPU)
    await settle(world, ["a", "b"])
    assert world.cluster.forget_run(Key("team", "a")) == [Key("team", "b")]


@reconciling
async def test_a_run_that_is_deleted_while_it_is_looked_at_keeps_no_place_in_the_line(world: World) -> None:
    limited(world, {"tags": {"gpu": 1}})
    for name in ("a", "b", "c"):
        world.add(name, {**GPU, "cache": {"key": name}})
    await settle(world, ["a", "b", "c"])
    look = asyncio.create_task(world.look("b"))
    await asyncio.sleep(0)  # it asks the bucket for a cached result
    world.cluster.forget_run(Key("team", "b"))
    await look
    world.woken()
    end(world, "a-1")
    await world.look("a")
    assert world.woken() == {"c"}
    await world.look("c")
    assert "c-1" in world.api.pods


@reconciling
async def test_a_run_that_is_deleted_before_its_record_is_sent_in_vain_holds_no_slot(world: World) -> None:
    limited(world, {"tags": {"gpu": 1}})
    for name in ("a", "b"):
        world.add(name, {**GPU, "cache": {"key": name}})
    look = asyncio.create_task(world.look("a"))
    await asyncio.sleep(0)
    world.cluster.forget_run(Key("team", "a"))
    world.api.lost.add("status")
    with pytest.raises(Later):
        await look
    await world.look("b")
    assert list(world.api.pods) == ["b-1"]


@reconciling
async def test_a_run_that_is_suspended_in_line_lets_the_next_one_pass(world: World) -> None:
    limited(world, {"tags": {"gpu": 1}})
    for name in ("a", "b", "c"):
        world.add(name, GPU)
    await settle(world, ["a", "b", "c"])
    world.woken()
    end(world, "a-1")
    world.cluster.put_run(world.api.touch("b", suspend=True))
    await world.look("a")
    assert "c" in world.woken()
    await world.look("c")
    assert "c-1" in world.api.pods


@reconciling
async def test_a_run_whose_store_is_away_does_not_hold_up_the_line(world: World) -> None:
    limited(world, {"tags": {"gpu": 1}})
    world.add("a", GPU)
    world.add("b", GPU)
    world.cluster.decided(Key("team", "a"), world.cluster.runs[Key("team", "a")], queues=True)
    world.api.lost.add("status")
    with pytest.raises(Later):
        await world.look("a")
    assert world.cluster.slots._places == {}


@reconciling
async def test_after_a_restart_slots_and_order_are_read_from_what_is_stored(world: World) -> None:
    limited(world, {"tags": {"gpu": 1}})
    for name in ("c", "b", "a"):  # the uids say that `a` is the oldest
        world.add(name, GPU)
    await settle(world, ["b"])
    assert list(world.api.pods) == ["b-1"]
    await settle(world, ["c", "a"])
    world.restart()
    await settle(world, ["c", "a"])
    assert list(world.api.pods) == ["b-1"]
    for ends, next_one in (("b", "a"), ("a", "c")):
        world.woken()
        end(world, f"{ends}-1")
        await world.look(ends)
        assert world.woken() == {next_one}
        await settle(world, [next_one])


@reconciling
async def test_finished_runs_are_in_no_index(world: World) -> None:
    limited(world)
    world.add("hello", GPU, status={"state": "Completed", "finishedAt": "2026-01-02T03:30:00Z"})
    await world.look("hello")
    assert (world.cluster.slots._needs, world.cluster.slots._lines) == ({}, {})


@pytest.mark.parametrize(
    ("cleanup", "outcome", "kept"),
    [(None, "Failed", True), ("KeepAll", "Failed", True), ("KeepFailed", "Failed", True), ("Delete", "Failed", False)],
)
def test_a_pod_goes_after_its_end_is_stored_and_for_no_further_write(
    cleanup: str | None, outcome: str, *, kept: bool
) -> None:
    @reconciling
    async def test(world: World) -> None:
        world.add("hello", {"podCleanup": cleanup} if cleanup else {})
        await world.look("hello")
        end(world, "hello-1")
        world.api.calls.clear()
        await world.look("hello")
        await world.look("hello")
        ends = ["delete secret hello-uid-hell-grants", "status hello"]
        assert world.api.calls == ends + ([] if kept else ["delete hello-1"])
        assert world.status("hello")["attempts"][0]["outcome"] == "Crashed"

    test()


@reconciling
async def test_the_pod_of_a_completed_attempt_goes_where_only_failed_ones_are_kept(world: World) -> None:
    world.add("hello", {"podCleanup": "KeepFailed"})
    await world.look("hello")
    digest = "ab" * 32
    said = f'{{"v": 1, "outcome": "Completed", "result": {{"digest": "{digest}", "size": 5, "serializer": "json"}}}}'
    end(world, "hello-1", {"exitCode": 0, "message": said, "startedAt": "2026-01-02T03:59:00Z"})
    await world.look("hello")
    assert world.status("hello")["state"] == "Completed"
    assert world.api.pods == {}


@reconciling
async def test_the_pod_of_an_attempt_that_is_not_judged_yet_is_never_cleaned_up(world: World) -> None:
    world.add("hello", {"podCleanup": "Delete"})
    await world.look("hello")
    end(world, "hello-1")
    world.api.refused["status"] = ApiError(422, "Invalid", "no")
    with pytest.raises(ApiError):
        await world.look("hello")
    assert "hello-1" in world.api.pods


@reconciling
async def test_a_pod_on_a_lost_node_is_removed_by_force_after_the_time_the_administrator_set(world: World) -> None:
    world.start(replace(SETTINGS, lost_node_force_seconds=60))
    world.add("hello")
    await world.look("hello")
    pod = world.api.pods["hello-1"]
    pod["spec"]["nodeName"] = "node-a"
    status = {"phase": "Running", "containerStatuses": [{"name": "task", "state": {"running": {}}}]}
    world.cluster.put_pod(world.api.touch_pod("hello-1", status, deletionTimestamp=NOW.isoformat()))
    world.now = NOW + timedelta(seconds=59)
    await world.look("hello")
    assert "delete hello-1 by force" not in world.api.calls
    world.now = NOW + timedelta(seconds=60)
    await world.look("hello")
    assert world.api.calls[-2:] == ["status hello", "delete hello-1 by force"]
    world.cluster.forget_pod(pod)
    await world.look("hello")
    attempt = world.status("hello")["attempts"][0]
    assert (attempt["outcome"], attempt["reason"], attempt["node"]) == ("Disruption", "NodeLost", "node-a")
    assert "hello-2" in world.api.pods


ENVIRONMENT = {settings.STORE: "s3://bucket", settings.RUNNER_IMAGES: '{"3.11": "x"}'}


def test_settings_of_limits_and_lost_nodes() -> None:
    plain = settings.load(ENVIRONMENT)
    assert (plain.limits, plain.lost_node_force_seconds) == (Limits(), None)
    told = {settings.LIMITS: '{"tags": {"gpu": 4}}', settings.LOST_NODE_FORCE_SECONDS: "300"}
    loaded = settings.load({**ENVIRONMENT, **told})
    assert (loaded.limits, loaded.lost_node_force_seconds) == (Limits(tags={"gpu": Most(4)}), 300)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (settings.LIMITS, '{"tags": {"gpu": -4}}', "PODTASK_LIMITS: gpu must be a whole number, 0 or more, not -4"),
        (settings.TASK_DEFAULTS, '{"podCleanup": "All"}', "podCleanup must be one of KeepAll, KeepFailed, Delete"),
        (settings.TASK_DEFAULTS, '{"maxDisruptions": -1}', "maxDisruptions must be a number from 0 to 1000"),
        (settings.TASK_DEFAULTS, '{"maxDisruptions": 1.5}', "maxDisruptions must be a number from 0 to 1000"),
        (settings.TASK_DEFAULTS, '{"maxDisruptions": true}', "maxDisruptions must be a number from 0 to 1000"),
        (settings.TASK_DEFAULTS, '{"pendingTimeoutSeconds": "9"}', "must be a number from 1 to 2592000"),
        (settings.TASK_DEFAULTS, '{"pendingTimeoutSeconds": NaN}', "must be a number from 1 to 2592000"),
    ],
)
def test_settings_that_make_no_sense_name_the_variable(name: str, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        settings.load({**ENVIRONMENT, name: text})


@reconciling
async def test_who_waits_for_a_slot_does_not_ask_the_bucket_at_every_look(world: World) -> None:
    limited(world, {"namespace": {"default": 1}})
    world.add("first")
    await world.look("first")
    asked: list[str] = []
    look_up = world.objects.lookup

    async def counted(namespace: str, cache_key: str, now: datetime) -> Any:
        asked.append(cache_key)
        return await look_up(namespace, cache_key, now)

    world.objects.lookup = counted  # type: ignore[method-assign]
    world.add("waits", {"cache": {"key": "k"}})
    for _ in range(20):
        await world.look("waits")
        world.now += timedelta(seconds=1)
    assert world.status("waits")["reason"] == "Queued"
    assert len(asked) == 1
    end(world, "first-1")
    await world.look("first")
    await world.look("waits")
    assert len(asked) == 2, "before it starts"
    assert "waits-1" in world.api.pods
    assert world.status("waits")["cache"]["missReason"] == "There is no entry for this key."


@pytest.mark.parametrize(
    ("spec", "most"), [({}, 0), ({"maxDisruptions": 2}, 2)], ids=["the chart's default", "the run's own"]
)
def test_disruptions_are_those_of_the_run_else_those_of_the_chart(spec: dict[str, Any], most: int) -> None:
    @reconciling
    async def body(world: World) -> None:
        world.start(replace(SETTINGS, task_defaults={"maxDisruptions": 0, "pendingTimeoutSeconds": 20}))
        world.add("a", spec)
        for number in range(1, most + 2):
            world.now += timedelta(minutes=2)
            await world.look("a")
            await world.look("a")
            world.cluster.forget_pod(world.api.pods.pop(f"a-{number}"))
            await world.look("a")
        status = world.status("a")
        assert (status["state"], status["reason"], status.get("disruptionsUsed", 0)) == ("Crashed", "PodDeleted", most)

    body()


@reconciling
async def test_a_pod_is_waited_for_as_long_as_the_chart_says(world: World) -> None:
    world.start(replace(SETTINGS, task_defaults={"maxDisruptions": 0, "pendingTimeoutSeconds": 20}))
    world.add("a", {"timeoutSeconds": 10})
    await world.look("a")
    assert world.api.pods["a-1"]["spec"]["activeDeadlineSeconds"] == 20 + 10 + 30 + 60
    world.cluster.put_pod(world.api.touch_pod("a-1", creationTimestamp="2026-01-02T04:00:00Z"))
    world.now += timedelta(seconds=19)
    await world.look("a")
    assert world.status("a")["state"] == "Pending"
    world.now += timedelta(seconds=1)
    await world.look("a")
    assert world.status("a")["attempts"][0]["reason"] == "PendingTimeout"


@pytest.mark.parametrize(("limits", "gives_up"), [({}, False), ({"tags": {"gpu": 1}}, True)])
def test_a_pod_that_no_node_takes_holds_its_slot_for_a_bounded_time(limits: dict[str, Any], gives_up: bool) -> None:
    @reconciling
    async def test(world: World) -> None:
        limited(world, {"tags": {"other": 1}, **limits})
        world.add("a", {**GPU, "pendingTimeoutSeconds": 2592000})
        await world.look("a")
        refusal = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
        conditions = [{**refusal, "lastTransitionTime": NOW.isoformat()}]
        world.cluster.put_pod(world.api.touch_pod("a-1", {"phase": "Pending", "conditions": conditions}))
        world.now = NOW + timedelta(seconds=899)
        await world.look("a")
        assert "delete a-1" not in world.api.calls
        world.now = NOW + timedelta(seconds=901)
        await world.look("a")
        assert ("delete a-1" in world.api.calls) == gives_up

    test()


@reconciling
async def test_a_resource_is_limited_by_what_the_spec_asks_for(world: World) -> None:
    limited(world, {"resources": {"nvidia.com/gpu": {"all": 2, "perNamespace": 1}}})
    for name, spec in (("a", {"limits": {"nvidia.com/gpu": 1}}), ("b", {"requests": {"nvidia.com/gpu": 1}}), ("c", {})):
        world.add(name, {"resources": spec})
    await settle(world, ["a", "b", "c"])
    assert sorted(world.api.pods) == ["a-1", "c-1"]
    world.now += timedelta(hours=1)
    await world.look("b")
    assert "the limit of resource 'nvidia.com/gpu' in namespace 'team' (1) is reached" in world.status("b")["message"]
