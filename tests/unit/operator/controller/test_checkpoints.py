"""Checkpoints as the operator sees them: places in the bucket that it grants, and clears when the run has completed."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import SETTINGS
from tests.support.operator_world import CACHED, World, reconciling
from tests.unit.operator.controller.test_applier import completes, shown

from podtask.core.storage import StoreUnavailable
from podtask.core.storage.layout import secret_name
from podtask_operator.controller.work_queue import Later
from podtask_runner import protocol
from podtask_runner.protocol import Checkpoints, Outcome, Result, Verdict, dump_outcome

ASKED = {"checkpoints": True, "maxDisruptions": 10}
AT = "prefix/team/runs/uid-hello/checkpoints/"
DELAY = timedelta(seconds=61)
"""More than the longest one before an attempt after a disruption."""


def granted(world: World, attempt: int) -> protocol.Grants:
    data = world.api.secrets[secret_name("hello", "uid-hello")]["data"][f"{attempt}.json"]
    return protocol.load_grants(base64.b64decode(data))


def checkpoints(world: World, attempt: int) -> Checkpoints:
    found = granted(world, attempt).checkpoints
    assert found is not None
    return found


async def evicted(world: World, attempt: int) -> None:
    world.cluster.put_pod(world.api.touch_pod(f"hello-{attempt}", {"phase": "Failed", "reason": "Evicted"}))
    await world.look("hello")
    world.now += DELAY
    await world.look("hello")


def complete(world: World, attempt: int) -> None:
    data = b"1"
    world.store.put(f"prefix/team/runs/uid-hello/{attempt}/result", data)
    outcome = Outcome(Verdict.COMPLETED, Result(hashlib.sha256(data).hexdigest(), len(data), "json"))
    ended = {"exitCode": 0, "message": dump_outcome(outcome).decode(), "startedAt": "2026-01-02T03:59:00Z"}
    shown(world, f"hello-{attempt}", "Succeeded", {"terminated": ended})


def saves(world: World, attempt: int, *slots: int) -> None:
    for slot in slots:
        world.store.put(f"{AT}{attempt}/{slot}", b"of the task's own")


def left(world: World) -> list[str]:
    return [info.key.removeprefix(AT) for info in world.store.list(AT)]


@reconciling
async def test_the_first_attempt_may_save_and_has_nothing_to_load(world: World) -> None:
    world.add("hello", ASKED)
    await world.look("hello")
    found = checkpoints(world, 1)
    assert [slot.put.url for slot in found.slots] == [f"http://store/{AT}1/0", f"http://store/{AT}1/1"]
    assert [slot.put.headers for slot in found.slots] == [{}, {}], "they are written again and again"
    assert granted(world, 1).result.put.headers == {"If-None-Match": "*"}, "and nothing else is"
    assert found.earlier == ()
    assert left(world) == [], "there is nothing to load, so nothing is asked for"


@reconciling
async def test_the_next_attempt_may_load_what_the_last_one_saved(world: World) -> None:
    world.add("hello", ASKED)
    await world.look("hello")
    saves(world, 1, 0, 1)
    await evicted(world, 1)
    found = checkpoints(world, 2)
    assert [(one.attempt, one.slot, one.get) for one in found.earlier] == [
        (1, 1, f"http://store/{AT}1/1"),
        (1, 0, f"http://store/{AT}1/0"),
    ]
    assert [slot.put.url for slot in found.slots] == [f"http://store/{AT}2/0", f"http://store/{AT}2/1"]


@reconciling
async def test_attempts_that_saved_nothing_hide_none_that_did(world: World) -> None:
    world.add("hello", ASKED)
    await world.look("hello")
    saves(world, 1, 1)
    for attempt in range(1, 6):
        await evicted(world, attempt)
    assert [(one.attempt, one.slot) for one in checkpoints(world, 6).earlier] == [(1, 1)]


@reconciling
async def test_only_the_newest_are_granted_however_many_there_are(world: World) -> None:
    world.add("hello", ASKED)
    await world.look("hello")
    for attempt in range(1, 6):
        saves(world, attempt, 0, 1)
        await evicted(world, attempt)
    assert [(one.attempt, one.slot) for one in checkpoints(world, 6).earlier] == [(5, 1), (5, 0), (4, 1), (4, 0)]


@reconciling
async def test_a_bucket_that_is_away_postpones_the_attempt_that_would_have_to_start_anew(world: World) -> None:
    world.add("hello", ASKED)
    await world.look("hello")
    saves(world, 1, 1)
    look_in, world.store.list = world.store.list, away  # type: ignore[method-assign]
    with pytest.raises(Later, match="away"):
        await evicted(world, 1)
    assert "hello-2" not in world.api.pods
    world.store.list = look_in  # type: ignore[method-assign]
    world.objects._calls._failures = 0  # its breaker waits by the process's clock
    await world.look("hello")
    assert "hello-2" in world.api.pods
    assert len(checkpoints(world, 2).earlier) == 1
    assert world.status("hello")["attemptsTotal"] == 2


@reconciling
async def test_who_asks_for_none_has_the_grants_of_ever_and_costs_no_request(world: World) -> None:
    asked: list[str] = []
    world.store.fault = lambda verb, key, _: asked.append(key) if "checkpoints" in key else None
    world.add("hello", {"maxDisruptions": 10})
    await world.look("hello")
    await evicted(world, 1)
    assert granted(world, 2).checkpoints is None
    complete(world, 2)
    await world.look("hello")
    assert world.status("hello")["state"] == "Completed"
    assert asked == []


@reconciling
async def test_what_a_completed_run_saved_is_removed_at_once(world: World) -> None:
    world.add("hello", ASKED)
    await world.look("hello")
    saves(world, 1, 0, 1)
    await evicted(world, 1)
    saves(world, 2, 1)
    complete(world, 2)
    await world.look("hello")
    assert world.status("hello")["state"] == "Completed"
    assert left(world) == []
    assert world.store.head("prefix/team/runs/uid-hello/2/result") is not None


@reconciling
async def test_what_a_failed_run_saved_stays_as_long_as_its_other_objects(world: World) -> None:
    world.add("hello", {"checkpoints": True, "maxDisruptions": 0})
    await world.look("hello")
    saves(world, 1, 0)
    world.cluster.put_pod(world.api.touch_pod("hello-1", {"phase": "Failed", "reason": "Evicted"}))
    await world.look("hello")
    assert world.status("hello")["state"] == "Crashed"
    assert left(world) == ["1/0"]


@pytest.mark.parametrize("verb", ["list", "delete"])
def test_a_run_completes_although_its_checkpoints_cannot_be_removed(verb: str) -> None:
    @reconciling
    async def test(world: World) -> None:
        world.add("hello", ASKED)
        await world.look("hello")
        saves(world, 1, 0)
        completes(world, "hello")
        setattr(world.store, verb, away)
        await world.look("hello")
        assert world.status("hello")["state"] == "Completed"

    test()


@reconciling
async def test_renewed_grants_allow_the_same(world: World) -> None:
    world.add("hello", {**ASKED, "timeoutSeconds": 604800})
    await world.look("hello")
    saves(world, 1, 0)
    await evicted(world, 1)
    before = checkpoints(world, 2)
    container = {"name": "task", "state": {"running": {"startedAt": "2026-01-02T04:00:00Z"}}}
    status = {"phase": "Running", "containerStatuses": [container]}
    world.cluster.put_pod(world.api.touch_pod("hello-2", status))
    await world.look("hello")
    writes = world.api.calls.count(f"secret {secret_name('hello', 'uid-hello')}")
    world.now += timedelta(seconds=SETTINGS.grant_seconds / 2)
    await world.look("hello")
    assert world.api.calls.count(f"secret {secret_name('hello', 'uid-hello')}") == writes + 1
    assert checkpoints(world, 2) == before


@reconciling
async def test_a_cached_run_gets_none(world: World) -> None:
    world.add("first", {**CACHED, "checkpoints": True})
    await world.look("first")
    completes(world, "first")
    await world.look("first")
    world.add("hello", {**CACHED, "checkpoints": True})
    await world.look("hello")
    assert world.status("hello")["state"] == "Cached"
    assert secret_name("hello", "uid-hello") not in world.api.secrets


@reconciling
async def test_no_name_in_the_bucket_leads_out_of_it(world: World) -> None:
    """A pod has URLs for its own two objects only; whoever has more rights than that names what he likes."""
    world.add("hello", ASKED)
    await world.look("hello")
    odd = ["1/2", "1/00", "01/0", "0/0", "-1/0", "1/x", "x/0", "1/0/0", "2/0", "99999999999/0", "1/..."]
    for name in odd:
        world.store.put(AT + name, b"")
    saves(world, 1, 1)
    await evicted(world, 1)
    assert [(one.attempt, one.slot) for one in checkpoints(world, 2).earlier] == [(1, 1)]


def away(*_: Any, **__: Any) -> Any:
    raise StoreUnavailable("away")
