"""Kubernetes Events: one per transition a person wants to see. Best effort; they never hold a run up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from podtask.core import clock
from podtask.core.api.names import API_VERSION, KIND
from podtask.core.lifecycle.rendering import Event
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable
from podtask_operator.task_runs.parse import TaskRun

log = logging.getLogger(__name__)

COMPONENT = "podtask-operator"
MESSAGE_LIMIT = 1024
"""Characters of an Event's message (Kubernetes API)."""
BACKLOG = 1000
POSTERS = 8
"""Events that are on their way at the same time: with one, 100 attempts in a second would be too many."""
DROPS_TOLD = 1000
"""So many dropped Events make one line in the log."""
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class EventRecorder:
    """Posts Events a few at a time, beside the reconciles; drops them when the API server is slow.

    In which order they arrive does not matter: their names have it.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._pending: asyncio.Queue[tuple[str, dict[str, object]]] = asyncio.Queue(BACKLOG)
        self._last = 0
        self._dropped = self._left = 0

    def tell(self, run: TaskRun, events: Iterable[Event]) -> None:
        """Queue the Events of one transition."""
        for event in events:
            now = clock.now()
            # Named as client-go does: an Event's times are whole seconds, the order within one is in the names alone.
            self._last = max(self._last + 1, (now - EPOCH) // timedelta(microseconds=1) * 1000)
            try:
                self._pending.put_nowait((run.namespace, body(run, event, f"{run.name}.{self._last:x}", now)))
                self._left += 1
            except asyncio.QueueFull:
                self._dropped += 1
                if self._dropped % DROPS_TOLD == 1:
                    log.warning("%d Events were dropped: the API server takes them too slowly", self._dropped)

    async def run(self) -> None:
        """Serve until cancelled."""
        await asyncio.gather(*(self._post() for _ in range(POSTERS)))

    async def _post(self) -> None:
        while True:
            namespace, event = await self._pending.get()
            try:
                await self._api.create_event(namespace, event)
            except (ApiError, ApiUnavailable) as error:
                log.log(_level(error), "an Event was not posted: %s", error)
            finally:
                self._left -= 1
                self._pending.task_done()

    async def flush(self, seconds: float) -> None:
        """Wait until all queued Events are posted, for `seconds` at most: the process must be able to end."""
        try:
            await asyncio.wait_for(self._pending.join(), seconds)
        except asyncio.TimeoutError:
            log.warning("%d Events were not posted before the end", self._left)


def _level(error: ApiError | ApiUnavailable) -> int:
    """The log level of a failure. A namespace that is being deleted takes no Events, which is no problem."""
    going = isinstance(error, ApiError) and (error.status == 404 or "is being terminated" in error.message)
    return logging.DEBUG if going else logging.WARNING


def body(run: TaskRun, event: Event, name: str, now: datetime) -> dict[str, object]:
    """The v1 Event as a dict."""
    when = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": run.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": run.name,
            "namespace": run.namespace,
            "uid": run.uid,
            "resourceVersion": run.resource_version,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:MESSAGE_LIMIT],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": when,
        "lastTimestamp": when,
        "count": 1,
    }
