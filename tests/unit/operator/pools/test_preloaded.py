"""What waiting pods say of their `preload` is told in a condition: bounded, kept, and of the pool's own pods only."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.warm_world import WarmWorld
from tests.unit.operator.pools.test_keeper import condition, pooled

from podtask.core.api.names import LABEL_POOL_STATE
from podtask_operator.events.doorbell import Doorbell
from podtask_operator.task_runs.key import Key
from podtask_runner.process import doorbell as runner

MODULES = {"preload": ["numpy", "pandas.api"]}


def rings(world: WarmWorld, data: bytes) -> None:
    Doorbell(world.cluster, lambda _: None, lambda: world.seconds).datagram_received(data, ("10.0.0.9", 1))


def uid(world: WarmWorld) -> str:
    found: str = world.api.pods[world.idle()[0]]["metadata"]["uid"]
    return found


def message(world: WarmWorld) -> str:
    (one,) = (each for each in world.pool()["conditions"] if each["type"] == "Preloaded")
    return str(one["message"])


@pooled(1, MODULES)
async def test_its_pods_are_asked_to_import_the_modules_and_say_so_to_the_operator(world: WarmWorld) -> None:
    await world.keep()
    (name,) = world.idle()
    env = {each["name"]: each.get("value") for each in world.api.pods[name]["spec"]["containers"][0]["env"]}
    assert env["PODTASK_PRELOAD"] == "numpy,pandas.api"
    assert "PODTASK_DOORBELL" in env


@pooled(1, MODULES)
async def test_an_attempt_that_fits_takes_such_a_pod(world: WarmWorld) -> None:
    await world.keep(2)
    (idle,) = world.idle()
    world.add("hello")
    await world.look("hello")
    assert world.of("hello") == [idle]


@pooled(1, MODULES)
async def test_before_anybody_has_said_anything_there_is_no_condition(world: WarmWorld) -> None:
    await world.keep(2)
    assert [each["type"] for each in world.pool()["conditions"]] == ["Ready"]


@pooled(1)
async def test_of_a_pool_that_preloads_nothing_nothing_is_told(world: WarmWorld) -> None:
    await world.keep(2)
    rings(world, runner.preloaded(uid(world), [0], "no"))
    await world.keep()
    assert [each["type"] for each in world.pool()["conditions"]] == ["Ready"]


@pooled(1, MODULES)
async def test_what_could_not_be_imported_is_told_with_a_cure_and_the_pool_is_full(world: WarmWorld) -> None:
    await world.keep(2)
    rings(world, runner.preloaded(uid(world), [1], "ModuleNotFoundError: No module named 'pandas'"))
    await world.keep()
    assert condition(world, "Preloaded") == ("False", "ImportFailed")
    assert message(world).startswith("A waiting pod could not import pandas.api: ModuleNotFoundError: No module named")
    assert "Install it in the image" in message(world)
    assert condition(world) == ("True", "Full")


@pooled(1, MODULES)
async def test_what_could_be_imported_is_told_and_told_once(world: WarmWorld) -> None:
    await world.keep(2)
    rings(world, runner.preloaded(uid(world), [], ""))
    await world.keep()
    assert condition(world, "Preloaded") == ("True", "Imported")
    before = list(world.api.calls)
    rings(world, runner.preloaded(uid(world), [], ""))
    await world.keep(2)
    assert world.api.calls == before


@pooled(1, MODULES)
async def test_the_next_operator_keeps_what_the_last_one_heard(world: WarmWorld) -> None:
    await world.keep(2)
    rings(world, runner.preloaded(uid(world), [0], "it is not there"))
    await world.keep()
    held = world.pool()["conditions"]
    world.restart()
    await world.keep(2)
    assert world.pool()["conditions"] == held
    rings(world, runner.preloaded(uid(world), [], ""))
    await world.keep()
    assert condition(world, "Preloaded") == ("True", "Imported")


@pooled(1, MODULES)
async def test_of_other_pods_nothing_is_believed(world: WarmWorld) -> None:
    await world.keep(2)
    rings(world, runner.preloaded("nobody", [0], "no"))
    (idle,) = world.idle()
    copy = {**world.api.pods[idle]["metadata"], "name": "copy", "uid": "uid-of-copy"}
    world.api.pods["copy"] = {**world.api.pods[idle], "metadata": copy}
    world.cluster.put_pod(world.api.touch_pod("copy"))
    rings(world, runner.preloaded("uid-of-copy", [0], "no"))
    await world.keep()
    assert [each["type"] for each in world.pool()["conditions"]] == ["Ready"]


@pooled(1, MODULES)
async def test_a_pod_that_an_attempt_has_taken_says_no_more(world: WarmWorld) -> None:
    await world.keep(2)
    taken = uid(world)
    (idle,) = world.idle()
    world.api.pods[idle]["metadata"]["labels"][LABEL_POOL_STATE] = "claimed"
    world.cluster.put_pod(world.api.touch_pod(idle))
    rings(world, runner.preloaded(taken, [0], "no"))
    await world.keep()
    assert [each["type"] for each in world.pool()["conditions"]] == ["Ready"]


@pytest.mark.parametrize(
    "content",
    [
        {"failed": "0", "why": "x"},
        {"failed": [0], "why": 3},
        {"failed": [0]},
        {"failed": [-1, 99, True, None, "0", 0.5, [0]], "why": "\x1b[2J\u202e\n\ud800 evil"},
        {"failed": [0, 0, 1] * 50, "why": "x"},
    ],
    ids=str,
)
def test_whatever_a_pod_says_is_bounded_and_printable(content: dict[str, Any]) -> None:
    @pooled(1, MODULES)
    async def test(world: WarmWorld) -> None:
        await world.keep(2)
        rings(world, json.dumps({"pod": uid(world), **content}).encode())
        await world.keep()
        told = " ".join(each["message"] for each in world.pool()["conditions"])
        assert told.isprintable()
        assert told.count("numpy") <= 1

    test()


@pooled(1, MODULES)
async def test_a_flood_of_them_causes_few_looks_and_writes(world: WarmWorld) -> None:
    await world.keep(2)
    woken: list[Key] = []
    world.cluster.stock.wake = woken.append
    bell = Doorbell(world.cluster, lambda _: None, lambda: world.seconds)
    pod, before = uid(world), len(world.api.calls)
    for number in range(3000):
        bell.datagram_received(runner.preloaded(pod, [number % 2], str(number)), ("10.0.0.9", 1))
        await world.keeper.look(Key("team", "fast"))
    assert len(woken) <= 1000
    assert len(world.api.calls) - before <= 1, "a status is written every few seconds"
