"""The watches' events, and nothing else: each handler takes the object in and names the TaskRun to look at.

No branch on create, update or delete beyond "gone"; no finalizers, no annotations: both kopf storages are no-ops.
Before: `kopf_source` (the thread kopf lives in) for TaskRuns, `pod_watch` for pods. Next: `work_queue`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import kopf

from podtask.core.api.names import FLOW_RUN_PLURAL, GROUP, PLURAL, VERSION, WARM_POOL_PLURAL
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.flow_run_keeper import changed
from podtask_operator.kube.session import ONE
from podtask_operator.task_runs.key import Key

log = logging.getLogger(__name__)

ADDED = "ADDED"
DELETED = "DELETED"

REOPEN = 120
"""Seconds after which the server ends a watch, and it is opened anew: a sign of life also where nothing happens."""

WATCH_BACKOFFS = (0.5, 1, 1, 2, *[3] * 20)
"""Seconds between tries to reach the API server; after the last one kopf ends, and `supervise` starts it again."""

WORKER_IDLE = 0.1
"""Seconds that kopf keeps a worker, and the last event with it, for an object of which nothing more comes."""

Event = dict[str, Any]


class Intake:
    """Takes events into the informer cache; `wake` puts a key on the queue. Runs in the operator's own loop."""

    def __init__(
        self, cluster: ClusterCache, wake: Callable[[Key], None], wake_flow_run: Callable[[Key], None] = lambda _: None
    ) -> None:
        self._cluster = cluster
        self._wake = wake
        self._wake_flow_run = wake_flow_run

    def task_run(self, event: Event) -> None:
        """A TaskRun was added, changed or deleted."""
        try:
            self._task_run(event["type"], event["object"])
        except Exception:  # one poison object must never stop the others
            log.exception("an event of a TaskRun could not be read")

    def flow_run(self, event: Event) -> None:
        """A FlowRun was added, changed or deleted. A heartbeat alone wakes nothing."""
        try:
            obj = event["object"]
            key, flow_runs = Key(obj["metadata"]["namespace"], obj["metadata"]["name"]), self._cluster.flow_runs
            if event["type"] == DELETED:
                woken = flow_runs.forget(key, obj["metadata"]["uid"])
            else:
                before, woken = flow_runs.put(obj)
                if before is None or changed(before, flow_runs.get(key)):
                    self._wake_flow_run(key)
            for each in woken:
                self._wake(each)
        except Exception:
            log.exception("an event of a FlowRun could not be read")

    def warm_pool(self, event: Event) -> None:
        """A WarmPool was added, changed or deleted."""
        try:
            obj = event["object"]
            key = Key(obj["metadata"]["namespace"], obj["metadata"]["name"])
            if event["type"] == DELETED:
                self._cluster.stock.forget_pool(key, obj["metadata"]["uid"])
            else:
                self._cluster.stock.put_pool(obj)
        except Exception:
            log.exception("an event of a WarmPool could not be read")

    def pod(self, event: Event) -> None:
        """A pod of podtask was added, changed or deleted."""
        try:
            take = self._cluster.forget_pod if event["type"] == DELETED else self._cluster.put_pod
            key = take(event["object"])
            if key is not None:
                self._wake(key)
        except Exception:
            log.exception("an event of a pod could not be read")

    def _task_run(self, kind: str | None, obj: Any) -> None:
        key = Key(obj["metadata"]["namespace"], obj["metadata"]["name"])
        if kind == DELETED:
            for other in (key, *self._cluster.forget_run(key, obj["metadata"]["uid"])):
                self._wake(other)
        elif self._cluster.put_run(obj) is not None:
            self._wake(key)


class NoProgress(kopf.ProgressStorage):
    """kopf keeps nothing on our objects."""

    def fetch(self, **_: Any) -> None:
        """Nothing was kept."""

    def store(self, **_: Any) -> None:
        """Keep nothing."""

    def purge(self, **_: Any) -> None:
        """Nothing to remove."""

    def touch(self, **_: Any) -> None:
        """Nothing to wake by."""

    def clear(self, *, essence: Any) -> Any:
        """The essence is empty already."""
        return essence


class NoDiffBase(kopf.DiffBaseStorage):
    """kopf compares nothing; `build` would copy every object twice for that."""

    def build(self, **_: Any) -> Any:
        """No essence, no diff."""
        return {}

    def fetch(self, **_: Any) -> None:
        """Nothing was kept."""

    def store(self, **_: Any) -> None:
        """Keep nothing."""


def registry(
    task_run: Callable[[Event], None],
    flow_run: Callable[[Event], None] | None = None,
    warm_pool: Callable[[Event], None] | None = None,
) -> kopf.OperatorRegistry:
    """The watch of TaskRuns, and of FlowRuns and WarmPools where the cluster knows them, with whom to tell."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers)
    async def on_task_run(event: Any, **_: Any) -> None:
        task_run(event)

    if flow_run is not None:

        @kopf.on.event(GROUP, VERSION, FLOW_RUN_PLURAL, registry=handlers)
        async def on_flow_run(event: Any, **_: Any) -> None:
            flow_run(event)

    if warm_pool is not None:

        @kopf.on.event(GROUP, VERSION, WARM_POOL_PLURAL, registry=handlers)
        async def on_warm_pool(event: Any, **_: Any) -> None:
            warm_pool(event)

    return handlers


def kopf_settings() -> kopf.OperatorSettings:
    """kopf as an event source: no posting, no storages."""
    ours = kopf.OperatorSettings()
    ours.posting.enabled = False
    ours.persistence.progress_storage = NoProgress()
    ours.persistence.diffbase_storage = NoDiffBase()
    ours.watching.chunk_size = ONE
    ours.watching.server_timeout = REOPEN
    ours.queueing.idle_timeout = WORKER_IDLE
    ours.scanning.disabled = True
    ours.networking.request_timeout = 60
    # kopf's own pauses grow to half a minute, in which the operator would be deaf to an API server that is back.
    ours.networking.error_backoffs = WATCH_BACKOFFS
    return ours
