"""A run that names its upstreams by UID takes no other run that has the name by now."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.support import operator_world
from tests.support.operator_world import World, reconciling

from podtask.core.lifecycle.rules import UPSTREAM_GRACE
from podtask_operator.controller.work_queue import Later
from podtask_runner import protocol

OTHER = "uid-of-another"
ENDED = {
    **operator_world.ENDED,
    "result": {"digest": "ab" * 32, "size": 3, "serializer": "json", "value": "[1]", "attempt": 1},
}
BY_UID = {"upstream": [{"taskRun": "up", "uid": "uid-up", "parameter": "x"}]}
INPUTS = {"digest": "cd" * 32, "size": 3}


def needing(kind: str, uid: str | None = "uid-up") -> dict[str, Any]:
    """A spec that needs `up` as upstream or in waitFor."""
    need = {"taskRun": "up", **({"uid": uid} if uid else {})}
    return {"upstream": [{**need, "parameter": "x"}]} if kind == "upstream" else {"waitFor": [need]}


@pytest.mark.parametrize("kind", ["upstream", "waitFor"])
def test_the_run_of_that_uid_is_taken(kind: str) -> None:
    @reconciling
    async def body(world: World) -> None:
        world.add("up", status=ENDED)
        world.add("hello", needing(kind))
        await world.look("hello")
        assert world.status("hello")["attemptsTotal"] == 1

    body()


@pytest.mark.parametrize("status", [ENDED, None, {"state": "Failed", "finishedAt": "2026-01-02T03:30:00Z"}])
@pytest.mark.parametrize("kind", ["upstream", "waitFor"])
def test_another_run_of_that_name_counts_as_gone(kind: str, status: dict[str, Any] | None) -> None:
    @reconciling
    async def body(world: World) -> None:
        world.add("up", status=status, uid=OTHER)
        world.add("hello", needing(kind))
        await world.look("hello")
        found = world.status("hello")
        assert (found["state"], found["reason"]) == ("Failed", "InvalidSpec")
        assert found["message"] == (
            "TaskRun 'up' has another UID than the one that is needed: it was deleted and made anew."
        )
        assert found["error"]["cure"].startswith("To use the new 'up', repeat this run (podtask retry)")
        assert world.api.pods == {}

    body()


@reconciling
async def test_without_a_uid_the_name_is_enough(world: World) -> None:
    world.add("up", status=ENDED, uid=OTHER)
    world.add("hello", needing("upstream", None))
    await world.look("hello")
    assert world.status("hello")["inputs"][0]["uid"] == OTHER


@reconciling
async def test_a_run_that_is_gone_and_not_made_anew_is_none(world: World) -> None:
    world.add("hello", BY_UID)
    await world.look("hello")
    assert world.status("hello")["message"] == "There is no TaskRun 'up' in this namespace."


@reconciling
async def test_a_watch_that_is_behind_ends_nothing(world: World) -> None:
    """The old run is still held here, and the one that is meant is there already; then the other way round."""
    world.add("up", status=ENDED, uid=OTHER)
    world.api.add("up", status=ENDED)  # no watch has shown it
    world.add("hello", BY_UID)
    with pytest.raises(Later):
        await world.look("hello")
    world.cluster.put_run(world.api.touch("up"))
    await world.look("hello")
    assert world.status("hello")["attemptsTotal"] == 1


@reconciling
async def test_a_new_run_that_no_watch_has_shown_is_told_as_such(world: World) -> None:
    world.api.add("up", uid=OTHER)
    world.add("hello", BY_UID)
    await world.look("hello")
    assert "it was deleted and made anew" in world.status("hello")["message"]


@reconciling
async def test_who_waits_hears_at_once_that_its_upstream_was_made_anew(world: World) -> None:
    world.add("up")
    world.add("hello", BY_UID)
    await world.look("hello")
    assert world.status("hello")["reason"] == "WaitingForUpstream"
    world.woken()
    world.add("up", uid=OTHER)  # one list after the other: nobody tells of the deletion
    await world.look("up")
    assert "hello" in world.woken()
    await world.look("hello")
    assert world.status("hello")["reason"] == "InvalidSpec"


@reconciling
async def test_a_young_run_waits_for_the_run_that_is_meant(world: World) -> None:
    world.add("up", uid=OTHER)
    made = world.api.add("hello", BY_UID)
    made["metadata"]["creationTimestamp"] = world.api.runs["hello"]["metadata"]["creationTimestamp"] = (
        f"{world.now:%Y-%m-%dT%H:%M:%SZ}"
    )
    world.cluster.put_run(made)
    world.api.asked.clear()
    await world.look("hello")
    assert "finishedAt" not in world.status("hello")
    assert "up" not in world.api.asked, "nothing ends now, so nobody is asked"
    world.now += UPSTREAM_GRACE
    await world.look("hello")
    assert world.status("hello")["reason"] == "InvalidSpec"


@reconciling
async def test_later_attempts_do_not_ask_who_has_the_name(world: World) -> None:
    world.add("up", status=ENDED)
    world.add("hello", {**BY_UID, "retries": 1})
    await world.look("hello")
    inputs = world.status("hello")["inputs"]
    failed = {"number": 1, "cause": "First", "outcome": "Failed", "finishedAt": "2026-01-02T03:59:00Z"}
    status = {**world.status("hello"), "attempts": [failed], "state": "AwaitingRetry", "retriesUsed": 1}
    world.api.runs["hello"]["status"] = {**status, "nextAttemptAt": "2026-01-02T03:59:01Z"}
    world.cluster.put_run(world.api.touch("hello"))
    world.add("up", uid=OTHER)
    await world.look("hello")
    assert (world.status("hello")["attemptsTotal"], world.status("hello")["inputs"]) == (2, inputs)


@pytest.mark.parametrize(
    ("upstream", "placeholder"),
    [
        ({"taskRun": "up"}, "up"),
        ({"taskRun": "up", "ref": "before"}, "before"),
        ({"taskRun": "up", "parameter": "x"}, None),
        ({"taskRun": "up", "parameter": "x", "ref": "before"}, "before"),
    ],
)
def test_the_runner_is_told_the_placeholder(upstream: dict[str, str], placeholder: str | None) -> None:
    @reconciling
    async def body(world: World) -> None:
        world.add("up", status=ENDED)
        world.add("hello", {"inputs": INPUTS, "upstream": [upstream]})
        await world.look("hello")
        (secret,) = world.api.secrets.values()
        (data,) = secret["data"].values()
        (entry,) = protocol.load_grants(base64.b64decode(data)).upstream
        assert (entry.ref, entry.parameter) == (placeholder, upstream.get("parameter"))

    body()
