"""The watch of our pods, in the operator's own loop: a list, then what happens after it, then again.

kopf watches the TaskRuns (`kopf_source`); for pods, which change most, it took twice the CPU time. Every failure is
answered by the same two steps: go on after the version seen last, and where the server no longer knows what came after
it (410) or says what nobody understands, list anew. `supervise` starts it again, health hears of it.
Before: `kube.client`. Next: `intake.Intake`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.events.intake import ADDED, DELETED, REOPEN, Event
from podtask_operator.kube.client import Api, ApiUnavailable
from podtask_operator.runtime.health import Watches
from podtask_operator.task_runs.key import Key

BOOKMARK: Final = "BOOKMARK"
"""An event without news, but with a newer version to go on from."""
AT_ONCE: Final = 1.0
"""A server that ends watches within so many seconds is about to go: asked again without a pause, it would be busy."""


class PodWatch:
    """The watch of pods in one namespace, or in all (None)."""

    def __init__(
        self,
        api: Api,
        cluster: ClusterCache,
        namespace: str | None,
        take: Callable[[Event], None],
    ) -> None:
        self._api, self._cluster, self._namespace, self._take = api, cluster, namespace, take
        self.sign = Watches()
        self._version = ""
        """Everything up to it was taken in; empty: nothing is known, so list."""

    def __str__(self) -> str:
        return f"the watch of pods in {self._namespace or 'all namespaces'}"

    async def list(self) -> None:
        """List all pods. Pods that the list does not have are removed from the informer cache."""
        held = self._cluster.pods
        unseen = held.versions(self._namespace)
        version = ""
        async for page in self._api.pod_pages(self._namespace):
            # Of all pages the same, but where the list went on at a later one (`client`): the earlier is gone by then.
            version = page["metadata"]["resourceVersion"]
            for pod in page.get("items") or ():
                self._take({"type": ADDED, "object": pod})
                unseen.pop(Key(pod["metadata"]["namespace"], pod["metadata"]["name"]), None)
        for key, before in unseen.items():
            if held.version(key) == before:
                self._take({"type": DELETED, "object": held[key]})
        self._version = version

    async def serve(self, stop: asyncio.Event) -> None:
        """Watch until something fails. Raises `ApiError` and `ApiUnavailable`."""
        loop = asyncio.get_running_loop()
        with self.sign.up(stop):
            while True:
                if not self._version:
                    await self.list()
                began = loop.time()
                try:
                    await self._follow()
                except ApiUnavailable:  # the connection broke: what came before counts
                    raise
                except Exception:  # refused, or not understood: the same question would have the same answer
                    self._version = ""
                    raise
                if loop.time() - began < AT_ONCE:
                    raise ApiUnavailable("the server ended it at once")

    async def _follow(self) -> None:
        """One watch, until the server ends it."""
        async with self._api.pod_events(self._namespace, self._version, REOPEN) as events:
            self.sign.heard(str(self))
            async for event in events:
                self.sign.heard(str(self))
                if event["type"] != BOOKMARK:
                    self._take(event)
                self._version = event["object"]["metadata"]["resourceVersion"]
