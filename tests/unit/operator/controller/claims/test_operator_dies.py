"""Operators die at any write of a claim, and an attempt starts once in one pod all the same."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any

import pytest
from tests.support.warm_world import REFUSED, Killed, WarmWorld, attempts, run_key, warm, with_pool

from podtask.core.api.names import LABEL_POOL_STATE
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import ApiError

TROUBLES = ("none", "a policy refuses the claim", "another run is quicker")


@pytest.mark.parametrize("steer", [{}, {"cancel": True}, {"suspend": True}, {"deadlineSeconds": 1}], ids=str)
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_operators_that_die_at_any_write_start_nothing_twice(at: int, trouble: str, steer: dict[str, Any]) -> None:
    for arrives, again in itertools.product((None, 0, 2), (None, 1, 3)):

        async def test(world: WarmWorld, arrives: int | None = arrives, again: int | None = again) -> None:
            await _dies(world, at, arrives, again, trouble, steer)

        asyncio.run(with_pool(test, 2))


async def _dies(
    world: WarmWorld, at: int, arrives: int | None, again: int | None, trouble: str, steer: dict[str, Any]
) -> None:
    """The operator dies at its write `at`, which takes effect `arrives` writes later; the next one at its `again`th."""
    world.add("hello", {"deadlineSeconds": steer["deadlineSeconds"]} if "deadlineSeconds" in steer else None)
    if trouble == TROUBLES[1]:
        world.api.refused["claim"] = REFUSED
    if trouble == TROUBLES[2]:
        for pod in world.api.pods.values():  # the watch is late
            pod["metadata"]["labels"][LABEL_POOL_STATE] = "claimed"
            pod["metadata"]["ownerReferences"][0]["uid"] = "uid of another run"
    world.api.kill_at, world.api.arrives_after = at, arrives
    with contextlib.suppress(Killed, Later):
        await world.look("hello")
        await world.look("hello")
    if again is not None:
        world.api.kill_at = world.api.writes + again
        world.restart()
        with contextlib.suppress(Killed, Later):
            await world.look("hello")
            await world.look("hello")
    world.api.kill_at = None
    world.restart()
    world.api.late_seconds = 35.0
    if steer and "deadlineSeconds" not in steer:
        world.cluster.put_run(world.api.touch("hello", **steer))
    for _ in range(12):
        with contextlib.suppress(Later, ApiError):
            await world.look("hello")
        world.pass_(4)
        world.api.late_seconds = max(0.0, world.api.late_seconds - 4)
        _shown(world)
    await world.api.arrive(all_of_them=True)
    _shown(world)
    for _ in range(3):
        with contextlib.suppress(Later, ApiError):
            await world.look("hello")
        world.pass_(31)
        _shown(world)
    begun = [(run, number) for _, run, number in world.api.started]
    assert len(begun) == len(set(begun)), "an attempt started twice"
    pods = [pod for pod, _, _ in world.api.started]
    assert len(pods) == len(set(pods)), "a pod served two attempts"
    status = world.status("hello")
    if not steer:
        assert len([pod for pod, run, _ in world.api.started if run == "uid-hello"]) >= 1, "it starts at last"
        assert len(world.of("hello")) == 1, "one pod at a time"
        assert status["disruptionsUsed"] <= 1, "at most for a pod that went when nobody knew whose it was"
    if steer.get("suspend"):
        assert status["state"] in ("Pending", "AwaitingRetry", "Running"), status


def _shown(world: WarmWorld) -> None:
    """The watch catches up, also with those that are gone; pods of their own run."""
    for name in list(world.api.pods):
        if world.api.pods[name]["status"].get("phase") == "Pending":
            world.runs(name)
        world.cluster.put_pod(world.api.pods[name])
    for key, pod in list(world.cluster.pods.items()):
        if key.name not in world.api.pods:
            world.cluster.forget_pod(pod)
    for run in world.api.runs.values():
        world.cluster.put_run(run)
    _stopped(world)


def _stopped(world: WarmWorld) -> None:
    """A pod that was told to stop ends."""
    for name, pod in list(world.api.pods.items()):
        if pod["spec"].get("activeDeadlineSeconds") == 1 and pod["status"]["phase"] == "Running":
            ended = {"terminated": {"exitCode": 143, "startedAt": "2026-01-02T03:59:30Z"}}
            status = {"phase": "Failed", "containerStatuses": [{"name": "task", "state": ended}]}
            world.cluster.put_pod(world.api.touch_pod(name, status))


@warm
async def test_the_pod_of_a_run_that_is_gone_is_removed(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    world.api.kill_at = 3  # recorded, granted, and then the operator dies
    with contextlib.suppress(Killed):
        await world.look("hello")
    world.api.kill_at = None
    world.restart()
    del world.api.runs["hello"]
    world.cluster.forget_run(run_key())
    await world.keep(2)
    assert idle not in world.api.pods
    assert len(world.idle()) == 1


@warm
async def test_after_a_claim_without_an_answer_it_does(world: WarmWorld) -> None:
    world.add("hello")
    world.api.kill_at = 3
    with contextlib.suppress(Killed):
        await world.look("hello")
    world.api.kill_at = None
    world.restart()
    world.api.refused.update({"claim": REFUSED, "remove": REFUSED})
    for _ in range(3):
        with contextlib.suppress(ApiError, Later):
            await world.look("hello")
    assert "hello-1" not in world.api.pods, "a claim may still be on its way"


@warm
async def test_a_chosen_pod_is_not_the_pools_to_remove(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    world.api.kill_at = 2  # recorded, and then the operator dies
    with contextlib.suppress(Killed):
        await world.look("hello")
    world.restart()
    world.cluster.stock.put_pool(world.api.touch_warm_pool("fast", size=0))
    await world.keep()
    assert idle in world.api.pods
    await world.look("hello")
    assert world.of("hello") == [idle]


@warm
async def test_the_pod_of_a_suspended_attempt_is_never_offered_again(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    world.api.kill_at = 3  # recorded, granted, and then the operator dies
    with contextlib.suppress(Killed):
        await world.look("hello")
    world.restart()
    world.cluster.put_run(world.api.touch("hello", suspend=True))
    await world.look("hello")
    await world.look("hello")
    assert idle not in world.api.pods
    assert attempts(world)[0]["reason"] == "Suspended"
    world.add("other")
    await world.look("other")
    assert world.of("other") == ["other-1"]
