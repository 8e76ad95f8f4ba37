"""kopf's events, and nothing else: each handler takes the object in and names the TaskRun to look at.

No branch on create, update or delete beyond "gone"; no finalizers, no annotations: both kopf storages are no-ops.
Next: `queue`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import kopf

from podtask.core.names import GROUP, LABEL_MANAGED_BY, MANAGED_BY, PLURAL, VERSION
from podtask_operator.mirror import Mirror
from podtask_operator.queue import Key
from podtask_operator.settings import Settings

DELETED = "DELETED"


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


def registry(mirror: Mirror, wake: Callable[[Key], None]) -> kopf.OperatorRegistry:
    """The two watches; `wake` puts a key on the queue."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**told: Any) -> Any:
        return kopf.login_with_service_account(**told) or kopf.login_with_kubeconfig(**told)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers)
    async def task_run(event: Any, **_: Any) -> None:
        obj = event["object"]
        key = Key(obj["metadata"]["namespace"], obj["metadata"]["name"])
        if event["type"] == DELETED:
            waiting = mirror.dependents(key)
            held = mirror.runs.get(key)
            if held is None or held.uid == obj["metadata"]["uid"]:
                mirror.forget_run(key)
            wake(key)
            for other in waiting:
                wake(other)
        elif mirror.put_run(obj) is not None:
            wake(key)

    @kopf.on.event("", "v1", "pods", labels={LABEL_MANAGED_BY: MANAGED_BY}, registry=handlers)
    async def pod(event: Any, **_: Any) -> None:
        take = mirror.forget_pod if event["type"] == DELETED else mirror.put_pod
        key = take(event["object"])
        if key is not None:
            wake(key)

    return handlers


def kopf_settings() -> kopf.OperatorSettings:
    """kopf as an event source: no posting, no storages, pods selected by the server."""
    ours = kopf.OperatorSettings()
    ours.posting.enabled = False
    ours.persistence.progress_storage = NoProgress()
    ours.persistence.diffbase_storage = NoDiffBase()
    ours.watching.label_selectors["pods"] = f"{LABEL_MANAGED_BY}={MANAGED_BY}"
    ours.watching.chunk_size = 500
    ours.scanning.disabled = True
    ours.networking.request_timeout = 60
    return ours


async def watch(settings: Settings, handlers: kopf.OperatorRegistry, stop: asyncio.Event) -> None:
    """Run kopf until it ends; the caller supervises (a watch error that is not a 410 ends it).

    While it runs, kopf takes SIGTERM and SIGINT for itself and returns on them: then everything stops.
    """
    await kopf.operator(
        registry=handlers,
        settings=kopf_settings(),
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=list(settings.namespaces),
        stop_flag=stop,
    )
    stop.set()
