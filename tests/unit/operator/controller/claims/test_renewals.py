"""A claim is written again until the runner says that it started, and not for ever."""

from __future__ import annotations

import asyncio

from tests.support.builders import SETTINGS
from tests.support.warm_world import WarmWorld, attempts, run_key, warm

from podtask.core.api.names import ANNOTATION_CLAIM
from podtask_operator.controller.claims.claims import RENEWALS
from podtask_operator.task_runs.key import Key
from podtask_operator.warm_pods.stock import NODE_BACKOFF_SECONDS


@warm
async def test_the_claim_is_written_again_until_the_runner_says_that_it_started(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    await world.look("hello")
    texts = set()
    for _ in range(2):
        world.pass_(1)
        await world.look("hello")
        texts.add(world.api.pods[idle]["metadata"]["annotations"][ANNOTATION_CLAIM])
    assert len(texts) == 2
    run = world.cluster.runs[Key("team", "hello")]
    world.cluster.expectations.of(run_key(), run.uid).started(1)
    before = len(world.api.calls)
    world.pass_(60)
    await world.look("hello")
    assert [call for call in world.api.calls[before:] if call.startswith("renew")] == []


@warm
async def test_it_is_not_written_again_for_ever(world: WarmWorld) -> None:
    world.add("hello")
    await world.look("hello")
    for _ in range(20):
        world.pass_(20)
        await world.look("hello")
    assert sum(call.startswith("renew") for call in world.api.calls) == len(RENEWALS)


def test_idle_pods_of_a_node_whose_claim_is_silent_are_not_taken_for_a_while() -> None:
    async def test() -> None:
        world = WarmWorld(SETTINGS, 3)
        await world.keep(3)
        slow, beside, elsewhere = world.idle()
        for name, node in ((slow, "slow"), (beside, "slow"), (elsewhere, "quick")):
            world.api.pods[name]["spec"]["nodeName"] = node
            world.runs(name)
        world.add("hello")
        await world.look("hello")
        assert attempts(world)[0]["claim"]["podName"] == slow
        world.pass_(9)
        await world.look("hello")
        world.add("before")
        assert await taken(world, "before") == beside, "nine seconds may be a busy node"
        world.pass_(2)
        await world.look("hello")
        world.add("after")
        assert await taken(world, "after") == elsewhere

    asyncio.run(test())


def test_a_node_that_was_silent_serves_again_after_its_backoff() -> None:
    async def test() -> None:
        world = WarmWorld(SETTINGS, 1)
        await world.keep(1)
        (idle,) = world.idle()
        world.api.pods[idle]["spec"]["nodeName"] = "slow"
        world.runs(idle)
        world.cluster.stock.back_off("slow")
        world.add("cold")
        assert await taken(world, "cold") is None
        world.pass_(NODE_BACKOFF_SECONDS)
        world.add("warm")
        assert await taken(world, "warm") == idle

    asyncio.run(test())


async def taken(world: WarmWorld, name: str) -> str | None:
    """The idle pod that the run has chosen."""
    await world.look(name)
    claim = attempts(world, name)[0].get("claim")
    return None if claim is None else str(claim["podName"])


@warm
async def test_grants_of_somebody_else_in_the_secret_are_written_over(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    await world.look("hello")
    world.api.started.clear()
    world.api.secrets[idle]["data"]["grants.json"] = "e30="
    for seconds in RENEWALS:
        world.pass_(seconds)
        await world.look("hello")
    assert world.api.started == [(f"pod-{idle}", "uid-hello", 1)]
