"""Datagrams of runners that have stored their outcome: a hint to look before the kubelet tells of the pod's end.

A datagram proves nothing. It names an attempt; where that is the running one of a TaskRun that is held, the TaskRun is
looked at, which reads the object `outcome` once. At most one look per attempt and second follows, and so many in all;
what is more, unknown or unreadable is dropped. Sent by `podtask_runner.process.doorbell`; next: the work queue.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from podtask_operator.controller.cluster_cache import Mirror
from podtask_operator.runtime import metrics
from podtask_operator.task_runs.key import Key

log = logging.getLogger(__name__)

LONGEST: Final = 1024
"""Bytes of a datagram: names and a UID take 400 at most."""
PER_SECOND: Final = 1000
"""Looks that datagrams may cause in one second, whoever sends them."""
APART: Final = 1.0
"""Seconds between two looks at one attempt."""


class Doorbell(asyncio.DatagramProtocol):
    """Puts the named TaskRuns on the queue."""

    def __init__(self, mirror: Mirror, add: Callable[[Key], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._mirror, self._add, self._clock = mirror, add, clock
        self._second, self._looks = 0, 0

    async def serve(self, host: str, port: int, stop: asyncio.Event) -> None:
        """Listen until `stop`. Raises `OSError` where the port is taken."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        try:
            await stop.wait()
        finally:
            transport.close()

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ARG002 - who says it proves nothing
        """Look at the attempt, if there is one to look at."""
        attempt = _parsed(data)
        if attempt is None or not self._named(attempt):
            metrics.DOORBELL.labels("true").inc()
            return
        metrics.DOORBELL.labels("false").inc()

    def _named(self, attempt: tuple[Key, str, int, bool]) -> bool:
        """Whether it is the running attempt of a TaskRun that is held. One that has started needs no look."""
        key, uid, number, started = attempt
        run = self._mirror.runs.get(key)
        running = run.status.running if run is not None and run.uid == uid else None
        if running is None or running.number != number:
            return False
        expectations = self._mirror.expectations.of(key, uid)
        if started:
            expectations.started(number)
            return True
        if not expectations.ring(number, self._clock(), APART) or not self._within_bounds():
            return False
        self._add(key)
        return True

    def _within_bounds(self) -> bool:
        second = int(self._clock())
        self._looks = self._looks + 1 if second == self._second else 1
        self._second = second
        return self._looks <= PER_SECOND


def _parsed(data: bytes) -> tuple[Key, str, int, bool] | None:
    """The attempt that a datagram names, or None."""
    try:
        content = json.loads(data) if len(data) <= LONGEST else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    namespace, name, uid, number = (content.get(part) for part in ("ns", "run", "uid", "attempt"))
    if not (isinstance(namespace, str) and isinstance(name, str) and isinstance(uid, str) and type(number) is int):
        return None
    return Key(namespace, name), uid, number, content.get("started") is True
