"""`/healthz`, `/readyz` and `/metrics`, over HTTP. What counts as alive: `podtask_operator.runtime.health`."""

from __future__ import annotations

import asyncio

from aiohttp import web

from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.work_queue import WorkQueue
from podtask_operator.ownership.mark import Standing
from podtask_operator.process.leader_election import Lease
from podtask_operator.runtime import metrics
from podtask_operator.runtime.health import Liveness
from podtask_operator.settings import HEALTH_PORT


class PortTaken(Exception):
    """The port of the probes cannot be listened on; the text names it and the setting."""


class Server:
    """Answers probes: `/healthz` (a restart is the cure, or not), `/readyz` (it serves, or why not); and scrapes."""

    def __init__(self, port: int, liveness: Liveness, queue: WorkQueue, cluster: ClusterCache, lease: Lease) -> None:
        self._port, self._liveness, self._queue, self._cluster, self._lease = port, liveness, queue, cluster, lease
        self._runner: web.AppRunner | None = None
        self._beat: asyncio.Task[None] | None = None
        runs = cluster.runs
        self._metrics = metrics.LiveGauges(self._gauges, lambda: (run.status.state for run in runs.values()))

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
        self._beat = asyncio.create_task(self._liveness.run())

    async def stop(self) -> None:
        """Close the port."""
        if self._beat is not None:
            self._beat.cancel()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response(self._report(), status=200 if self._liveness.alive else 503)

    async def _readyz(self, request: web.Request) -> web.Response:
        """With `?standby=true` one that waits for the Lease of another is ready as well: ready to take over."""
        why = self._waiting()
        ready = not why or (self._lease.stands_by and request.query.get("standby") == "true")
        return web.json_response({"ready": ready, "waitingFor": why}, status=200 if ready else 503)

    async def _scraped(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": metrics.CONTENT_TYPE})

    def _waiting(self) -> list[str]:
        """What is missing before this operator serves, in words; empty when it does."""
        liveness, lease = self._liveness, self._lease
        return [
            *([f"{lease}: {lease.waits_for}"] if lease.waits_for else []),
            *([] if liveness.filled else ["the first list of TaskRuns and pods"]),
            *(
                []
                if liveness.filled and not liveness.deaf and not liveness.down
                else ["the watches of TaskRuns and pods"]
            ),
        ]

    def _gauges(self) -> dict[metrics.Metric, float]:
        return {
            metrics.QUEUE_DEPTH: self._queue.depth,
            metrics.PODS: len(self._cluster.pods),
            metrics.WARM_READY: self._cluster.stock.ready,
            metrics.MALFORMED: len(self._cluster.malformed),
            metrics.WATCH_AGE: self._liveness.age,
            metrics.LOOP_LAG: self._liveness.lag,
            metrics.HOLDS_LEASE: float(self._lease.valid()),
            metrics.LEFT_ALONE: self._cluster.served.count(Standing.OTHERS),
            metrics.UNMARKED: self._cluster.served.count(Standing.UNMARKED),
        }

    def _report(self) -> dict[str, object]:
        """Numbers only: every pod that reaches the port may read them, and names are a tenant's own."""
        return {
            "watchesDownSeconds": round(self._liveness.down, 1),
            "watchAgeSeconds": round(self._liveness.age, 1),
            "loopLagSeconds": round(self._liveness.lag, 3),
            "queueDepth": self._queue.depth,
            "taskRuns": len(self._cluster.runs),
            "malformed": len(self._cluster.malformed),
            "namespacesLeftAlone": self._cluster.served.count(Standing.OTHERS),
        }
