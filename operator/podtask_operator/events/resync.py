"""Lists, paged: the first fills the mirror before any decision is made, later ones repair what watches missed.

A watch may lose deletions (an expired resourceVersion) and events (a cut connection); the list does not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from podtask_operator.controller.cluster_cache import Mirror, version_of
from podtask_operator.kube.client import FULL_PAGE, Api, ApiError, ApiUnavailable
from podtask_operator.settings import Settings
from podtask_operator.task_runs.key import Key

log = logging.getLogger(__name__)

Wake = Callable[[Key], None]


class Resync:
    """Compares the API server's lists with the mirror."""

    def __init__(self, api: Api, mirror: Mirror, settings: Settings) -> None:
        self._api = api
        self._mirror = mirror
        self._namespaces: tuple[str | None, ...] = settings.namespaces or (None,)
        self._every = settings.resync_seconds

    async def fill(self) -> None:
        """The first list: every TaskRun with all its fields. The pods come before, by `podwatch`."""
        for namespace in self._namespaces:
            async for run in self._api.list_runs(namespace, page=FULL_PAGE):
                self._mirror.put_run(run)

    async def run(self, wake: Wake) -> None:
        """Serve until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.once(wake)
            except (ApiError, ApiUnavailable) as error:
                log.warning("the periodic list failed and is tried again in %g s: %s", self._every, error)

    async def once(self, wake: Wake) -> None:
        """One comparison by metadata: what changed is read, what is gone is forgotten, all of it is looked at again."""
        for namespace in self._namespaces:
            await self._runs(namespace, wake)
            await self._pods(namespace, wake)
        for key, run in self._mirror.runs.items():
            if not run.status.finished:
                wake(key)

    async def _runs(self, namespace: str | None, wake: Wake) -> None:
        before = self._mirror.versions()
        listed = set()
        async for item in self._api.list_runs(namespace, only_metadata=True):
            meta = item["metadata"]
            key = Key(meta["namespace"], meta["name"])
            listed.add(key)
            if before.get(key) != version_of(meta):
                live = await self._api.get_run(*key)
                if live is not None and self._mirror.put_run(live) is not None:
                    wake(key)
        now = self._mirror.versions()
        for key, held in before.items():
            if key not in listed and namespace in (None, key.namespace) and now.get(key) == held:
                for other in self._mirror.forget_run(key):
                    wake(other)

    async def _pods(self, namespace: str | None, wake: Wake) -> None:
        before = dict(self._mirror.pods)
        listed = set()
        async for item in self._api.list_pods(namespace):
            meta = item["metadata"]
            key = Key(meta["namespace"], meta["name"])
            listed.add(key)
            held = before.get(key)
            if held is None or held["metadata"]["resourceVersion"] != meta["resourceVersion"]:
                live = await self._api.get_pod(*key)
                owner = live and self._mirror.put_pod(live)
                if owner:
                    wake(owner)
        for key, held in before.items():
            if key not in listed and namespace in (None, key.namespace) and self._mirror.pods.get(key) is held:
                owner = self._mirror.forget_pod(held)
                if owner is not None:
                    wake(owner)
