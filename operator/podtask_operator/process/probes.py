"""`/healthz`, `/readyz` and `/metrics`, over HTTP. What counts as alive: `podtask_operator.runtime.health`."""

from __future__ import annotations

import asyncio

from aiohttp import web

from podtask_operator.controller.cluster_cache import Mirror
from podtask_operator.controller.work_queue import WorkQueue
from podtask_operator.process.leader_election import Lease
from podtask_operator.runtime import metrics
from podtask_operator.runtime.health import Pulse
from podtask_operator.settings import HEALTH_PORT


class PortTaken(Exception):
    """The port of the probes cannot be listened on; the text names it and the setting."""


class Server:
    """Answers probes: `/healthz` (a restart is the cure, or not), `/readyz` (it serves, or why not); and scrapes."""

    def __init__(self, port: int, pulse: Pulse, queue: WorkQueue, mirror: Mirror, lease: Lease) -> None:
        self._port, self._pulse, self._queue, self._mirror, self._lease = port, pulse, queue, mirror, lease
        self._runner: web.AppRunner | None = None
        self._beat: asyncio.Task[None] | None = None
        runs = mirror.runs
        self._metrics = metrics.Live(self._gauges, lambda: (run.status.state for run in runs.values()))

    async def start(self) -> None:
        """Listen. Raises `PortTaken`."""
        app = web.Application()
        routes = {"/healthz": self._healthz, "/readyz": self._readyz, "/metrics": self._scraped}
        app.add_routes([web.get(path, handler) for path, handler in routes.items()])
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, None, self._port).start()
        except OSError as error:
            raise PortTaken(
                f"port {self._port} of the probes cannot be opened ({error.strerror}):"
                f" set {HEALTH_PORT}, in the chart operator.healthPort, to a free one"
            ) from error
        self._beat = asyncio.create_task(self._pulse.run())

    async def stop(self) -> None:
        """Close the port."""
        if self._beat is not None:
            self._beat.cancel()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response(self._report(), status=200 if self._pulse.alive else 503)

    async def _readyz(self, _: web.Request) -> web.Response:
        why = self._waiting()
        return web.json_response({"ready": not why, "waitingFor": why}, status=503 if why else 200)

    async def _scraped(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": metrics.CONTENT_TYPE})

    def _waiting(self) -> list[str]:
        """What is missing before this operator serves, in words; empty when it does."""
        pulse, lease = self._pulse, self._lease
        return [
            *([f"{lease}: {lease.waits_for}"] if lease.waits_for else []),
            *([] if pulse.filled else ["the first list of TaskRuns and pods"]),
            *([] if pulse.filled and not pulse.deaf and not pulse.down else ["the watches of TaskRuns and pods"]),
        ]

    def _gauges(self) -> dict[metrics.Metric, float]:
        return {
            metrics.QUEUE_DEPTH: self._queue.depth,
            metrics.PODS: len(self._mirror.pods),
            metrics.WARM_READY: self._mirror.stock.ready,
            metrics.MALFORMED: len(self._mirror.malformed),
            metrics.WATCH_AGE: self._pulse.age,
            metrics.LOOP_LAG: self._pulse.lag,
            metrics.HOLDS_LEASE: float(self._lease.valid()),
        }

    def _report(self) -> dict[str, object]:
        """Numbers only: every pod that reaches the port may read them, and names are a tenant's own."""
        return {
            "watchesDownSeconds": round(self._pulse.down, 1),
            "watchAgeSeconds": round(self._pulse.age, 1),
            "loopLagSeconds": round(self._pulse.lag, 3),
            "queueDepth": self._queue.depth,
            "taskRuns": len(self._mirror.runs),
            "malformed": len(self._mirror.malformed),
        }
