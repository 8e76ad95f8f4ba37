"""Pools are kept full against an API server in a dict: deaths, refusals, strangers, and what people are told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from tests.support.builders import SETTINGS
from tests.support.warm_world import Killed, WarmWorld

from podtask.core.api import names
from podtask_operator.kube.client import ApiError
from podtask_operator.pools.keeper import STATUS_SECONDS
from podtask_operator.task_runs.key import Key

FAST = Key("team", "fast")
Test = Callable[[WarmWorld], Coroutine[Any, Any, None]]
QUOTA = ApiError(403, "Forbidden", 'pods "fast-1" is forbidden: exceeded quota: pods, requested: pods=1, limited: 3')
SECURITY = ApiError(403, "Forbidden", 'pods "x" is forbidden: violates PodSecurity "restricted:latest": hostPath')


def pooled(size: int = 2, spec: dict[str, Any] | None = None) -> Callable[[Test], Callable[[], None]]:
    """Run a test with a pool that nobody has looked at."""

    def wrap(test: Test) -> Callable[[], None]:
        def run() -> None:
            async def body() -> None:
                await test(WarmWorld(SETTINGS, size, spec))

            asyncio.run(body())

        run.__name__ = test.__name__
        return run

    return wrap


def condition(world: WarmWorld, kind: str = "Ready") -> tuple[str, str]:
    (one,) = (each for each in world.pool()["conditions"] if each["type"] == kind)
    return one["status"], one["reason"]


@pooled(5)
async def test_it_is_filled_two_at_a_time_and_then_left_alone(world: WarmWorld) -> None:
    await world.keeper.look(FAST)
    assert len(world.idle()) == 2
    await world.keep(4)
    assert len(world.idle()) == 5
    writes = len(world.api.calls)
    await world.keep(3)
    assert world.api.calls[writes:] == []
    assert (world.pool()["ready"], condition(world)) == (5, ("True", "Full"))


@pooled()
async def test_its_status_lists_what_was_posted_and_how_to_find_it(world: WarmWorld) -> None:
    await world.keep(3)
    assert [one["name"] for one in world.pool()["pods"]] == world.idle()
    assert world.pool()["selector"] == "podtask.dev/pool=fast,podtask.dev/pool-state=idle"


@pooled()
async def test_it_is_scaled_up_and_down(world: WarmWorld) -> None:
    await world.keep(3)
    for size in (4, 1, 0, 2):
        world.cluster.stock.put_pool(world.api.touch_warm_pool("fast", size=size))
        await world.keep(4)
        assert (len(world.idle()), world.pool()["ready"]) == (size, size)


@pooled(1)
async def test_a_pod_that_was_posted_and_not_listed_is_removed_by_the_next_operator(world: WarmWorld) -> None:
    await world.keeper.look(FAST)
    (unlisted,) = world.idle()
    world.api.warm_pools["fast"]["status"] = {}  # it died before the status
    world.restart()
    world.ready()
    world.add("hello")
    await world.look("hello")
    assert world.of("hello") == ["hello-1"], "nobody takes what nobody posted"
    await world.keep(3)
    assert unlisted not in world.api.pods
    assert len(world.idle()) == 1


@pooled(1)
async def test_what_was_listed_is_taken_by_the_attempts_of_the_next_operator(world: WarmWorld) -> None:
    await world.keep(2)
    (idle,) = world.idle()
    world.restart()
    world.add("hello")
    await world.look("hello")
    assert world.of("hello") == [idle]


@pooled(1)
async def test_a_pod_that_copies_the_labels_is_never_taken(world: WarmWorld) -> None:
    await world.keep(2)
    (idle,) = world.idle()
    world.api.pods["copy"] = {
        **world.api.pods[idle],
        "metadata": {**world.api.pods[idle]["metadata"], "name": "copy", "uid": "uid-of-copy"},
    }
    world.cluster.put_pod(world.api.touch_pod("copy"))
    for name in ("hello", "other"):
        world.add(name)
        await world.look(name)
    assert (world.of("hello"), world.of("other")) == ([idle], ["other-1"])
    await world.keep(1)
    assert "copy" not in world.api.pods, "it says that it is the pool's, and nobody posted it"


@pooled(1)
async def test_a_pod_of_somebody_else_with_the_labels_is_left_alone(world: WarmWorld) -> None:
    await world.keep(2)
    (idle,) = world.idle()
    owner = [{"kind": "ReplicaSet", "name": "web", "uid": "uid-of-web", "controller": True}]
    world.api.pods["copy"] = {
        **world.api.pods[idle],
        "metadata": {**world.api.pods[idle]["metadata"], "name": "copy", "uid": "u", "ownerReferences": owner},
    }
    world.cluster.put_pod(world.api.touch_pod("copy"))
    await world.keep(2)
    assert "copy" in world.api.pods


@pytest.mark.parametrize(("refused", "reason"), [(QUOTA, "Quota"), (SECURITY, "PodSecurity")], ids=["quota", "pss"])
def test_a_refusal_is_told_with_its_cure_and_tried_again_later(refused: ApiError, reason: str) -> None:
    @pooled(1)
    async def test(world: WarmWorld) -> None:
        world.api.refused["pod"] = refused
        await world.keep(1)
        assert condition(world) == ("False", reason)
        assert refused.message[:40] in world.pool()["conditions"][0]["message"]
        asked = world.api.writes
        await world.keeper.look(FAST)
        assert world.api.writes == asked, "not at once"
        world.api.refused.clear()
        await world.keep(3)
        assert condition(world) == ("True", "Full")

    test()


@pooled(1)
async def test_a_pod_that_somebody_deletes_is_replaced(world: WarmWorld) -> None:
    await world.keep(2)
    (idle,) = world.idle()
    world.cluster.forget_pod(world.api.pods.pop(idle))
    await world.keep(2)
    assert len(world.idle()) == 1
    assert [one["name"] for one in world.pool()["pods"]] == world.idle()


@pooled(1)
async def test_pods_that_end_while_they_wait_are_made_again_later_and_later(world: WarmWorld) -> None:
    for _ in range(30):
        await world.keeper.look(FAST)
        for name in world.idle():
            ended = {"name": "task", "state": {"terminated": {"exitCode": 69}}}
            status = {"phase": "Failed", "containerStatuses": [ended]}
            world.cluster.put_pod(world.api.touch_pod(name, status))
        world.pass_(2)
    assert 2 <= sum(call.startswith("pod fast-") for call in world.api.calls) <= 8
    assert condition(world) == ("False", "Crashed")


@pooled(2)
async def test_old_pods_are_replaced(world: WarmWorld) -> None:
    await world.keep(3)
    before = world.idle()
    world.pass_(1800)
    world.api.created_at = f"{world.now:%Y-%m-%dT%H:%M:%SZ}"
    await world.keep(4)
    assert not set(before) & set(world.idle())
    assert len(world.idle()) == 2


@pooled(1)
async def test_pods_by_other_settings_are_replaced_and_not_taken_meanwhile(world: WarmWorld) -> None:
    await world.keep(2)
    (old,) = world.idle()
    world.restart(replace(SETTINGS, image_pull_policy="Always"))
    world.add("hello")
    await world.look("hello")
    assert world.of("hello") == ["hello-1"]
    await world.keep(3)
    assert old not in world.api.pods
    assert len(world.idle()) == 1


@pooled(1)
async def test_a_claim_that_was_quicker_than_a_removal_keeps_its_pod(world: WarmWorld) -> None:
    await world.keep(2)
    (idle,) = world.idle()
    world.api.pods[idle]["metadata"]["labels"][names.LABEL_POOL_STATE] = "claimed"
    world.api.touch_pod(idle)  # the watch is late
    world.cluster.stock.put_pool(world.api.touch_warm_pool("fast", size=0))
    await world.keep(1)
    assert idle in world.api.pods


@pooled(1)
async def test_the_pool_goes_and_what_an_attempt_has_taken_stays(world: WarmWorld) -> None:
    await world.keep(2)
    (idle,) = world.idle()
    world.add("hello")
    await world.look("hello")
    world.cluster.stock.forget_pool(FAST, "uid-fast")
    await world.keeper.look(FAST)
    assert world.of("hello") == [idle]


@pooled(1)
async def test_pods_that_their_pool_left_behind_are_removed(world: WarmWorld) -> None:
    await world.keep(2)
    (idle,) = world.idle()
    world.cluster.put_pod(world.api.touch_pod(idle, ownerReferences=[]))  # kubectl delete --cascade=orphan
    world.cluster.stock.forget_pool(FAST, "uid-fast")
    await world.keeper.look(FAST)
    assert world.api.pods == {}


@pooled(2)
async def test_a_run_that_finds_no_room_gets_that_of_the_idle_pods(world: WarmWorld) -> None:
    await world.keep(3)
    world.api.refused["pod"] = QUOTA
    world.add("big", {"resources": {"limits": {"cpu": 4}}})
    await world.look("big")
    await world.look("big")
    await world.keeper.look(FAST)
    assert world.idle() == []
    world.api.refused.clear()
    world.pass_(5)
    await world.look("big")
    assert world.of("big") == ["big-1"]
    await world.keeper.look(FAST)
    assert world.idle() == [], "not before the run had its time"
    world.seconds += 60
    await world.keep(3)
    assert len(world.idle()) == 2


@pooled(1, {"podTemplate": {"hostNetwork": True}})
async def test_a_template_that_is_not_allowed_is_told_and_no_pod_is_made(world: WarmWorld) -> None:
    await world.keep(1)
    assert world.idle() == []
    assert condition(world) == ("False", "InvalidSpec")
    assert "hostNetwork" in world.pool()["conditions"][0]["message"]


@pooled(1, {"image": "own:latest"})
async def test_an_image_without_a_digest_is_told(world: WarmWorld) -> None:
    await world.keep(1)
    assert condition(world) == ("False", "InvalidSpec")


@pooled(5)
async def test_the_status_is_written_at_most_every_few_seconds(world: WarmWorld) -> None:
    for _ in range(4):
        await world.keeper.look(FAST)
        world.ready()
        world.pass_(STATUS_SECONDS / 10)
    assert sum(call.startswith("pool status") for call in world.api.calls) == 1
    assert FAST in world.keeper.queue.due, "what it has not said yet is said later"


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("arrives", [None, 0, 1])
def test_an_operator_that_dies_at_any_write_leaves_a_pool_that_is_filled(at: int, arrives: int | None) -> None:
    @pooled(2)
    async def test(world: WarmWorld) -> None:
        world.api.kill_at, world.api.arrives_after = at, arrives
        with contextlib.suppress(Killed):
            await world.keep(3)
        world.api.kill_at = None
        world.restart()
        await world.keep(4)
        await world.api.arrive(all_of_them=True)
        world.restart()
        await world.keep(4)
        assert [one["name"] for one in world.pool()["pods"]] == world.idle()
        assert len(world.idle()) == 2

    test()


@pooled(1)
async def test_no_pool_means_no_question(world: WarmWorld) -> None:
    world.cluster.stock.forget_pool(FAST)
    world.api.calls.clear()
    world.add("hello")
    await world.look("hello")
    assert world.api.calls == ["status hello", "secret hello-uid-hell-grants", "pod hello-1"]
