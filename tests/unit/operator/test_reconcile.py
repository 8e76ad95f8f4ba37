"""Reconciles against an API server in a dict: lost answers, lost races, namesakes, pods that come late."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from tests.builders import DIGEST, SETTINGS
from tests.unit.operator.fake_api import FakeApi

from podtask.core.store import StoreRefused
from podtask.core.store.memory import MemoryStore
from podtask_operator.api import Api, ApiError
from podtask_operator.apply import Applier
from podtask_operator.mirror import Mirror
from podtask_operator.objects import Objects
from podtask_operator.observe import Observer
from podtask_operator.queue import Key, Later
from podtask_operator.reconcile import Reconciler
from podtask_operator.story import Story
from podtask_runner.wire import LogPost, Put

NOW = datetime(2026, 1, 2, 4, 0, tzinfo=timezone.utc)
CACHED = {"cache": {"key": "k"}}
ENDED = {"state": "Completed", "finishedAt": "2026-01-02T03:30:00Z"}


class Signer:
    """URLs that nobody opens."""

    expires: float | None = None
    """When the credentials do."""

    def credentials_expire_at(self) -> float | None:
        return self.expires

    def sign_get(self, key: str, _: float) -> str:
        return f"http://store/{key}"

    def sign_put(self, key: str, _: float) -> Put:
        return Put(f"http://store/{key}", {})

    def sign_post(self, prefix: str, _: int, __: float) -> LogPost:
        return LogPost(f"http://store/{prefix}", {}, prefix)


class World:
    """A reconciler whose watch shows what the test lets it show."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.mirror = Mirror()
        self.signer = Signer()
        self.now = NOW
        api: Any = self.api
        objects = Objects(MemoryStore(), "prefix")
        observer = Observer(api, self.mirror, objects, SETTINGS)
        applier = Applier(api, self.mirror, objects, self.signer, Story(api), SETTINGS)
        self.reconciler = Reconciler(self.mirror, observer, applier, SETTINGS, lambda: self.now)

    def add(self, name: str, spec: dict[str, Any] | None = None, **more: Any) -> None:
        """A run that the watch shows."""
        self.mirror.put_run(self.api.add(name, spec, **more))

    async def look(self, name: str) -> None:
        await self.reconciler.reconcile(Key("team", name))

    def woken(self) -> set[str]:
        """Keys on the queue, taken from it."""
        queue = self.reconciler.queue
        names = {key.name for key in queue._queued}
        queue._queued.clear()
        while not queue._ready.empty():
            queue._ready.get_nowait()
        return names

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.runs[name].get("status") or {}
        return found


