"""Attempts take idle pods: once each, whoever dies when, and otherwise the same number starts in a pod of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import SETTINGS
from tests.support.warm_world import Killed, WarmWorld

from podtask.core.api import names
from podtask.core.api.names import ANNOTATION_CLAIM, LABEL_POOL_STATE
from podtask.core.lifecycle.concurrency import Limits
from podtask_operator.controller.claims.claims import RENEWALS
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import ApiError, ApiUnavailable
from podtask_operator.task_runs.key import Key
from podtask_runner.protocol import Error, Outcome, Verdict, dump_outcome

Test = Callable[[WarmWorld], Coroutine[Any, Any, None]]
REFUSED = ApiError(403, "Forbidden", 'admission webhook "policy" denied the request')


def warm(test: Test) -> Callable[[], None]:
    """Run a test with a pool of one ready pod."""

    def run() -> None:
        asyncio.run(_with_pool(test))

    run.__name__ = test.__name__
    return run


async def _with_pool(test: Test, size: int = 1) -> None:
    world = WarmWorld(SETTINGS, size)
    await world.keep(size)
    assert len(world.idle()) == size
    world.api.calls.clear()
    world.api.started.clear()
    world.api.writes = 0
    await test(world)


def attempts(world: WarmWorld, name: str = "hello") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.status(name)["attempts"]
    return found


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


def run_key() -> Key:
    return Key("team", "hello")


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


TROUBLES = ("none", "a policy refuses the claim", "another run is quicker")


@pytest.mark.parametrize("steer", [{}, {"cancel": True}, {"suspend": True}, {"deadlineSeconds": 1}], ids=str)
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_operators_that_die_at_any_write_start_nothing_twice(at: int, trouble: str, steer: dict[str, Any]) -> None:
    for arrives, again in itertools.product((None, 0, 2), (None, 1, 3)):

        async def test(world: WarmWorld, arrives: int | None = arrives, again: int | None = again) -> None:
            await _dies(world, at, arrives, again, trouble, steer)

        asyncio.run(_with_pool(test, 2))


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


def ended_run(world: WarmWorld, state: str, **of_attempt: Any) -> None:
    """The stored status says that the run has ended, as another process may have written it."""
    (attempt,) = attempts(world)
    uid = attempt["claim"]["podUID"]
    over = {"outcome": state, "reason": state, "podUID": uid, "finishedAt": f"{world.now:%Y-%m-%dT%H:%M:%SZ}"}
    status = {"state": state, "finishedAt": over["finishedAt"], "attempts": [{**attempt, **over, **of_attempt}]}
    world.api.runs["hello"]["status"].update(status)
    world.cluster.put_run(world.api.touch("hello"))


@warm
async def test_the_pod_of_an_ended_run_is_cleaned_away_as_any_pod_is(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello", {"podCleanup": "Delete"})
    await world.look("hello")
    ended_run(world, "Completed")
    over = {"terminated": {"exitCode": 0, "startedAt": "2026-01-02T03:59:30Z"}}
    status = {"phase": "Succeeded", "containerStatuses": [{"name": "task", "state": over}]}
    world.cluster.put_pod(world.api.touch_pod(idle, status))
    await world.look("hello")
    assert idle not in world.api.pods


@warm
async def test_a_task_that_stored_its_result_and_runs_on_in_a_warm_pod_is_stopped(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    await world.look("hello")
    world.runs(idle)
    ended_run(world, "Completed")
    world.pass_(300)
    await world.look("hello")
    assert world.api.pods[idle]["spec"]["activeDeadlineSeconds"] == 1


def test_a_warm_pod_that_runs_on_holds_its_slot() -> None:
    @warm
    async def test(world: WarmWorld) -> None:
        (idle,) = world.idle()
        world.limits = Limits.read({"namespace": {"default": 1}})
        world.restart()
        world.add("hello")
        await world.look("hello")
        world.runs(idle)
        ended_run(world, "Completed")
        world.add("other")
        await world.look("other")
        assert world.status("other")["reason"] == "Queued"

    test()
