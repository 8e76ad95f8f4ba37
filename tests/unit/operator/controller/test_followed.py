"""What happens to a run that nobody looks at any more: finished and patched, deleted and held, its pod's label gone."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from tests.support.builders import pod as pod_object
from tests.support.builders import run
from tests.support.operator_world import ENDED, World, reconciling

from podtask.core.api.names import LABEL_MANAGED_BY, LABEL_TASK_RUN
from podtask_operator.controller.event_recorder import _level
from podtask_operator.kube import client
from podtask_operator.kube.client import ApiError, ApiUnavailable
from podtask_operator.pods import status as podstatus

DONE = {**ENDED, "observedGeneration": 1}


def patched(world: World, name: str, **spec: Any) -> None:
    """Somebody patches the spec: the generation grows."""
    world.api.runs[name]["metadata"]["generation"] += 1
    world.cluster.put_run(world.api.touch(name, **spec))


def delete(world: World, name: str) -> None:
    """Somebody deletes the TaskRun, and a finalizer of somebody else holds it."""
    world.api.runs[name]["metadata"]["deletionTimestamp"] = "2026-01-02T04:00:00Z"
    world.cluster.put_run(world.api.touch(name))


def pod_ends(world: World, name: str, phase: str, **more: Any) -> None:
    terminated = {"exitCode": 0, "startedAt": "2026-01-02T04:00:00Z", **more}
    statuses = [{"name": "task", "state": {"terminated": terminated}}]
    world.cluster.put_pod(world.api.touch_pod(name, {"phase": phase, "containerStatuses": statuses}))


@pytest.mark.parametrize("change", [{"ttlSecondsAfterFinished": 9999}, {"cancel": True}, {"suspend": True}])
def test_the_generation_of_a_finished_run_is_observed_with_one_write(change: dict[str, Any]) -> None:
    @reconciling
    async def body(world: World) -> None:
        world.add("a", status=DONE)
        patched(world, "a", **change)
        await world.look("a")
        assert world.status("a") == {**DONE, "observedGeneration": 2}
        await world.look("a")
        await world.look("a")
        assert world.api.calls.count("status a") == 1

    body()


@reconciling
async def test_a_run_whose_pod_runs_observes_a_patch_that_changes_nothing_else(world: World) -> None:
    world.add("a")
    await world.look("a")
    patched(world, "a", ttlSecondsAfterFinished=60)
    await world.look("a")
    assert world.status("a")["observedGeneration"] == 2


@reconciling
async def test_a_run_that_is_deleted_by_the_patch_gets_no_status_first(world: World) -> None:
    world.add("a", status=DONE)
    patched(world, "a", ttlSecondsAfterFinished=0)
    await world.look("a")
    assert world.api.calls == ["delete run a"]


def test_a_run_without_a_status_is_not_behind() -> None:
    """Its first status says the generation anyway."""
    assert not run(metadata={"generation": 5}).outdated
    assert not run(metadata={"generation": 5}, status={"observedGeneration": 5}).outdated
    assert not run(metadata={"generation": 5}, status={"observedGeneration": "x"}).outdated
    assert run(metadata={"generation": 5}, status={"observedGeneration": 4}).outdated


@reconciling
async def test_a_deleted_run_that_a_finalizer_holds_follows_its_pod(world: World) -> None:
    world.add("a", {"retries": 3})
    await world.look("a")
    delete(world, "a")
    pod_ends(world, "a-1", "Failed", exitCode=1)
    await world.look("a")
    assert world.status("a")["state"] == "Crashed"
    assert list(world.api.pods) == ["a-1"]


@reconciling
async def test_a_deleted_run_starts_nothing(world: World) -> None:
    world.add("a")
    delete(world, "a")
    await world.look("a")
    assert (world.status("a")["state"], world.status("a")["reason"]) == ("Cancelled", "Cancelled")
    await world.look("a")
    assert world.api.pods == {}
    assert world.api.calls == ["status a"]


@reconciling
async def test_no_attempt_follows_when_the_garbage_collector_takes_the_pod_of_a_deleted_run(world: World) -> None:
    world.add("a", {"maxDisruptions": 5})
    await world.look("a")
    await world.look("a")
    delete(world, "a")
    world.cluster.forget_pod(world.api.pods.pop("a-1"))
    await world.look("a")
    assert world.status("a")["reason"] == "PodDeleted"
    assert world.status("a")["attemptsTotal"] == 1


def test_pods_are_watched_by_a_label_that_only_podtask_writes() -> None:
    assert client.OURS == {"labelSelector": LABEL_TASK_RUN}
    assert not LABEL_TASK_RUN.startswith(LABEL_MANAGED_BY.split("/")[0])


@reconciling
async def test_the_end_of_a_pod_that_lost_its_label_is_seen_within_seconds(world: World) -> None:
    delays: list[float] = []
    world.reconciler.queue.add_after = lambda _, seconds: delays.append(seconds)  # type: ignore[method-assign]
    world.add("a")
    await world.look("a")
    await world.look("a")
    pod = world.api.pods["a-1"]
    world.cluster.forget_pod(pod)  # the watch: as far as its selector goes, the pod is gone
    pod["metadata"]["labels"] = {}
    delays.clear()
    await world.look("a")
    assert min(delays) <= 6
    assert world.status("a")["attemptsTotal"] == 1
    statuses = [{"name": "task", "state": {"terminated": {"exitCode": 1, "startedAt": "2026-01-02T04:00:00Z"}}}]
    world.api.touch_pod("a-1", {"phase": "Failed", "containerStatuses": statuses})
    await world.look("a")
    assert world.status("a")["state"] == "Crashed"


NEVER_RAN = {
    "no start": {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None},
    "the start of the epoch": {"exitCode": 128, "reason": "StartError", "startedAt": "1970-01-01T00:00:00Z"},
    "a start that is no time": {"exitCode": 137, "startedAt": 3},
}


@pytest.mark.parametrize("case", NEVER_RAN)
def test_a_container_that_never_ran_has_no_exit_code(case: str) -> None:
    """137 reads like out of memory."""
    assert podstatus.read(pod_object(state={"terminated": NEVER_RAN[case]})).exit_code is None


def test_a_container_that_ran_has_its_exit_code() -> None:
    ran = {"exitCode": 137, "startedAt": "2026-01-02T04:00:00Z"}
    assert podstatus.read(pod_object(state={"terminated": ran})).exit_code == 137


TERMINATING = 'events "x" is forbidden: unable to create new content in namespace team because it is being terminated'
LEVELS = {
    "a namespace that goes": (ApiError(403, "Forbidden", TERMINATING), logging.DEBUG),
    "a namespace that is gone": (ApiError(404, "NotFound", 'namespaces "team" not found'), logging.DEBUG),
    "no right": (ApiError(403, "Forbidden", "events is forbidden: User x cannot create"), logging.WARNING),
    "no answer": (ApiUnavailable("POST: 503"), logging.WARNING),
}


@pytest.mark.parametrize("case", LEVELS)
def test_an_event_that_nobody_can_read_any_more_is_no_warning(case: str) -> None:
    error, level = LEVELS[case]
    assert _level(error) == level
