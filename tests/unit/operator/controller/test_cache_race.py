"""Who goes first of runs with one cache key, and who is woken when that changes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.support.operator_world import CACHED, ENDED, NOW, World, reconciling

from podtask.core.api.status import ResultInfo
from podtask.core.cache.entry import CacheEntry, Producer
from podtask.core.cache.repository import Lookup
from podtask_operator.controller.work_queue import Later
from podtask_operator.task_runs.key import Key


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
    both, lookup, asked = asyncio.Event(), world.objects.lookup, []

    async def once_both_race(*wanted: Any) -> Any:
        asked.append(wanted)
        if len(asked) == 2:
            both.set()
        await both.wait()
        return await lookup(*wanted)

    world.objects.lookup = once_both_race  # type: ignore[method-assign]
    await asyncio.gather(world.look("second"), world.look("first"))
    assert world.status("first")["attemptsTotal"] == 1
    assert "attempts" not in world.status("second")


@reconciling
async def test_an_older_run_that_joins_the_race_while_a_younger_one_asks_why_it_missed_goes_first_alone(
    world: World,
) -> None:
    """The first use of a namespace's cache takes several round trips, so the runs do not join in their order."""
    world.add("first", CACHED)
    world.add("second", CACHED)
    objects = world.objects
    why_missed = objects.why_missed

    async def meanwhile(*asked: Any) -> Any:
        objects.why_missed = why_missed  # type: ignore[method-assign]
        await world.look("first")
        return await why_missed(*asked)

    objects.why_missed = meanwhile  # type: ignore[method-assign]
    await world.look("second")
    assert list(world.api.pods) == ["first-1"]
    assert world.status("second")["cache"]["outcome"] == "Waiting"


@reconciling
async def test_a_leader_that_ends_during_a_lookup_is_waited_for_until_the_next_one(world: World) -> None:
    world.add("leader", CACHED)
    world.add("hello", CACHED)
    await world.look("leader")
    objects = world.objects
    lookup = objects.lookup

    async def quick_end(*asked: Any) -> Any:
        found = await lookup(*asked)
        world.api.runs["leader"]["status"].update(ENDED)  # its entry is there, and was not when it was asked for
        world.cluster.put_run(world.api.touch("leader"))
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
        world.cluster.expectations.of(Key("team", "leader"), "uid-leader").join("k")
        await world.look("hello")
        world.cluster.put_run(world.api.touch("leader", **{end: True}))
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
        world.cluster.put_run(world.api.touch(name, suspend=True))
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
        world.cluster.put_run(world.api.touch("leader", suspend=suspend))
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
    world.cluster.put_run(world.api.touch("leader", suspend=False))
    await world.look("leader")
    assert list(world.api.pods) == ["hello-1"]


@reconciling
async def test_a_leader_whose_record_had_no_answer_leads_on(world: World) -> None:
    world.add("a", CACHED)
    world.add("b", CACHED)
    world.api.lost.add("status")
    for name in ("a", "a"):  # the second record meets the first one: 409
        with pytest.raises(Later):
            await world.look(name)
        await world.look("b")
    await world.look("a")
    assert list(world.api.pods) == ["a-1"]
    assert "attempts" not in world.status("b")


@reconciling
async def test_who_waits_for_the_same_run_asks_the_bucket_again_only_once_that_one_has_changed(world: World) -> None:
    for name in ("a", "b", "c"):
        world.add(name, CACHED)
    asked, lookup = [], world.objects.lookup

    async def counted(*wanted: Any) -> Any:
        asked.append(wanted)
        return await lookup(*wanted)

    world.objects.lookup = counted  # type: ignore[method-assign]
    for name in ("a", "b"):
        await world.look(name)
    for _ in range(5):
        await world.look("c")
        world.now += timedelta(minutes=1)
    assert len(asked) == 3, "one of each"
    world.now += timedelta(minutes=10)
    await world.look("c")
    assert len(asked) == 4, "from time to time"
    world.api.runs["a"]["status"].update({**ENDED, "state": "Failed"})
    world.cluster.put_run(world.api.touch("a"))
    await world.look("a")
    await world.look("c")
    assert len(asked) == 5, "another goes first"
    assert world.status("c")["message"] == "The identical run 'b' goes first."


@reconciling
async def test_an_entry_of_another_run_is_used_while_the_leader_is_still_under_way(world: World) -> None:
    for name, spec in (("a", CACHED), ("c", CACHED), ("refreshes", {"cache": {"key": "k", "refresh": True}})):
        world.add(name, spec)
    for name in ("a", "refreshes", "c", "c"):
        await world.look(name)
    entry = CacheEntry("k", ResultInfo("ab" * 32, 5, "json"), '"e"', Producer("refreshes", "uid-refreshes", 1), NOW)

    async def there(*_: Any) -> Lookup:
        return Lookup(entry=entry)

    world.objects.lookup = there  # type: ignore[method-assign]
    world.woken()
    world.api.runs["refreshes"]["status"].update(ENDED)
    world.cluster.put_run(world.api.touch("refreshes"))
    await world.look("refreshes")
    assert "c" in world.woken()
    await world.look("c")
    assert world.status("c")["state"] == "Cached"
