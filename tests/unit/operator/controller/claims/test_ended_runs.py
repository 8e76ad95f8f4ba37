"""What becomes of a claimed pod once its run has ended: it is a pod as any other."""

from __future__ import annotations

from typing import Any

from tests.support.warm_world import WarmWorld, attempts, warm

from podtask.core.lifecycle.concurrency import Limits


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
async def test_the_secret_of_its_claim_is_deleted_with_the_end_and_no_other_is_asked_for(world: WarmWorld) -> None:
    (idle,) = world.idle()
    world.add("hello")
    await world.look("hello")
    assert list(world.api.secrets) == [idle]
    over = {"terminated": {"exitCode": 1, "startedAt": "2026-01-02T03:59:30Z", "finishedAt": "2026-01-02T04:00:00Z"}}
    status = {"phase": "Failed", "containerStatuses": [{"name": "task", "state": over}]}
    world.cluster.put_pod(world.api.touch_pod(idle, status))
    await world.look("hello")
    assert world.status("hello")["state"] == "Crashed"
    assert [call for call in world.api.calls if call.startswith("delete secret")] == [f"delete secret {idle}"]
    assert world.api.secrets == {}


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
