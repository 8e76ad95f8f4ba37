"""Whose folder of the bucket a namespace's is, for the operator: its UID by the API server, the mark by the bucket.

    launch ──seen──> run (in the background) ─┐
    cache, before each use ──cache_bucket─────┼──claim──> UID, mark (`podtask.core.storage.owner`), refusal or none
    sweep, before each batch ─────────────────┘

A namespace may be deleted and made anew under the same name at any time, so its UID is asked for again as soon as one
of its TaskRuns is gone: a namespace does not go before its TaskRuns do. Used by: `objects`, `sweep`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from podtask.core.storage import Store, StoreUnavailable
from podtask.core.storage import owner as owners
from podtask.core.storage.layout import Bucket
from podtask.core.storage.owner import BucketOwner
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable
from podtask_operator.storage.calls import StoreCalls

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 60.0
"""How long a mark that was read counts: `podtask bucket adopt` takes effect within that time."""
AGAIN_SECONDS: Final = 600.0
"""After so long the mark of a namespace in which pods start is looked at again, although no TaskRun of it is gone."""
NAMESPACES_HELD: Final = 10_000
"""Namespaces that are remembered; names that come and go for ever must not fill the memory."""
PAUSE_SECONDS: Final = 30.0
"""Between two tries where the API server or the bucket is away."""
_UPGRADE: Final = "Upgrade the chart, which grants that: helm upgrade podtask charts/podtask --reuse-values"


@dataclass(frozen=True)
class NamespaceOwnership:
    """Whose a namespace's folder is, and since when that is known."""

    uid: str | None
    """As the namespace is now; None where it was deleted, or may not be read."""
    owner: BucketOwner | None
    refusal: str | None
    """Why its folder is not this cluster's; None where it is."""


class Owners:
    """Owners of all namespaces' folders in one bucket. `deletions`: how many TaskRuns of a namespace were deleted."""

    def __init__(
        self,
        api: Api,
        store: Store,
        prefix: str,
        *,
        deletions: Callable[[str], int],
        home: str,
        calls: StoreCalls | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._store = store
        self._prefix = prefix
        self._calls = calls or StoreCalls()
        self._deletions = deletions
        self._anchors = (owners.CLUSTER_NAMESPACE, home)
        self._clock = clock
        self._cluster: str | None = None
        self._held: dict[str, tuple[int, float, NamespaceOwnership]] = {}
        self._seen: dict[str, tuple[float, int]] = {}
        self._waiting: asyncio.Queue[str] = asyncio.Queue()

    async def cache_bucket(self, namespace: str) -> tuple[Bucket, str | None]:
        """Where the cache of a namespace is, and why it is off. Raises `ApiUnavailable`, `StoreUnavailable`."""
        claim = await self._recent(namespace)
        bucket = Bucket(self._prefix, namespace)
        if claim.refusal is not None:
            return bucket, claim.refusal
        if claim.uid is None:
            return bucket, f"There is no namespace '{namespace}' any more."
        return replace(bucket, namespace_uid=claim.uid), None

    async def _recent(self, namespace: str) -> NamespaceOwnership:
        gone, now = self._deletions(namespace), self._clock()
        held = self._held.get(namespace)
        if held is not None and held[1] > now - FRESH_SECONDS:
            if held[0] == gone:
                return held[2]
            if held[2].refusal is None and await self._same(namespace, held[2].uid):
                self._held[namespace] = gone, held[1], held[2]
                return held[2]
        claim = await self.claim(namespace)
        if len(self._held) >= NAMESPACES_HELD:
            self._held.clear()
        self._held[namespace] = gone, now, claim
        return claim

    async def _same(self, namespace: str, uid: str | None) -> bool:
        try:
            return await self._api.namespace_uid(namespace) == uid
        except ApiError:
            return False

    async def claim(self, namespace: str, *, write: bool = True) -> NamespaceOwnership:
        """What is the case now; where `write`, a namespace without a mark gets one. Raises as `cache_bucket`."""
        cluster = await self._cluster_uid()
        try:
            uid = await self._api.namespace_uid(namespace)
        except ApiError as error:
            return NamespaceOwnership(
                None, None, f"The operator may not read namespace '{namespace}' ({error}). {_UPGRADE}"
            )
        bucket = Bucket(self._prefix, namespace)

        def marked() -> BucketOwner | None:
            if uid is None or not write:
                return owners.read(self._store, bucket)
            return owners.claim(self._store, bucket, uid, cluster, may_write=self._api.fence)

        owner = await self._calls(marked)
        refusal = owners.refusal(owner, namespace, uid, cluster)
        return NamespaceOwnership(uid, owner, refusal)

    async def _cluster_uid(self) -> str | None:
        """UID of the first namespace that lives long and may be read; it never changes."""
        for anchor in self._anchors:
            if self._cluster is None:
                try:
                    self._cluster = await self._api.namespace_uid(anchor)
                except ApiError as error:
                    log.debug("namespace %s may not be read: %s", anchor, error)
        return self._cluster

    def seen(self, namespace: str) -> None:
        """A pod starts in that namespace; its mark is looked at in the background, never before the pod."""
        now, gone = self._clock(), self._deletions(namespace)
        at, before = self._seen.get(namespace, (float("-inf"), gone))
        if now >= at + (AGAIN_SECONDS if gone == before else FRESH_SECONDS):
            if len(self._seen) >= NAMESPACES_HELD:
                self._seen.clear()
            self._seen[namespace] = now, gone
            self._waiting.put_nowait(namespace)

    async def run(self) -> None:
        """Mark the namespaces that were seen, one after the other, until cancelled."""
        while True:
            namespace = await self._waiting.get()
            try:
                claim = await self.claim(namespace)
                if claim.refusal is not None:
                    log.warning("no cache and no sweep for namespace %s: %s", namespace, claim.refusal)
            except (ApiUnavailable, ApiError, StoreUnavailable) as error:
                log.warning("namespace %s is not marked yet in the bucket: %s", namespace, error)
                self._waiting.put_nowait(namespace)
                await asyncio.sleep(PAUSE_SECONDS)
