"""`/healthz`, `/readyz` and `/metrics`: alive means that the event loop turns and that the watches are heard of.

An HTTP 200 alone would say nothing: a process whose watches died answers probes for ever. Every watch is opened anew
by the server every two minutes (`intake.REOPEN`), and a silent one by kopf (`watching.inactivity_timeout`) or
`pod_watch`, so one that was not heard of for longer hangs: in its login, in a request, in a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from podtask_operator.runtime import metrics

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
class Liveness:
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
