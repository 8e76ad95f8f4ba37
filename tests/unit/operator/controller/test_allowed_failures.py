"""`allowFailure` in the operator: the run starts, is not cached, and its grants say what its upstream failed with."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.support.builders import DIGEST
from tests.support.operator_world import World, reconciling

from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.needs import FEW
from podtask_runner import protocol

FAILED = {
    "state": "Failed",
    "message": "ValueError: boom",
    "attemptsTotal": 2,
    "finishedAt": "2026-01-02T03:30:00Z",
    "error": {"type": "ValueError", "message": "boom", "digest": DIGEST, "size": 9, "attempt": 2},
}
CANCELLED = {"state": "Cancelled", "message": "Cancelled by spec.cancel.", "finishedAt": "2026-01-02T03:30:00Z"}
NEEDS = {"upstream": [{"taskRun": "up", "parameter": "x", "allowFailure": True}]}
ORDER = {"waitFor": [{"taskRun": "up", "allowFailure": True}]}


def granted(world: World, name: str) -> protocol.Grants:
    """What the first attempt of a run may know."""
    (secret,) = [one for one in world.api.secrets.values() if name in one["metadata"]["name"]]
    (data,) = secret["data"].values()
    return protocol.load_grants(base64.b64decode(data))


@reconciling
async def test_the_grants_name_the_stored_exception_and_the_words(world: World) -> None:
    world.add("up", status=FAILED)
    world.add("hello", NEEDS)
    await world.look("hello")
    (found,) = world.status("hello")["inputs"]
    assert (found["failedAs"], found["digest"]) == ("Failed", DIGEST)
    assert "failedUpstream" not in world.status("hello")
    grants = granted(world, "hello")
    (entry,) = grants.upstream
    assert entry.failure == protocol.Failure("Failed", "Upstream task run 'up' failed: ValueError: boom")
    assert (entry.blob.digest, entry.blob.size, entry.parameter) == (DIGEST, 9, "x")
    assert entry.blob.url is not None
    assert entry.blob.url.endswith("/2/error")
    assert grants.v == 3, "an older runner would give the task something else"


@reconciling
async def test_an_end_without_an_exception_gives_the_words_alone(world: World) -> None:
    world.add("up", status=CANCELLED)
    world.add("hello", NEEDS)
    await world.look("hello")
    (entry,) = granted(world, "hello").upstream
    assert entry.failure == protocol.Failure(
        "Cancelled", "Upstream task run 'up' was cancelled: Cancelled by spec.cancel."
    )
    assert entry.blob == protocol.NOTHING


@reconciling
async def test_an_upstream_that_completed_is_as_without_it(world: World) -> None:
    result = {"digest": DIGEST, "size": 2, "serializer": "json", "attempt": 1}
    done = {"state": "Completed", "attemptsTotal": 1, "finishedAt": "2026-01-02T03:30:00Z", "result": result}
    world.add("up", status=done)
    world.add("hello", {**NEEDS, "cache": {}})
    await world.look("hello")
    grants = granted(world, "hello")
    assert (grants.upstream[0].failure, grants.v) == (None, 1)
    assert world.status("hello")["cache"]["outcome"] == "Miss"


@pytest.mark.parametrize("needs", [NEEDS, ORDER])
@pytest.mark.parametrize("cache", [{}, {"key": "own"}])
def test_a_run_whose_upstream_failed_is_not_cached(needs: dict[str, Any], cache: dict[str, Any]) -> None:
    @reconciling
    async def test(world: World) -> None:
        world.add("up", status=FAILED)
        world.add("hello", {**needs, "cache": cache})
        await world.look("hello")
        said = world.status("hello")["cache"]
        assert said == {
            "outcome": "Off",
            "missReason": "Upstream task run 'up' is Failed; a run whose upstream failed is not cached.",
        }

    test()


@pytest.mark.parametrize(
    "also", [{"waitFor": [{"taskRun": "up"}]}, {"upstream": [*NEEDS["upstream"], {"taskRun": "up", "parameter": "y"}]}]
)
def test_named_once_without_allow_failure_it_must_complete(also: dict[str, Any]) -> None:
    @reconciling
    async def test(world: World) -> None:
        world.add("up", status=FAILED)
        world.add("hello", {**NEEDS, **also})
        await world.look("hello")
        assert (world.status("hello")["state"], world.status("hello")["failedUpstream"]) == ("NotReady", "up")

    test()


@reconciling
async def test_its_retry_uses_what_was_recorded_though_the_upstream_is_gone(world: World) -> None:
    world.add("up", status=FAILED)
    world.add("hello", {**NEEDS, "retries": 1})
    await world.look("hello")
    before = granted(world, "hello").upstream
    failed_once = {**world.status("hello")["attempts"][0], "outcome": "Failed", "finishedAt": "2026-01-02T03:50:00Z"}
    due = {"state": "AwaitingRetry", "retriesUsed": 1, "nextAttemptAt": "2026-01-02T03:55:00Z"}
    world.api.runs["hello"]["status"] |= {**due, "attempts": [failed_once]}
    del world.api.runs["up"]
    world.api.secrets.clear()
    world.restart()
    await world.look("hello")
    assert world.status("hello")["attemptsTotal"] == 2
    assert granted(world, "hello").upstream == before


def test_a_fan_in_of_failures_is_looked_at_when_the_last_of_them_has_ended() -> None:
    world, many = World(), FEW + 5
    names = [f"up{number}" for number in range(many)]
    for name in names:
        world.add(name)
    world.add("hello", {"waitFor": [{"taskRun": name, "allowFailure": True} for name in [*names, "last"]]})
    world.add("last")
    cluster: ClusterCache = world.cluster
    for name in names:
        cluster.put_run({**world.api.add(name, status=CANCELLED)})
    result = {"digest": DIGEST, "size": 2, "serializer": "json", "attempt": 1}
    world.add("last", status={"state": "Completed", "finishedAt": "2026-01-02T03:30:00Z", "result": result})
    assert Key("team", "hello") in cluster.concerned(Key("team", "last"))
