"""A namespace that another release works in, in whole reconciles: nothing is done there, and nothing is lost later."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.builders import SETTINGS
from tests.support.operator_world import ENDED, NOW, World, reconciling
from tests.support.warm_world import WarmWorld
from tests.unit.operator.controller.test_flow_run_keeper import FINISHED
from tests.unit.operator.controller.test_limits import GPU, LIMITED, limited

from podtask.core.storage.layout import Bucket, namespace_of
from podtask.core.storage.memory import MemoryStore
from podtask_operator.controller.flow_run_keeper import FlowRunKeeper
from podtask_operator.kube import fences
from podtask_operator.kube.client import IN_FLIGHT
from podtask_operator.ownership import mark as marks
from podtask_operator.ownership.mark import Mark, SeenMark, Standing
from podtask_operator.ownership.served import Served
from podtask_operator.storage.fenced import Fenced, WriteFenced
from podtask_operator.task_runs.key import Key

SEEN = SeenMark("1", "b/other", 180.0)
EXPIRED = {"ttlSecondsAfterFinished": 1}
UNDER_WAY = {
    "state": "Pending",
    "attempts": [{"number": 1, "cause": "Start", "recordedAt": "2026-01-02T03:59:00Z"}],
    "attemptsTotal": 1,
    "startedAt": "2026-01-02T03:59:00Z",
}


class Clock:
    """Of the process, for the marks."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def another_works(world: World, tick: Clock) -> Served:
    """In namespace team, from now on."""
    served = world.cluster.served = Served(everything=False, tick=tick)
    served.put("team", marks.others(Mark(), SEEN, tick()))
    world.cluster.owner_changed("team")
    return served


def taken_over(world: World, tick: Clock) -> list[Key]:
    """Its mark has run out, and this release takes it."""
    world.cluster.served.put("team", marks.written(world.cluster.served.mark("team"), SEEN, "a/this", tick(), tick()))
    return world.cluster.owner_changed("team")


@reconciling
async def test_nothing_is_written_in_a_namespace_that_another_release_works_in(world: World) -> None:
    tick = Clock()
    world.add("waits")
    world.add("wrong", {"cache": {"key": "k"}, "retries": -1})
    world.add("starts", status=UNDER_WAY)
    world.add("over", EXPIRED, status=ENDED)
    world.add("cancelled", {"cancel": True}, status=UNDER_WAY)
    another_works(world, tick)
    for name in list(world.api.runs):
        await world.look(name)
    assert (world.api.calls, world.api.pods, world.store._objects, await world.events()) == ([], {}, {}, [])
    assert world.api.asked == [], "nor read"


@reconciling
async def test_once_taken_over_everything_is_looked_at_and_goes_on(world: World) -> None:
    tick = Clock()
    world.add("waits")
    another_works(world, tick)
    await world.look("waits")
    assert taken_over(world, tick) == [Key("team", "waits")]
    await world.look("waits")
    await world.look("waits")
    assert list(world.api.pods) == ["waits-1"]


@reconciling
async def test_an_attempt_of_the_other_release_is_lost_only_when_its_pod_can_no_longer_arrive(world: World) -> None:
    tick = Clock()
    world.add("starts", {"retries": 1}, status=UNDER_WAY)
    another_works(world, tick)
    taken_over(world, tick)
    await world.look("starts")
    assert world.status("starts") == UNDER_WAY
    tick.now += IN_FLIGHT - 0.1
    await world.look("starts")
    assert world.status("starts") == UNDER_WAY
    tick.now += 0.2
    await world.look("starts")
    assert world.status("starts")["attempts"][0]["reason"] == "Lost"


@reconciling
async def test_slots_are_those_of_this_release(world: World) -> None:
    """Two attempts that the other release runs would else take both slots, and one that it holds back the line."""
    tick = Clock()
    limited(world, LIMITED)
    queued = {"state": "Pending", "reason": "Queued"}
    for name, status in (("one", UNDER_WAY), ("two", UNDER_WAY), ("queued", queued)):
        world.add(name, GPU, status=status)
    assert len(world.cluster.slots._needs) == 2
    another_works(world, tick)
    assert (len(world.cluster.slots._needs), world.cluster.slots.next()) == (0, [])
    world.cluster.put_run(world.api.touch("queued", note="x"))
    world.cluster.put_run(world.api.touch("one", note="x"))
    assert (len(world.cluster.slots._needs), world.cluster.slots.next()) == (0, [])
    taken_over(world, tick)
    assert len(world.cluster.slots._needs) == 2


@reconciling
async def test_flow_runs_are_left_alone(world: World) -> None:
    tick = Clock()
    world.cluster.flow_runs.put(world.api.add_flow_run("etl", {"ttlSecondsAfterFinished": 86400}, FINISHED))
    api: Any = world.api
    keeper = FlowRunKeeper(api, world.cluster, lambda: NOW)
    another_works(world, tick)
    await keeper.look(Key("team", "etl"))
    assert world.api.calls == []
    taken_over(world, tick)
    await keeper.look(Key("team", "etl"))
    assert [one["type"] for one in world.api.flow_runs["etl"]["status"]["conditions"]] == ["Finished", "Settled"]


def test_idle_pods_are_left_alone() -> None:
    async def test() -> None:
        world, tick = WarmWorld(SETTINGS), Clock()
        another_works(world, tick)
        await world.keeper.look(Key("team", "fast"))
        assert world.api.pods == {}
        taken_over(world, tick)
        await world.keeper.look(Key("team", "fast"))
        assert len(world.api.pods) == 1

    asyncio.run(test())


def test_a_write_that_was_decided_before_another_release_took_over_is_not_sent() -> None:
    tick = Clock()
    served = Served(everything=False, tick=tick)
    served.put("team", marks.written(Mark(), None, "a/this", tick(), tick()))
    path = "/apis/podtask.dev/v1alpha1/namespaces/team/taskruns/hello/status"
    assert fences.refusal(path, lambda: True, served.may_write) is None
    assert "Lease is not renewed" in (fences.refusal(path, lambda: False, served.may_write) or "")
    tick.now += marks.VALID + 1
    assert "owner's mark of namespace team is not renewed" in (
        fences.refusal(path, lambda: True, served.may_write) or ""
    )
    assert fences.refusal("/apis/authorization.k8s.io/v1/reviews", lambda: True, served.may_write) is None


@pytest.mark.parametrize("prefix", ["", "podtask", "/a/b/"])
def test_the_bucket_is_fenced_by_the_namespace_of_each_key(prefix: str) -> None:
    allowed = {"team"}
    store = Fenced(MemoryStore(), lambda: True, lambda key: namespace_of(prefix, key) in allowed)
    for namespace in ("team", "other"):
        bucket = Bucket(prefix, namespace, "uid-of-it")
        keys = (
            bucket.grants("uid", 1) + "1",
            bucket.keep("uid"),
            bucket.cache("k"),
            bucket.owner,
            bucket.sweep_stopped,
        )
        for key in keys:
            if namespace in allowed:
                store.put(key, b"1")
                store.delete(key)
            else:
                with pytest.raises(WriteFenced, match="another release"):
                    store.put(key, b"1")
                with pytest.raises(WriteFenced, match="another release"):
                    store.delete(key)


def test_the_standing_is_counted_for_the_metrics() -> None:
    served = Served(everything=False)
    for number, mark in enumerate((Mark(Standing.OTHERS), Mark(Standing.OTHERS), Mark(Standing.UNMARKED), Mark())):
        served.put(f"team-{number}", mark)
    assert [served.count(one) for one in Standing] == [1, 0, 2, 1]
