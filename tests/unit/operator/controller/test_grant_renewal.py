"""When the grants of an attempt that runs are written anew."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from tests.support.builders import SETTINGS
from tests.support.operator_world import NOW, World, reconciling

from podtask_operator.task_runs.key import Key


@reconciling
async def test_grants_are_renewed_at_half_of_their_life(world: World) -> None:
    world.add("hello", {"timeoutSeconds": 604800})
    await world.look("hello")
    await running(world, "hello")
    assert world.api.calls.count("secret hello-uid-hell-grants") == 1
    world.now += timedelta(seconds=SETTINGS.grant_seconds / 2)
    await world.look("hello")
    await world.look("hello")
    assert world.api.calls.count("secret hello-uid-hell-grants") == 2


@reconciling
async def test_grants_are_renewed_before_the_credentials_that_signed_them_expire(world: World) -> None:
    """Those of workload identity live for an hour, and a URL dies with them, whatever it was asked for."""
    world.signer.expires = (NOW + timedelta(hours=1)).timestamp()
    world.add("hello", {"timeoutSeconds": 604800})
    await world.look("hello")
    world.now += timedelta(minutes=29)
    await running(world, "hello")
    assert world.api.calls.count("secret hello-uid-hell-grants") == 1
    assert 0 < world.reconciler.queue.due[Key("team", "hello")] - asyncio.get_running_loop().time() <= 60
    world.now += timedelta(minutes=1)
    await world.look("hello")
    await world.look("hello")
    assert world.api.calls.count("secret hello-uid-hell-grants") == 2
    assert world.now + timedelta(minutes=14) < renewal(world, "hello") <= world.now + timedelta(minutes=15)


@reconciling
async def test_grants_that_another_process_signed_with_credentials_that_expire_are_renewed_at_once(
    world: World,
) -> None:
    world.signer.expires = (NOW + timedelta(hours=1)).timestamp()
    world.add("hello", {"timeoutSeconds": 604800})
    await world.look("hello")
    world.restart()
    await running(world, "hello")
    await world.look("hello")
    assert world.api.calls.count("secret hello-uid-hell-grants") == 2


async def running(world: World, name: str) -> None:
    """The container of the run's first pod runs; the watch says so."""
    container = {"name": "task", "state": {"running": {"startedAt": "2026-01-02T04:00:00Z"}}}
    status = {"phase": "Running", "containerStatuses": [container]}
    world.cluster.put_pod(world.api.touch_pod(f"{name}-1", status))
    await world.look(name)


def renewal(world: World, name: str) -> datetime:
    moment = world.expected(name).renew_at
    assert moment is not None
    return moment