def reconciling(test: Callable[[World], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test with a world, in a loop."""

    def run() -> None:
        async def body() -> None:
            await test(World())

        asyncio.run(body())

    run.__name__ = test.__name__
    return run


@reconciling
async def test_an_attempt_is_recorded_before_its_pod_and_both_once(world: World) -> None:
    world.add("hello")
    await world.look("hello")
    await world.look("hello")
    assert world.api.calls == ["status hello", "secret hello-grants", "pod hello-1"]


@reconciling
async def test_who_waits_is_woken_although_the_answer_to_the_last_write_was_lost(world: World) -> None:
    world.add("hello", {"cancel": True})
    world.add("next", {"waitFor": [{"taskRun": "hello"}]})
    world.api.lost.add("status")
    with pytest.raises(Later):
        await world.look("hello")
    world.woken()
    world.mirror.put_run(world.api.runs["hello"])  # the watch brings what the answer did not
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
    assert Key("team", "hello") in world.reconciler.queue._due


@reconciling
async def test_a_finished_upstream_is_looked_at_again_when_nobody_needs_it_any_more(world: World) -> None:
    world.add("hello", {"ttlSecondsAfterFinished": 60}, status=ENDED)
    world.add("next", {"waitFor": [{"taskRun": "hello"}], "cancel": True})
    await world.look("next")
    assert "hello" in world.woken()


@reconciling
async def test_identical_runs_that_look_at_the_same_time_have_one_leader(world: World) -> None:
    world.add("a", CACHED)
    world.add("b", CACHED)
    await asyncio.gather(world.look("b"), world.look("a"))
    await asyncio.gather(world.look("b"), world.look("a"))
    assert len(world.api.pods) == 1


@reconciling
async def test_of_identical_runs_of_one_second_the_one_seen_first_goes_first(world: World) -> None:
    world.add("first", CACHED, uid="uid-z")
    world.add("second", CACHED, uid="uid-a")
    await asyncio.gather(world.look("second"), world.look("first"))
    assert world.status("first")["attemptsTotal"] == 1
    assert "attempts" not in world.status("second")


@reconciling
async def test_a_leader_that_ends_during_a_lookup_is_waited_for_until_the_next_one(world: World) -> None:
    world.add("leader", CACHED)
    world.add("hello", CACHED)
    await world.look("leader")
    objects = world.reconciler._observer._objects
    lookup = objects.lookup

    async def quick_end(*asked: Any) -> Any:
        found = await lookup(*asked)
        world.api.runs["leader"]["status"].update(ENDED)  # its entry is there, and was not when it was asked for
        world.mirror.put_run(world.api.touch("leader"))
        return found

    objects.lookup = quick_end  # type: ignore[method-assign]
    await world.look("hello")
    assert "attempts" not in world.status("hello")


WHY = "No key can be made of the inputs: args['df'][3].lock: a _thread:lock cannot be hashed"


@pytest.mark.parametrize(
    "beside", [{}, {"key": "k"}, {"components": {"code": "h1:c", "arguments": {}}}, {"refresh": True}], ids=str
)
def test_a_run_whose_caller_could_compute_no_key_runs_uncached_and_its_status_says_why(beside: dict[str, Any]) -> None:
    @reconciling
    async def test(world: World) -> None:
        for name in ("a", "b"):  # identical, and yet nobody waits
            world.add(name, {"cache": {**beside, "uncached": WHY}})
            await world.look(name)
            assert world.status(name)["cache"] == {"outcome": "Off", "missReason": WHY}
        assert len(world.api.pods) == 2

    test()


@reconciling
async def test_an_older_run_that_comes_while_a_younger_one_is_being_recorded_waits_for_it(world: World) -> None:
    world.add("b", CACHED)
    world.api.lost.add("status")
    with pytest.raises(Later):
        await world.look("b")  # recorded, but neither answer nor watch have said so yet
    world.add("a", CACHED)
    await world.look("a")
    assert "attempts" not in world.status("a")


@pytest.mark.parametrize("end", ["cancel", "suspend"])
def test_those_who_wait_for_a_leader_that_gives_up_are_woken(end: str) -> None:
    @reconciling
    async def test(world: World) -> None:
        world.add("leader", CACHED)
        world.add("hello", CACHED)
        for name in ("leader", "hello"):
            key = Key("team", name)
            world.mirror.remember_cache_key(key, world.mirror.memory(key, f"uid-{name}"), "k")
        world.mirror.put_run(world.api.touch("leader", **{end: True}))
        await world.look("leader")
        assert "hello" in world.woken()

    test()


@reconciling
async def test_identical_runs_that_are_all_suspended_do_not_wake_each_other_for_ever(world: World) -> None:
    names = ("leader", "b", "c")
    for name in names:
        world.add(name, CACHED)
        await world.look(name)
    for name in names:
        world.mirror.put_run(world.api.touch(name, suspend=True))
    world.woken()
    todo, looks = set(names), 0
    while todo and looks < 30:
        for name in todo:
            await world.look(name)
        looks, todo = looks + len(todo), world.woken()
    assert not todo


@reconciling
async def test_a_run_that_is_resumed_is_in_the_race_for_its_cache_key_again(world: World) -> None:
    world.add("leader", CACHED)
    world.add("hello", CACHED)
    for suspend in (False, True, False):
        world.mirror.put_run(world.api.touch("leader", suspend=suspend))
        await world.look("leader")
    await world.look("hello")
    assert list(world.api.pods) == ["leader-1"]


@reconciling
async def test_a_leader_that_is_suspended_before_its_first_attempt_waits_like_the_others_when_it_is_resumed(
    world: World,
) -> None:
    world.add("leader", CACHED)
    world.add("hello", CACHED)
    world.api.touch("leader", suspend=True)  # the watch is late
    with pytest.raises(Later):
        await world.look("leader")
    await world.look("leader")
    await world.look("hello")
    world.mirror.put_run(world.api.touch("leader", suspend=False))
    await world.look("leader")
    assert list(world.api.pods) == ["hello-1"]


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
    world.mirror.put_run(world.api.runs["hello"])  # the watch brings what the answer did not
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
    world.mirror.put_run(world.api.touch("hello"))
    await world.look("hello")
    assert world.status("hello")["attempts"][0]["reason"] == "Lost"
    assert "hello-1" not in world.api.pods


@reconciling
async def test_a_namesake_that_came_during_a_reconcile_is_not_forgotten_with_the_old_one(world: World) -> None:
    world.add("hello")
    world.api.add("hello", uid="new")
    world.mirror.put_run(world.api.runs["hello"])  # the watch is ahead of the reconcile that is about to launch
    memory = world.mirror.memory(Key("team", "hello"), "uid-hello")
    await world.reconciler._applier._launch(Key("team", "hello"), 1, memory, NOW)
    assert world.mirror.runs[Key("team", "hello")].uid == "new"


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
    world.mirror.pods.clear()
    world.mirror.put_pod(world.api.pods["hello-1"])
    world.mirror.put_run(world.api.touch("hello", cancel=True))
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
    assert Key("team", "hello") not in world.mirror.runs
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
    world.reconciler._observer._objects.lookup = refuse  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(Later):
            await world.look("hello")
    told = world.reconciler._applier._story._pending
    assert told.qsize() == 1
    assert told.get_nowait()[1]["message"] == (
        "The operator cannot read 'ns' in bucket 'b': AccessDenied. Check the rights of the key."
    )


@reconciling
async def test_an_attempt_that_no_pod_can_be_built_for_any_more_ends_the_run(world: World) -> None:
    """The chart was upgraded meanwhile, without the runner image of its Python."""
    world.add("hello")
    await world.look("hello")
    world.api.pods.clear()
    world.mirror.pods.clear()
    world.mirror._memories.clear()
    upgraded = replace(SETTINGS, runner_images={})
    world.reconciler._observer._settings = world.reconciler._applier._settings = upgraded
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
async def test_grants_are_renewed_at_half_of_their_life(world: World) -> None:
    world.add("hello", {"timeoutSeconds": 604800})
    await world.look("hello")
    await running(world, "hello")
    assert world.api.calls.count("secret hello-grants") == 1
    world.now += timedelta(seconds=SETTINGS.grant_seconds / 2)
    await world.look("hello")
    await world.look("hello")
    assert world.api.calls.count("secret hello-grants") == 2


@reconciling
async def test_grants_are_renewed_before_the_credentials_that_signed_them_expire(world: World) -> None:
    """Those of workload identity live for an hour, and a URL dies with them, whatever it was asked for."""
    world.signer.expires = (NOW + timedelta(hours=1)).timestamp()
    world.add("hello", {"timeoutSeconds": 604800})
    await world.look("hello")
    world.now += timedelta(minutes=29)
    await running(world, "hello")
    assert world.api.calls.count("secret hello-grants") == 1
    assert 0 < world.reconciler.queue._due[Key("team", "hello")] - asyncio.get_running_loop().time() <= 60
    world.now += timedelta(minutes=1)
    await world.look("hello")
    await world.look("hello")
    assert world.api.calls.count("secret hello-grants") == 2
    assert world.now + timedelta(minutes=14) < renewal(world, "hello") <= world.now + timedelta(minutes=15)


@reconciling
async def test_grants_that_another_process_signed_with_credentials_that_expire_are_renewed_at_once(
    world: World,
) -> None:
    world.signer.expires = (NOW + timedelta(hours=1)).timestamp()
    world.add("hello", {"timeoutSeconds": 604800})
    await world.look("hello")
    world.mirror._memories.clear()
    await running(world, "hello")
    await world.look("hello")
    assert world.api.calls.count("secret hello-grants") == 2


async def running(world: World, name: str) -> None:
    """The container of the run's first pod runs; the watch says so."""
    container = {"name": "task", "state": {"running": {"startedAt": "2026-01-02T04:00:00Z"}}}
    world.api.pods[f"{name}-1"]["status"] = {"phase": "Running", "containerStatuses": [container]}
    world.api.pods[f"{name}-1"]["metadata"]["resourceVersion"] = world.api._next()
    world.mirror.put_pod(world.api.pods[f"{name}-1"])
    await world.look(name)


def renewal(world: World, name: str) -> datetime:
    found = world.mirror.memory(Key("team", name), f"uid-{name}").renew_at
    assert found is not None
    return found


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
    world.mirror.forget_pod(late)
    world.mirror._memories.clear()  # a restart
    await world.look("hello")  # judged as lost
    assert world.status("hello")["attempts"][0]["outcome"] == "Disruption"
    world.api.pods["hello-1"] = late
    world.mirror.put_pod(late)
    await world.look("hello")
    assert "hello-1" not in world.api.pods


def test_the_fake_has_the_verbs_of_the_real_one() -> None:
    verbs = {name for name in vars(FakeApi) if not name.startswith("_")} - {"add", "touch"}
    assert verbs <= set(vars(Api))
