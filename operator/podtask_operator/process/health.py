"""`/healthz`, `/readyz` and `/metrics`: alive means that the event loop turns and that the watches are heard of.

An HTTP 200 alone would say nothing: a process whose watches died answers probes for ever. Every watch is opened anew
by the server every two minutes (`handlers.REOPEN`), and a silent one by kopf (`watching.inactivity_timeout`) or
`podwatch`, so one that was not heard of for longer hangs: in its login, in a request, in a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from podtask_operator.controller.cluster_cache import Mirror
from podtask_operator.controller.work_queue import WorkQueue
from podtask_operator.process import metrics
from podtask_operator.process.leader_election import Lease
from podtask_operator.settings import HEALTH_PORT

LAG_LIMIT = 15.0
"""Seconds the loop may be behind before the process counts as stuck."""
DOWN_LIMIT = 120.0
"""Seconds without watches before a restart of the process is worth a try."""
AGE_LIMIT = 300.0
"""Seconds without a sign of a watch that is up."""
LASTING = 20.0
"""Seconds after which watches that are up count as up."""
TICK = 1.0


@dataclass
class Watches:
    """Those that start and end together: since when there are none, and when each was heard of last."""

    expected: int = 1
    """How many there are when all are up."""
    clock: Callable[[], float] = time.monotonic
    _heard: dict[str, float] = field(default_factory=dict)
    _down_since: float | None = None
    _up_since: float | None = None

    @contextmanager
    def up(self, stop: asyncio.Event) -> Iterator[None]:
        """While it lasts they are served; an end before `stop` is counted as a failure."""
        try:
            self.watching(up=True)
            yield
        finally:
            self.watching(up=False)
            if not stop.is_set():
                metrics.WATCHES_ENDED.inc()

    def watching(self, *, up: bool) -> None:
        """They were started, or ended."""
        down = self.down
        now = self.clock()
        self._heard = {}
        self._up_since = now if up else None
        self._down_since = now - down if down or not up else None

    def heard(self, watch: str) -> None:
        """The server accepted a watch or sent something by it. May be called by any thread."""
        self._heard[watch] = self.clock()

    @property
    def down(self) -> float:
        """Seconds since there were watches that lasted: those that fail again and again at once are none."""
        now = self.clock()
        lasted = self._up_since is not None and now - self._up_since >= LASTING
        return 0.0 if self._down_since is None or lasted else now - self._down_since

    @property
    def age(self) -> float:
        """Seconds since the watch that is silent longest was heard of; 0 where there is none to hear of."""
        if self._up_since is None:
            return 0.0
        known = list(self._heard.values())
        oldest = min(known) if len(known) >= self.expected and known else self._up_since
        return self.clock() - oldest

    @property
    def deaf(self) -> bool:
        """True until every watch was heard of since the last start."""
        return self._up_since is None or len(self._heard) < self.expected


@dataclass
class Pulse:
    """How far the loop is behind, and its watches."""

    watches: list[Watches] = field(default_factory=list)
    lag: float = 0.0
    filled: bool = False
    """The first list was taken in."""

    @property
    def down(self) -> float:
        """Seconds that one of the watches is down: see `Watches.down`."""
        return max((each.down for each in self.watches), default=0.0)

    @property
    def age(self) -> float:
        """Seconds since the watch that is silent longest was heard of."""
        return max((each.age for each in self.watches), default=0.0)

    @property
    def deaf(self) -> bool:
        """True until every watch was heard of."""
        return any(each.deaf for each in self.watches)

    @property
    def alive(self) -> bool:
        """False when a restart is the cure."""
        return self.lag < LAG_LIMIT and self.down < DOWN_LIMIT and self.age < AGE_LIMIT

    async def run(self) -> None:
        """Measure the loop's lag until cancelled."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK)
            self.lag = time.monotonic() - before - TICK


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
            metrics.MALFORMED: len(self._mirror.malformed),
            metrics.WATCH_AGE: self._pulse.age,
            metrics.LOOP_LAG: self._pulse.lag,
            metrics.HOLDS_LEASE: float(self._lease.valid()),
        }

    def _report(self) -> dict[str, object]:
        return {
            "watchesDownSeconds": round(self._pulse.down, 1),
            "watchAgeSeconds": round(self._pulse.age, 1),
            "loopLagSeconds": round(self._pulse.lag, 3),
            "queueDepth": self._queue.depth,
            "taskRuns": len(self._mirror.runs),
            "malformed": sorted(map(str, self._mirror.malformed))[:20],
        }
