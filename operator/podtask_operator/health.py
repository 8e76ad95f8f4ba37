"""`/healthz`: alive means that the event loop turns and that the watches are up.

An HTTP 200 alone would say nothing: a process whose watches died answers probes for ever. A watch that is up
and silent is kopf's own care: it reconnects when not even bookmarks come (`watching.inactivity_timeout`).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from aiohttp import web

from podtask_operator.mirror import Mirror
from podtask_operator.queue import WorkQueue

LAG_LIMIT = 15.0
"""Seconds the loop may be behind before the process counts as stuck."""
DOWN_LIMIT = 120.0
"""Seconds without watches before a restart of the process is worth a try."""
TICK = 1.0


@dataclass
class Pulse:
    """How far the loop is behind, and since when there are no watches."""

    lag: float = 0.0
    down_since: float | None = None

    def watching(self, *, up: bool) -> None:
        """The watches came up, or went down."""
        self.down_since = None if up else time.monotonic()

    @property
    def down(self) -> float:
        """Seconds without watches."""
        return 0.0 if self.down_since is None else time.monotonic() - self.down_since

    @property
    def alive(self) -> bool:
        """False when a restart is the cure."""
        return self.lag < LAG_LIMIT and self.down < DOWN_LIMIT

    async def run(self) -> None:
        """Measure the loop's lag until cancelled."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK)
            self.lag = time.monotonic() - before - TICK


async def serve(port: int, pulse: Pulse, queue: WorkQueue, mirror: Mirror) -> None:
    """Answer probes until cancelled."""

    async def healthz(_: web.Request) -> web.Response:
        report = {
            "watchesDownSeconds": round(pulse.down, 1),
            "loopLagSeconds": round(pulse.lag, 3),
            "queueDepth": queue.depth,
            "taskRuns": len(mirror.runs),
            "malformed": sorted(map(str, mirror.malformed))[:20],
        }
        return web.json_response(report, status=200 if pulse.alive else 503)

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz)])
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, None, port).start()
        await pulse.run()
    finally:
        await runner.cleanup()
