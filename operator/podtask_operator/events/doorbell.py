"""Datagrams of runners that have stored their outcome: a hint to look before the kubelet tells of the pod's end.
And of those that wait: what came of a pool's `preload`, for people.

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
from dataclasses import dataclass
from typing import Any, Final

from podtask.core.api.warm_pool import PRELOAD_LIMIT
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.runtime import metrics
from podtask_operator.task_runs.key import Key
from podtask_operator.warm_pods.stock import Imports

log = logging.getLogger(__name__)

LONGEST: Final = 1024
"""Bytes of a datagram: names and a UID take 400 at most."""
PER_SECOND: Final = 1000
"""Looks that datagrams may cause in one second, whoever sends them."""
APART: Final = 1.0
"""Seconds between two looks at one attempt."""


@dataclass(frozen=True)
class Ring:
    """An attempt that has something to say: it has stored its outcome, or `started` in a pod that had waited."""

    key: Key
    uid: str
    attempt: int
    started: bool


class Doorbell(asyncio.DatagramProtocol):
    """Puts the named TaskRuns on the queue."""

    def __init__(
        self, cluster: ClusterCache, add: Callable[[Key], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster, self._add, self._clock = cluster, add, clock
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
        """Queue the TaskRun of the attempt that the datagram names."""
        content = _parsed(data)
        ring, imports = _ring(content), _imports(content)
        ours = self._named(ring) if ring is not None else imports is not None and self._imported(*imports)
        if not ours:
            metrics.DOORBELL.labels("true").inc()
            return
        metrics.DOORBELL.labels("false").inc()

    def _named(self, ring: Ring) -> bool:
        """Whether it is the running attempt of a TaskRun that is held. One that has started needs no look."""
        run = self._cluster.runs.get(ring.key)
        running = run.status.running if run is not None and run.uid == ring.uid else None
        if running is None or running.number != ring.attempt:
            return False
        expectations = self._cluster.expectations.of(ring.key, ring.uid)
        if ring.started:
            expectations.started(ring.attempt)
            return True
        if not expectations.ring(ring.attempt, self._clock(), APART) or not self._within_bounds():
            return False
        self._add(ring.key)
        return True

    def _imported(self, pod_uid: str, imports: Imports) -> bool:
        """Whether an idle pod of that UID is held; then its pool may be looked at."""
        stock = self._cluster.stock
        return stock.proof(pod_uid) is not None and self._within_bounds() and stock.heard(pod_uid, imports)

    def _within_bounds(self) -> bool:
        second = int(self._clock())
        self._looks = self._looks + 1 if second == self._second else 1
        self._second = second
        return self._looks <= PER_SECOND


def _parsed(data: bytes) -> dict[str, Any]:
    """The fields of a datagram, or nothing where it is not one of podtask's."""
    try:
        content = json.loads(data) if len(data) <= LONGEST else None
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _imports(content: dict[str, Any]) -> tuple[str, Imports] | None:
    """The pod's UID and the result of its imports, or None."""
    uid, failed, why = content.get("pod"), content.get("failed"), content.get("why")
    if not (isinstance(uid, str) and isinstance(failed, list) and isinstance(why, str)):
        return None
    numbers = sorted({number for number in failed if type(number) is int and 0 <= number < PRELOAD_LIMIT})
    return uid, Imports(tuple(numbers), why)


def _ring(content: dict[str, Any]) -> Ring | None:
    """The attempt that the datagram names, or None."""
    namespace, name, uid, number = (content.get(part) for part in ("ns", "run", "uid", "attempt"))
    if not (isinstance(namespace, str) and isinstance(name, str) and isinstance(uid, str) and type(number) is int):
        return None
    return Ring(Key(namespace, name), uid, number, started=content.get("started") is True)
