"""What one event costs does not grow with the number of others: the table "Scale", counted in instructions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import pod
from tests.support.fake_api import FakeApi
from tests.support.operations import Lookups, counted
from tests.support.operator_world import CACHED, ENDED, NOW, World
from tests.unit.operator.controller.test_limits import end

from podtask.core.api.status import ResultInfo
from podtask.core.cache.entry import CacheEntry, Producer
from podtask.core.cache.repository import Lookup
from podtask.core.lifecycle.concurrency import Limits
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.events.resync import Resync
from podtask_operator.settings import Settings
from podtask_operator.task_runs.key import Key

FEW, MANY = 20, 200


def added(world: World, count: int, spec: dict[str, Any] | None = None, **more: Any) -> list[str]:
    """So many runs, the oldest first."""
    names = [f"r{number:04d}" for number in range(count)]
    for name in names:
        world.add(name, spec, **more)
    return names


async def cost(world: World, name: str) -> int:
    """Instructions of one look."""
    with counted() as operations:
        await world.look(name)
    return operations.count


def ended(world: World, name: str, state: str = "Completed") -> None:
    """The watch shows that a run has ended."""
    status = world.api.runs[name].setdefault("status", {})
    status.update({**ENDED, "state": state})
    world.cluster.put_run(world.api.touch(name))


async def dependents(world: World, count: int) -> int:
    """One upstream with N dependents: the end of one of them."""
    world.add("data", status=ENDED)
    names = added(world, count, {"waitFor": [{"taskRun": "data"}]})
    await world.look("data")
    ended(world, names[1])
    return await cost(world, names[1])


async def upstream_ends(world: World, count: int) -> int:
    """One of the N upstreams of a fan-in ends while others do not."""
    names = added(world, count)
    world.add("sum", {"waitFor": [{"taskRun": name} for name in names]})
    ended(world, names[1])
    with counted() as operations:
        await world.look(names[1])
        for woken in world.woken():
            await world.look(woken)
    return operations.count


async def racing(world: World, count: int) -> list[str]:
    """N identical runs, of which the first has started and the others wait."""
    names = added(world, count, CACHED)
    for name in names:
        await world.look(name)
    for name in names:
        await world.look(name)
    assert list(world.api.pods) == [f"{names[0]}-1"]
    world.woken()
    return names


async def follower(world: World, count: int) -> int:
    """N identical runs: a look at one that waits for the first."""
    return await cost(world, (await racing(world, count))[count // 2])


async def follower_gone(world: World, count: int) -> int:
    """N identical runs: one that waits is deleted."""
    names = await racing(world, count)
    with counted() as operations:
        world.cluster.forget_run(Key("team", names[count // 2]))
    return operations.count


async def hit(world: World, count: int) -> int:
    """N identical runs: one of them has found the entry, and ends."""
    names = await racing(world, count)
    ended(world, names[0])
    await world.look(names[0])
    assert world.woken() >= set(names[1:])
    ended(world, names[1], "Cached")
    spent = await cost(world, names[1])
    assert world.woken() == set()
    return spent


async def leader_fails(world: World, count: int) -> int:
    """N identical runs: the first one fails, and the next one goes."""
    names = await racing(world, count)
    ended(world, names[0], "Failed")
    spent = await cost(world, names[0])
    assert world.woken() == {names[1]}
    return spent


async def refused(world: World, count: int) -> int:
    """N identical runs, of which the oldest is suspended."""
    names = await racing(world, count)
    world.cluster.put_run(world.api.touch(names[1], suspend=True))
    spent = await cost(world, names[1])
    assert world.woken() == set()
    return spent


async def slot_freed(world: World, count: int) -> int:
    """N queued behind one slot, and it is free."""
    world.limits = Limits.read({"namespace": {"default": 1}})
    world.start()
    names = added(world, count)
    for name in names:
        await world.look(name)
    world.now += timedelta(seconds=20)
    for name in names[1:]:
        await world.look(name)
    assert world.status(names[-1])["reason"] == "Queued"
    world.woken()
    end(world, f"{names[0]}-1")
    spent = await cost(world, names[0])
    assert world.woken() >= {names[1]}
    return spent


async def queued(world: World, count: int) -> int:
    """N queued behind one slot: a look at one in the middle."""
    world.limits = Limits.read({"namespace": {"default": 1}})
    world.start()
    names = added(world, count)
    for name in names:
        await world.look(name)
    return await cost(world, names[count // 2])


async def finished(world: World, count: int) -> int:
    """N have finished: a new one starts."""
    added(world, count, status=ENDED)
    world.add("new")
    return await cost(world, "new")


async def circles(world: World, count: int) -> int:
    """N have finished: one that waits for another is looked at for circles."""
    added(world, count, status=ENDED)
    world.add("up")
    world.add("new", {"waitFor": [{"taskRun": "up"}]})
    world.now = NOW + timedelta(seconds=60)
    return await cost(world, "new")


Case = Callable[[World, int], Coroutine[Any, Any, int]]
CASES: list[Case] = [
    dependents,
    upstream_ends,
    follower,
    follower_gone,
    hit,
    leader_fails,
    refused,
    slot_freed,
    queued,
    finished,
    circles,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_one_event_costs_does_not_grow_with_the_number_of_others(case: Case) -> None:
    few, many = (asyncio.run(case(World(), count)) for count in (FEW, MANY))
    assert few > 0
    assert many - few < MANY - FEW, "an instruction for each other run; a sorted line is searched by halves"


class Namespaces(FakeApi):
    """Lists of many namespaces, each with one run."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.by_namespace: dict[str, dict[str, Any]] = {}
        for name in names:
            self.by_namespace[name] = self.add(f"run-{name}")
            self.by_namespace[name]["metadata"]["namespace"] = name

    async def list_runs(self, namespace: str, **_: Any) -> AsyncIterator[dict[str, Any]]:
        yield self.by_namespace[namespace]

    async def list_pods(self, namespace: str, **_: Any) -> AsyncIterator[dict[str, Any]]:
        meta = {"name": f"run-{namespace}-1", "namespace": namespace, "uid": f"pod-{namespace}"}
        yield pod(metadata={**meta, "resourceVersion": "8"})

    async def list_flow_runs(self, namespace: str, **_: Any) -> AsyncIterator[dict[str, Any]]:
        meta = {"name": "etl", "namespace": namespace, "uid": f"flow-{namespace}", "resourceVersion": "8"}
        yield {"metadata": meta, "spec": {"flow": "etl"}, "status": {}}


