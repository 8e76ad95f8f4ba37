"""What a start, or a namespace whose owner changed, looks at first: whoever waits, before all that have ended."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.builders import run_object
from tests.unit.operator.ownership.test_keeper import Leases

from podtask_operator.process.wiring import OperatorParts
from podtask_operator.settings import Settings
from podtask_operator.task_runs.key import Key

ENDED = {"state": "Completed", "reason": "Completed", "finishedAt": "2026-01-01T00:00:00Z"}
WAITS = Key("team", "waits")


def operator(ended: int) -> OperatorParts:
    """One that knows so many TaskRuns that have ended, and one that waits."""
    api: Any = Leases()
    api.fence = lambda: True
    parts = OperatorParts(Settings(store="s3://bucket/prefix", endpoint_url="http://127.0.0.1:1"), api)
    for number in range(ended):
        name = f"ended-{number}"
        parts.cluster.put_run(run_object(name=name, status=ENDED, metadata={"uid": f"uid-{name}"}))
    parts.cluster.put_run(run_object(name=WAITS.name, metadata={"uid": "uid-waits"}))
    return parts


def test_what_waits_does_not_stand_behind_all_that_have_ended() -> None:
    async def test() -> None:
        parts = operator(500)
        await parts.owner.take({"team"})
        assert parts.queue.depth == 1
        assert WAITS in parts.queue.line
        assert len(parts.cluster.finished()) == 500

    asyncio.run(test())


def test_a_namespace_that_this_process_takes_over_later_is_looked_at_whole() -> None:
    async def test() -> None:
        parts = operator(500)
        parts.liveness.filled = True
        await parts.owner.take({"team"})
        await asyncio.sleep(0)
        assert parts.queue.line.take(lambda _: False) == WAITS
        for _ in range(20):
            if parts.queue.depth >= 50:
                break
            await asyncio.sleep(0)
        assert 50 <= parts.queue.depth < 500

    asyncio.run(test())
