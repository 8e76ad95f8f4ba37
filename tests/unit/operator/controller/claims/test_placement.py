"""After a disruption an attempt may belong elsewhere: then no idle pod is its own, unless the pool's are there, too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.builders import SETTINGS
from tests.support.warm_world import WarmWorld, attempts

SPOT = {"pool": "spot"}
STEADY = {"pool": "steady"}
LAST = {"lastAttempt": {"nodeSelector": STEADY}}


def disrupted(pool: dict[str, str], **spec: Any) -> WarmWorld:
    """A run whose first attempt was evicted, and an idle pod of a pool on such nodes since; the operator died, too."""

    async def scenario() -> WarmWorld:
        world = WarmWorld(SETTINGS, 1, {"nodeSelector": pool})
        world.add("hello", {"nodeSelector": SPOT, **spec})
        await world.look("hello")
        name = "hello-1"
        target = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
        ended = {"terminated": {"exitCode": 137, "startedAt": "2026-01-02T03:59:30Z"}}
        status = {
            "phase": "Failed",
            "conditions": [target],
            "containerStatuses": [{"name": "task", "state": ended}],
        }
        world.api.touch_pod(name, status)
        world.api.pods[name]["spec"]["nodeName"] = "node-a"
        world.restart()
        await world.keep()
        await world.look("hello")
        assert [attempt.get("outcome") for attempt in attempts(world)] == ["Disruption", None]
        return world

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("pool", "spec", "claims"),
    [
        (SPOT, {}, True),
        (SPOT, {"onDisruption": {"avoidNode": True}}, False),
        (SPOT, {"maxDisruptions": 2, "onDisruption": LAST}, True),
        (SPOT, {"maxDisruptions": 1, "onDisruption": LAST}, False),
        (STEADY, {"maxDisruptions": 1, "onDisruption": LAST}, True),
        (STEADY, {"maxDisruptions": 2, "onDisruption": LAST}, False),
    ],
)
def test_the_second_attempt_takes_an_idle_pod_only_where_it_belongs(
    pool: dict[str, str], spec: dict[str, Any], claims: bool
) -> None:
    world = disrupted(pool, **spec)
    second = attempts(world)[1]
    assert ("claim" in second) is claims
    if claims:
        assert world.idle() == []
    else:
        built = world.api.pods["hello-2"]["spec"]
        avoided = "nodeAffinity" in built.get("affinity", {})
        assert avoided is bool(spec["onDisruption"].get("avoidNode"))
