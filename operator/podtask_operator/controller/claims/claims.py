"""An attempt takes the idle pod that its record names: grants, then one patch that exactly one attempt can win.

    record (status) ──> Secret of the pod's name ──> PATCH of the pod: labels, owner, deadline, the claim

Each step may be the last thing that an operator does. The Secret alone starts nothing. After a restart the record says
which pod was chosen, and the pod says whose it is: it is claimed once more, or taken over as claimed. Where it is not
to be had, the same number gets a pod of its own, and only once no claim can take effect any more: the idle pod is
another's, or it was removed as it was seen. Before: `pod_launcher`. The rules: `podtask.core.lifecycle`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final

from podtask.core.api.names import ANNOTATION_CLAIM
from podtask.core.api.status import Attempt, Claim
from podtask.core.lifecycle.model import Release
from podtask.core.lifecycle.pod_expectation import Creation
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.expectations import ClaimWork, RunExpectations
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable
from podtask_operator.pods import status as podstatus
from podtask_operator.pods.refusal import by_admission
from podtask_operator.runtime import metrics
from podtask_operator.settings import Settings
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun
from podtask_operator.warm_pods import idle_pod

log = logging.getLogger(__name__)

Object = dict[str, Any]
WriteGrants = Callable[[], Awaitable[bytes]]
"""Writes the Secret of the attempt; the grants in it. May raise `ApiError` and `ApiUnavailable`."""

RENEWALS: Final = (0.25, 1.0, 3.0, 10.0, 60.0, 75.0)
"""Seconds after the first claim at which it is written once more, unless the runner says that it has started. A kubelet
that mounted the Secret a moment too early looks at the pod again only when the pod changes, or after a minute."""
GRANTS_ANEW: Final = (3.0, 60.0)
"""Those before which the grants are written anew: somebody's late write may lie over them. Not before each: Secret and
claim reach the kubelet in no order, and the claim that follows alone meets grants that have arrived."""
SILENT: Final = 10.0
"""The one of these seconds after which idle pods of the same node are not offered for a while."""
TAKEN_OVER: Final = 2
"""Renewals that count as done when another process has claimed the pod."""


class Claims:
    """Claims idle pods for attempts, and gives claims up."""

    def __init__(self, api: Api, cluster: ClusterCache, settings: Settings) -> None:
        self._api = api
        self._cluster = cluster
        self._settings = settings

    async def claim(
        self,
        key: Key,
        run: TaskRun,
        attempt: Attempt,
        claim: Claim,
        grant: WriteGrants,
        expectations: RunExpectations,
        now: datetime,
    ) -> None:
        """Write the grants and claim the pod. What the answers mean goes into `expectations`."""
        try:
            said = idle_pod.claim_text(run, attempt.number, claim, await grant())
        except (ApiError, ApiUnavailable) as error:
            if not _is_refusal(error):
                raise
            # Somebody's Secret of that name, no room for one, or a webhook that is down: a pod of its own will tell.
            log.warning("%s: the grants for idle pod %s were refused: %s", key, claim.pod_name, error)
            await self._give_up(key, run, attempt, claim, expectations)
            return
        expectations.claim_written(attempt.number, said, now)
        held = self._cluster.pods.get(Key(key.namespace, claim.pod_name))
        patch = idle_pod.claim_patch(run, attempt.number, claim, said, idle_pod.age(held, now), self._settings)
        try:
            made = await self._api.claim_pod(key.namespace, claim.pod_name, patch)
        except (ApiError, ApiUnavailable) as error:
            if isinstance(error, ApiUnavailable):
                expectations.unanswered(attempt.number)
            if not _is_refusal(error):
                raise
            log.info("%s: idle pod %s was not claimed: %s", key, claim.pod_name, error)
            await self._give_up(key, run, attempt, claim, expectations)
            return
        self._taken(key, attempt, made, expectations, now)

    async def renew(
        self,
        key: Key,
        attempt: Attempt,
        claim: Claim,
        grant: WriteGrants,
        run: TaskRun,
        expectations: RunExpectations,
        now: datetime,
    ) -> datetime | None:
        """Write the claim again while the runner has not reported its start. Returns the time of the next look."""
        work = expectations.expected.claim
        if work is None or work.attempt != attempt.number:  # another process claimed it, with grants that nobody knows
            text = await self._text(run, attempt, claim, grant)
            work = expectations.claim_written(attempt.number, text, now, renewals=TAKEN_OVER)
            work = await self._write_again(key, claim, work, expectations)
        if work.started or work.renewals >= len(RENEWALS):
            return None
        due = work.since + timedelta(seconds=RENEWALS[work.renewals])
        if now < due:
            return due
        if RENEWALS[work.renewals] in GRANTS_ANEW:
            work = expectations.claim_written(attempt.number, await self._text(run, attempt, claim, grant), now)
        if RENEWALS[work.renewals] == SILENT:
            self._back_off(Key(key.namespace, claim.pod_name))
        work = await self._write_again(key, claim, work, expectations)
        return work.since + timedelta(seconds=RENEWALS[work.renewals]) if work.renewals < len(RENEWALS) else None

    async def release(self, key: Key, effect: Release, expectations: RunExpectations) -> None:
        """Remove an idle pod that was chosen, or what is left of one, so that no claim can take effect any more."""
        run = self._cluster.runs.get(key)
        live = await self._api.get_pod(key.namespace, effect.claim.pod_name)
        if live is None or run is None or podstatus.read(live).uid != effect.claim.pod_uid:
            return
        if idle_pod.is_idle(live):
            released = expectations.expected.pod_of(effect.attempt).released
            await self._remove(key, live, needed=not released)
            expectations.unclaimed(effect.attempt)
        elif podstatus.is_ours(live, run.uid) and idle_pod.is_ended(live):
            await self._api.delete_pod(key.namespace, effect.claim.pod_name, effect.claim.pod_uid)

    def _back_off(self, pod: Key) -> None:
        held = self._cluster.pods.get(pod)
        node = None if held is None else podstatus.read(held).node
        if node is not None:
            log.warning("%s has not started its attempt for %g s; idle pods of node %s wait", pod, SILENT, node)
            self._cluster.stock.back_off(node)

    async def _text(self, run: TaskRun, attempt: Attempt, claim: Claim, grant: WriteGrants) -> str:
        return idle_pod.claim_text(run, attempt.number, claim, await grant())

    async def _write_again(self, key: Key, claim: Claim, work: ClaimWork, expectations: RunExpectations) -> ClaimWork:
        """Patch the same claim with a new count. The kubelet looks at a pod only when the pod changes."""
        work = expectations.claim_renewed(work)
        annotations = {ANNOTATION_CLAIM: f"{work.text}/{work.renewals}"}
        patch: Object = {"metadata": {"uid": claim.pod_uid, "annotations": annotations}}
        try:
            self._cluster.put_pod(await self._api.patch_pod(key.namespace, claim.pod_name, patch))
        except ApiError as error:  # gone, or a policy said no: the pod's end, or the timeout, tells
            log.warning("%s: the claim of pod %s was not renewed: %s", key, claim.pod_name, error)
        return work

    def _taken(self, key: Key, attempt: Attempt, pod: Object, expectations: RunExpectations, now: datetime) -> None:
        expectations.accepted(attempt.number, pod["metadata"]["uid"], now)
        name = idle_pod.pool_of(pod)
        if name is not None:
            self._cluster.stock.claimed(Key(key.namespace, name))
        metrics.WARM_CLAIMS.labels("claimed").inc()
        self._cluster.put_pod(pod)

    async def _give_up(
        self, key: Key, run: TaskRun, attempt: Attempt, claim: Claim, expectations: RunExpectations
    ) -> None:
        """Handle a refused claim. The pod may be this attempt's, by an earlier claim whose answer was lost."""
        sure = expectations.expected.pod_of(attempt.number).creation is Creation.UNPOSTED  # each claim was answered: no
        live = await self._api.get_pod(key.namespace, claim.pod_name)
        if live is not None and podstatus.read(live).uid == claim.pod_uid:
            if podstatus.is_ours(live, run.uid):
                expectations.shown(attempt.number, claim.pod_uid)
                self._cluster.put_pod(live)
                return
            if idle_pod.is_idle(live):
                await self._remove(key, live, needed=not sure)
            else:
                self._cluster.put_pod(live)
        elif not sure:
            raise Later("the idle pod is gone, and an earlier claim of it had no answer")
        metrics.WARM_CLAIMS.labels("lost").inc()
        expectations.unclaimed(attempt.number)

    async def _remove(self, key: Key, live: Object, *, needed: bool) -> None:
        """Remove an idle pod as it was seen. `needed`: only then it is certain that no claim of it is taken."""
        meta = live["metadata"]
        try:
            await self._api.remove_idle_pod(key.namespace, meta["name"], meta["uid"], meta["resourceVersion"])
        except ApiError as error:
            if error.status not in (404, 409):
                if needed:
                    raise
                log.warning("%s: idle pod %s cannot be removed: %s", key, meta["name"], error)
                return
            raise Later(f"idle pod {meta['name']} was touched meanwhile, or is gone") from error
        self._cluster.forget_pod(live)


def _is_refusal(error: ApiError | ApiUnavailable) -> bool:
    """True where the API server refuses, or could not ask a webhook. Another try would probably be refused as well."""
    return isinstance(error, ApiError) or (error.answer is not None and by_admission(error.answer))
