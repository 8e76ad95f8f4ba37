"""Lists, paged: the first fills the informer cache before any decision is made, later ones repair what watches missed.

A watch may lose deletions (an expired resourceVersion) and events (a cut connection); the list does not. What kopf
lists before it watches is not handed on (`kube.session`): a comparison follows each time and reads only what changed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from podtask_operator.controller.cluster_cache import ClusterCache, version_of
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable
from podtask_operator.kube.pages import FULL_PAGE
from podtask_operator.settings import Settings
from podtask_operator.task_runs.key import Key

log = logging.getLogger(__name__)

REST, REST_MOST = 9.0, 600.0
"""Times as long as a comparison took, until the next one, and seconds until then at most: with many objects comparisons
take a tenth of the API server's time."""
AGAIN = 3.0
"""Seconds until a comparison that failed is made again: what a watch did not tell of must not wait for the period."""
Wake = Callable[[Key], None]


def until_next(every: float, took: float) -> float:
    """Seconds from the end of a comparison to the next one, where nobody asks for it before."""
    return max(every, min(REST * took, REST_MOST))


class Resync:
    """Compares the API server's lists with the informer cache."""

    def __init__(self, api: Api, cluster: ClusterCache, settings: Settings) -> None:
        self._api = api
        self._cluster = cluster
        self._namespaces: tuple[str | None, ...] = settings.namespaces or (None,)
        self._every = settings.resync_seconds
        self._asked = asyncio.Event()

    def soon(self) -> None:
        """Compare without waiting for the period: a watch begins at a version whose objects nobody has told of."""
        self._asked.set()

    async def fill(self) -> None:
        """The first list: every TaskRun with all its fields. The pods come before, by `pod_watch`."""
        for namespace in self._namespaces:
            async for run in self._api.list_runs(namespace, page=FULL_PAGE):
                self._cluster.put_run(run)

    async def fill_flow_runs(self) -> bool:
        """The first list of FlowRuns; False where there are none to read, because a CRD or a right is missing."""
        try:
            for namespace in self._namespaces:
                async for flow_run in self._api.list_flow_runs(namespace):
                    self._cluster.flow_runs.put(flow_run)
        except ApiError as error:
            if error.status not in (403, 404):
                raise
            log.warning(
                "FlowRuns cannot be read, so cancelling or deleting one has no effect on its TaskRuns: %s. "
                "Apply crds/flowruns.podtask.dev.yaml and the roles of this version, then restart the operator.",
                error,
            )
            self._cluster.flow_runs.readable = False
        return self._cluster.flow_runs.readable

    async def fill_warm_pools(self) -> bool:
        """The first list of WarmPools; False where there are none to read, because a CRD or a right is missing."""
        stock = self._cluster.stock
        try:
            for namespace in self._namespaces:
                async for pool in self._api.list_warm_pools(namespace):
                    stock.put_pool(pool)
            stock.readable = True
        except ApiError as error:
            if error.status not in (403, 404):
                raise
            log.warning(
                "WarmPools cannot be read, so every attempt gets a pod of its own: %s. "
                "Apply crds/warmpools.podtask.dev.yaml and the roles of this version, then restart the operator.",
                error,
            )
        return stock.readable

    async def run(self, wake: Wake) -> None:
        """Serve until cancelled."""
        clock, took = asyncio.get_running_loop().time, 0.0
        while True:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._asked.wait(), until_next(self._every, took))
            self._asked.clear()
            began = clock()
            try:
                await self.once(wake)
                took = clock() - began
            except (ApiError, ApiUnavailable) as error:
                log.warning("the comparison by lists failed and is tried again in %g s: %s", AGAIN, error)
                await asyncio.sleep(AGAIN)
                self._asked.set()

    async def once(self, wake: Wake) -> None:
        """One comparison by metadata: what changed is read, what is gone is forgotten, all of it is looked at again."""
        for namespace in self._namespaces:
            await self._runs(namespace, wake)
            await self._pods(namespace, wake)
            if self._cluster.flow_runs.readable:
                await self._flow_runs(namespace, wake)
            if self._cluster.stock.readable:
                await self._warm_pools(namespace)
        for key in self._cluster.unfinished.within(None):
            wake(key)

    async def _runs(self, namespace: str | None, wake: Wake) -> None:
        before = self._cluster.versions(namespace)
        listed = set()
        async for item in self._api.list_runs(namespace, only_metadata=True):
            meta = item["metadata"]
            key = Key(meta["namespace"], meta["name"])
            listed.add(key)
            if before.get(key) != version_of(meta):
                live = await self._api.get_run(*key)
                if live is not None and self._cluster.put_run(live) is not None:
                    wake(key)
        for key, held in before.items():
            if key not in listed and self._cluster.version(key) == held:
                for other in self._cluster.forget_run(key):
                    wake(other)

    async def _flow_runs(self, namespace: str | None, wake: Wake) -> None:
        held = self._cluster.flow_runs
        before = held.versions(namespace)
        listed = set()
        async for item in self._api.list_flow_runs(namespace, only_metadata=True):
            meta = item["metadata"]
            key = Key(meta["namespace"], meta["name"])
            listed.add(key)
            if before.get(key) != version_of(meta):
                live = await self._api.get_flow_run(*key)
                for other in held.put(live)[1] if live is not None else ():
                    wake(other)
        for key, (uid, _) in before.items():
            if key not in listed:
                for other in held.forget(key, uid):
                    wake(other)

    async def _warm_pools(self, namespace: str | None) -> None:
        stock = self._cluster.stock
        before, listed = stock.within(namespace), set()
        async for pool in self._api.list_warm_pools(namespace):
            listed.add(Key(pool["metadata"]["namespace"], pool["metadata"]["name"]))
            stock.put_pool(pool)
        for key, held in before.items():
            if key not in listed and stock.pools.get(key) is held:
                stock.forget_pool(key)
            else:
                stock.wake(key)

    async def _pods(self, namespace: str | None, wake: Wake) -> None:
        pods = self._cluster.pods
        before = pods.versions(namespace)
        listed = set()
        async for item in self._api.list_pods(namespace):
            meta = item["metadata"]
            key = Key(meta["namespace"], meta["name"])
            listed.add(key)
            if before.get(key) != meta["resourceVersion"]:
                live = await self._api.get_pod(*key)
                owner = live and self._cluster.put_pod(live)
                if owner:
                    wake(owner)
        for key, held in before.items():
            if key not in listed and pods.version(key) == held:
                owner = self._cluster.forget_pod(pods[key])
                if owner is not None:
                    wake(owner)