async def compared(count: int) -> tuple[int, int]:
    """Instructions of a comparison by lists for each of N namespaces, and of a list of pods before a watch."""
    names = [f"team-{number}" for number in range(count)]
    api: Any = Namespaces(names)
    cluster = ClusterCache()
    for name in names:
        cluster.put_run(api.by_namespace[name])
        async for each in api.list_pods(name):
            cluster.put_pod(each)
        async for each in api.list_flow_runs(name):
            cluster.flow_runs.put(each)
    resync = Resync(api, cluster, Settings(store="memory://", namespaces=tuple(names)))
    with counted() as comparison:
        await resync.once(lambda _: None)
    with counted() as watch:
        held = cluster.pods.versions(names[0])
    assert len(held) == 1
    assert sum(len(cluster.versions(name)) for name in names) == count
    return comparison.count // count, watch.count


def test_a_comparison_costs_the_same_for_each_namespace_however_many_there_are() -> None:
    (few, few_watched), (many, many_watched) = (asyncio.run(compared(count)) for count in (FEW, MANY))
    assert many <= few
    assert many_watched == few_watched


RUNNING = {"phase": "Running", "containerStatuses": [{"name": "task", "state": {"running": {}}}]}


def test_a_look_asks_the_informer_cache_for_few_things_and_unpacks_a_pod_once() -> None:
    async def test() -> None:
        world = World()
        runs, expected, pods = Lookups(), Lookups(), Lookups()
        world.cluster.runs, world.cluster.expectations._runs, world.cluster.pods._held = runs, expected, pods
        world.add("hello")
        await world.look("hello")
        for change in (lambda: None, lambda: world.cluster.put_pod(world.api.touch_pod("hello-1", RUNNING))):
            change()
            runs.asked = expected.asked = pods.asked = 0
            await world.look("hello")
            assert runs.asked + expected.asked + pods.asked < 10
            assert (runs.asked > 0, pods.asked) == (True, 1)
        end(world, "hello-1")
        runs.asked = expected.asked = 0
        await world.look("hello")
        assert world.status("hello")["state"] == "Crashed"
        assert runs.asked + expected.asked < 15, "with a status write, which is read back"

    asyncio.run(test())


