"""`/healthz`: alive means that the event loop turns and that the watches are up.

An HTTP 200 alone would say nothing: a process whose watches died answers probes for ever. A watch that is up
and silent is kopf's own care: it reconnects when not even bookmarks come (`watching.inactivity_timeout`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from podtask_operator.mirror import Mirror
from podtask_operator.queue import WorkQueue

LAG_LIMIT = 15.0
"""Seconds the loop may be behind before the process counts as stuck."""
DOWN_LIMIT = 120.0
"""Seconds without watches before a restart of the process is worth a try."""
LASTING = 20.0
"""Seconds after which watches that are up count as up."""
TICK = 1.0


@dataclass
class Pulse:
    """How far the loop is behind, and since when there are no watches."""

    lag: float = 0.0
    clock: Callable[[], float] = time.monotonic
    _down_since: float | None = None
    _up_since: float | None = None

    def watching(self, *, up: bool) -> None:
        """The watches came up, or went down."""
        down = self.down
        now = self.clock()
        self._up_since = now if up else None
        self._down_since = now - down if down or not up else None

    @property
    def down(self) -> float:
        """Seconds since there were watches that lasted: those that fail again and again at once are none."""
        now = self.clock()
        lasted = self._up_since is not None and now - self._up_since >= LASTING
        return 0.0 if self._down_since is None or lasted else now - self._down_since

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
