"""A claim is written again until the runner says that it started, and not for ever."""

from __future__ import annotations

from tests.support.warm_world import WarmWorld, run_key, warm

from podtask.core.api.names import ANNOTATION_CLAIM
from podtask_operator.controller.claims.claims import RENEWALS
from podtask_operator.task_runs.key import Key


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