async def driven(world: World, ends: Callable[[str], bool]) -> int:
    """Look only at those that the operator itself wants to look at, and let pods end; how many looks that took."""
    looks, todo = 0, sorted({key.name for key in world.cluster.runs})
    while todo:
        for name in todo:
            await world.look(name)
            looks += 1
        for name in sorted(world.api.pods):
            run = name.removesuffix("-1")
            if world.status(run).get("finishedAt") is None and ends(run):
                ended(world, run, "Completed" if run == "r0003" or not run.startswith("r") else "Failed")
                world.reconciler.queue.add(Key("team", run))
        todo = sorted(world.woken())
    return looks


def test_identical_runs_go_one_after_the_other_until_one_stores_an_entry_and_then_all_use_it() -> None:
    async def test(count: int) -> int:
        world = World()
        names = added(world, count, CACHED)
        producer = Producer("r0003", "uid-r0003", 1)
        entry = CacheEntry("k", ResultInfo("ab" * 32, 5, "json"), '"e"', producer, NOW)

        async def lookup(*_: Any) -> Lookup:
            if world.status("r0003").get("state") == "Completed":
                return Lookup(entry=entry)
            return Lookup(miss_reason="There is no entry for this key.", absent=True)

        world.objects.lookup = lookup  # type: ignore[method-assign]
        looks = await driven(world, lambda _: True)
        states = [world.status(name).get("state") for name in names]
        assert states == ["Failed"] * 3 + ["Completed"] + ["Cached"] * (count - 4)
        return looks

    few, many = (asyncio.run(test(count)) for count in (FEW, MANY))
    assert many - few == 2 * (MANY - FEW), "two looks for each: one that waits, one that finds the entry"


@pytest.mark.parametrize("count", [3, 30])
def test_a_fan_in_starts_when_its_last_upstream_has_completed_although_not_every_end_is_looked_at(count: int) -> None:
    async def test() -> None:
        world = World()
        names = [f"up{number}" for number in range(count)]
        for name in names:
            world.add(name)
        world.add("sum", {"waitFor": [{"taskRun": name} for name in names]})
        order = iter(names)
        upcoming = [next(order)]

        def one_by_one(run: str) -> bool:
            if run != upcoming[0]:
                return False
            upcoming[0] = next(order, "sum")
            return True

        await driven(world, one_by_one)
        assert world.status("sum")["state"] == "Completed"

    asyncio.run(test())


@pytest.mark.parametrize("how", ["fails", "is deleted", "is deleted after its success"])
def test_a_wide_fan_in_hears_at_once_of_an_upstream_that_ends_it(how: str) -> None:
    async def test() -> None:
        world = World()
        names = added(world, 30)
        world.add("sum", {"waitFor": [{"taskRun": name} for name in names]})
        await world.look("sum")
        if how != "is deleted":
            ended(world, names[7], "Failed" if how == "fails" else "Completed")
            await world.look(names[7])
        woken = world.woken()
        if how != "fails":
            assert woken == set()
            woken = {key.name for key in world.cluster.forget_run(Key("team", names[7]))}
        assert "sum" in woken

    asyncio.run(test())
