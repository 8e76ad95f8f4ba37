"""Attempts take idle pods, and otherwise the same number starts in a pod of its own."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import SETTINGS
from tests.support.warm_world import REFUSED, WarmWorld, attempts, warm

from podtask.core.api import names
from podtask.core.api.names import LABEL_POOL_STATE
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import ApiError, ApiUnavailable
from podtask_runner.protocol import Error, Outcome, Verdict, dump_outcome


@warm
async def test_an_attempt_takes_the_idle_pod_with_as_many_writes_as_before(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    await world.look("hello")
    assert world.api.calls == ["status hello", f"secret {idle}", f"claim {idle}"]
    assert attempts(world)[0]["claim"] == {"podName": idle, "podUID": f"pod-{idle}"}
    pod = world.api.pods[idle]
    assert pod["metadata"]["ownerReferences"][0]["uid"] == "uid-hello"
    assert pod["metadata"]["labels"][names.LABEL_TASK_RUN] == "hello"
    assert pod["metadata"]["labels"][LABEL_POOL_STATE] == "claimed"
    assert world.api.started == [(f"pod-{idle}", "uid-hello", 1)]


@warm
async def test_a_claimed_pod_ends_the_run_as_any_pod_does(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    await world.look("hello")
    world.pass_(5)
    await world.look("hello")
    assert attempts(world)[0]["startedAt"] == attempts(world)[0]["recordedAt"], "not when the pod began to wait"
    said = dump_outcome(Outcome(Verdict.FAILED, error=Error("ValueError", "boom"))).decode()
    ended = {"terminated": {"exitCode": 1, "message": said, "startedAt": "2026-01-02T03:59:30Z"}}
    status = {"phase": "Failed", "containerStatuses": [{"name": "task", "state": ended}]}
    world.cluster.put_pod(world.api.touch_pod(idle, status))
    await world.look("hello")
    assert world.status("hello")["state"] == "Failed"
    assert attempts(world)[0]["podUID"] == f"pod-{idle}"


@warm
async def test_cancel_stops_the_claimed_pod(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    await world.look("hello")
    world.runs(idle)
    world.cluster.put_run(world.api.touch("hello", cancel=True))
    await world.look("hello")
    assert world.api.pods[idle]["spec"]["activeDeadlineSeconds"] == 1


@warm
async def test_who_finds_no_idle_pod_starts_in_a_pod_of_its_own(world: WarmWorld) -> None:
    for name in ("hello", "other"):
        world.add(name)
        await world.look(name)
    assert world.of("other") == ["other-1"]
    assert "claim" not in attempts(world, "other")[0]
    await world.keep()
    assert (world.pool()["claimed"], world.pool()["missed"]) == (1, 1)


@warm
async def test_of_several_at_once_one_takes_the_pod(world: WarmWorld) -> None:
    runs = [f"hello{n}" for n in range(5)]
    for name in runs:
        world.add(name)
    await asyncio.gather(*(world.look(name) for name in runs))
    assert len(world.api.started) == 5
    assert len({pod for pod, _, _ in world.api.started}) == 5
    assert sum("claim" in attempts(world, name)[0] for name in runs) == 1


@warm
async def test_a_run_that_does_not_fit_is_as_it_always_was(world: WarmWorld) -> None:
    world.add("hello", {"resources": {"limits": {"cpu": 1}}})
    await world.look("hello")
    assert world.api.calls == ["status hello", "secret hello-uid-hell-grants", "pod hello-1"]
    await world.keep()
    assert world.pool()["missed"] == 0


@warm
async def test_a_pod_that_another_run_took_is_not_taken_and_the_number_is_kept(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    world.api.pods[idle]["metadata"]["labels"][LABEL_POOL_STATE] = "claimed"  # the watch is late
    world.api.pods[idle]["metadata"]["ownerReferences"][0]["uid"] = "uid of another run"
    await world.look("hello")
    await world.look("hello")
    assert world.of("hello") == ["hello-1"]
    assert (len(attempts(world)), "claim" in attempts(world)[0]) == (1, False)


@pytest.mark.parametrize("call", ["claim", "secret"])
def test_a_pod_that_a_policy_keeps_is_removed_and_the_number_is_kept(call: str) -> None:
    @warm
    async def test(world: WarmWorld) -> None:
        (idle,) = world.idle()
        world.add("hello")
        world.api.refused[call] = REFUSED
        await world.look("hello")
        world.api.refused.clear()
        await world.look("hello")
        assert idle not in world.api.pods
        assert world.of("hello") == ["hello-1"]
        assert [one["number"] for one in attempts(world)] == [1]
        assert world.api.started == [("pod-hello-1", "uid-hello", 1)]

    test()


@warm
async def test_a_claim_whose_answer_was_lost_is_not_sent_to_another_pod(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    world.api.lost.add("claim")
    with pytest.raises(Later):
        await world.look("hello")
    await world.look("hello")
    assert world.of("hello") == [idle]
    assert len(world.api.started) == 1


@warm
async def test_a_pod_that_is_gone_after_a_claim_without_an_answer_is_a_disruption(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    world.api.lost.add("claim")
    with pytest.raises(Later):
        await world.look("hello")
    world.cluster.forget_pod(world.api.pods.pop(idle))
    await world.look("hello")
    assert attempts(world)[0]["reason"] == "PodDeleted"
    assert world.status("hello")["disruptionsUsed"] == 1


@warm
async def test_a_pod_that_is_gone_before_any_claim_costs_nothing(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    del world.api.pods[idle]  # the watch is late
    await world.look("hello")
    await world.look("hello")
    assert [one["number"] for one in attempts(world)] == [1]
    assert world.of("hello") == ["hello-1"]


@warm
async def test_a_pod_whose_runner_says_that_nothing_began_costs_nothing(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    await world.look("hello")
    said = dump_outcome(Outcome(Verdict.NEVER_STARTED, error=Error("NeverStarted", "SIGTERM"))).decode()
    ended = {"terminated": {"exitCode": 75, "message": said, "startedAt": "2026-01-02T03:59:30Z"}}
    status = {"phase": "Failed", "containerStatuses": [{"name": "task", "state": ended}]}
    world.cluster.put_pod(world.api.touch_pod(idle, status))
    await world.look("hello")
    await world.look("hello")
    assert [one["number"] for one in attempts(world)] == [1]
    assert world.of("hello") == ["hello-1"]


@warm
async def test_a_refused_record_frees_the_pod_for_others(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    world.api.touch("hello")  # the watch is late
    with pytest.raises(Later):
        await world.look("hello")
    world.add("other")
    await world.look("other")
    assert world.of("other") == [idle]


@warm
async def test_a_crd_that_does_not_know_claims_means_a_pod_of_its_own(world: WarmWorld) -> None:
    world.add("hello")
    write = FakePruning(world)
    world.api.patch_status = write  # type: ignore[method-assign]
    await world.look("hello")
    assert world.of("hello") == ["hello-1"]


class FakePruning:
    """An API server whose schema of attempts has no `claim`."""

    def __init__(self, world: WarmWorld) -> None:
        self._write = type(world.api).patch_status
        self._api = world.api

    async def __call__(self, namespace: str, name: str, patch: dict[str, Any]) -> Any:
        for attempt in patch["status"].get("attempts") or ():
            attempt.pop("claim", None)
        return await self._write(self._api, namespace, name, patch)


@warm
async def test_a_pod_that_can_be_neither_taken_nor_removed_holds_up_nobody(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    world.api.refused.update({"claim": REFUSED, "remove": REFUSED})
    await world.look("hello")
    await world.look("hello")
    assert world.of("hello") == ["hello-1"]
    world.api.refused.clear()
    world.add("other")
    await world.look("other")
    assert world.of("other") == ["other-1"], "it was chosen once"
    await world.keep(1)
    assert idle not in world.api.pods


def test_the_deadline_of_a_claimed_pod_counts_from_its_own_start() -> None:
    @warm
    async def test(world: WarmWorld) -> None:
        (idle,) = world.idle()
        world.now += timedelta(seconds=300)
        world.add("hello", {"timeoutSeconds": 60})
        await world.look("hello")
        cold = 900 + 60 + 30 + 60
        age = (world.now - WarmWorld(SETTINGS).now).total_seconds() + 60
        assert world.api.pods[idle]["spec"]["activeDeadlineSeconds"] == cold + age + 10

    test()


DOWN = ApiUnavailable(
    "POST: 500", ApiError(500, "InternalError", 'Internal error occurred: failed calling webhook "policy": no answer')
)


@pytest.mark.parametrize("call", ["secret", "claim"])
def test_a_webhook_that_is_down_sends_the_attempt_into_a_pod_of_its_own_which_says_why_it_waits(call: str) -> None:
    @warm
    async def test(world: WarmWorld) -> None:
        (idle,) = world.idle()
        world.api.unavailable[call] = DOWN
        world.add("hello")
        for _ in range(3):
            with contextlib.suppress(Later):
                await world.look("hello")
            world.pass_(60)
        assert idle not in world.api.pods, "an idle pod whose claim is in doubt is used by nobody"
        if call == "claim":
            assert "hello-1" in world.api.pods
        else:  # that pod needs a Secret, too
            assert world.status("hello")["reason"] == "AdmissionRefused"
            assert "failed calling webhook" in world.status("hello")["message"]
        assert len(attempts(world)) == 1, "the same number"

    test()


def test_an_answer_that_is_lost_and_says_nothing_is_asked_for_again() -> None:
    @warm
    async def test(world: WarmWorld) -> None:
        (idle,) = world.idle()
        world.api.unavailable["claim"] = ApiUnavailable("PATCH: no answer")
        world.add("hello")
        with pytest.raises(Later):
            await world.look("hello")
        del world.api.unavailable["claim"]
        world.pass_(5)
        await world.look("hello")
        assert world.api.started == [(f"pod-{idle}", "uid-hello", 1)]

    test()
