"""`/healthz`: alive means that the event loop turns and that the watches were heard of lately.

An HTTP 200 alone would say nothing: a process whose watch died silently answers probes for ever.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from aiohttp import web

from podtask_operator.mirror import Mirror
from podtask_operator.queue import WorkQueue

LAG_LIMIT = 15.0
"""Seconds the loop may be behind before the process counts as stuck."""
TICK = 1.0


@dataclass
class Pulse:
    """When the watches were last heard of, and how far the loop is behind."""

    heard: float = field(default_factory=time.monotonic)
    lag: float = 0.0
    worst_lag: float = 0.0

    def beat(self) -> None:
        """A watch event came."""
        self.heard = time.monotonic()

    async def run(self) -> None:
        """Measure the loop's lag until cancelled."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK)
            self.lag = time.monotonic() - before - TICK
            self.worst_lag = max(self.worst_lag, self.lag)


async def serve(port: int, pulse: Pulse, queue: WorkQueue, mirror: Mirror) -> None:
    """Answer probes until cancelled."""

    async def healthz(_: web.Request) -> web.Response:
        report = {
            "watchAgeSeconds": round(time.monotonic() - pulse.heard, 1),
            "loopLagSeconds": round(pulse.lag, 3),
            "queueDepth": queue.depth,
            "taskRuns": len(mirror.runs),
            "malformed": sorted(map(str, mirror.malformed))[:20],
        }
        return web.json_response(report, status=503 if pulse.lag > LAG_LIMIT else 200)

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz)])
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, None, port).start()
        await pulse.run()
    finally:
        await runner.cleanup()
