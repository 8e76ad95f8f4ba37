"""Launches a recorded attempt: the Secret with its grants, then its pod. Long attempts get new grants in time.

Before: `applier`, after the record is stored. What the API server answered goes into `expectations`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from podtask.core.api.names import ANNOTATION_TRACEPARENT, Reason
from podtask.core.api.status import Attempt, Status, own_pod_name, pod_name
from podtask.core.lifecycle.model import PodPhase, Why
from podtask.core.storage import Signer
from podtask.core.storage.layout import secret_name
from podtask_operator.controller.claims.claims import Claims
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.expectations import RunExpectations
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.answers import Object
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable
from podtask_operator.pods import build
from podtask_operator.pods import status as podstatus
from podtask_operator.pods.refusal import GRANTS, by_admission, refusal
from podtask_operator.pods.validate import invalid
from podtask_operator.runtime import metrics
from podtask_operator.runtime.tracing import Traces
from podtask_operator.settings import Settings
from podtask_operator.storage import grants
from podtask_operator.storage.objects import Objects
from podtask_operator.task_runs.held import sized
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun

log = logging.getLogger(__name__)

LEAST_LIFE = 60.0
"""Seconds that credentials count as alive: those that nothing renews must not be signed with again and again."""


class PodLauncher:
    """Creates the Secret and the pod of an attempt."""

    def __init__(
        self,
        api: Api,
        cluster: ClusterCache,
        objects: Objects,
        signer: Signer,
        settings: Settings,
        traces: Traces | None = None,
    ) -> None:
        self._api = api
        self._cluster = cluster
        self._objects = objects
        self._signer = signer
        self._settings = settings
        self._traces = traces or Traces()
        self.claims = Claims(api, cluster, settings)

    async def launch(
        self, key: Key, attempt: int, expectations: RunExpectations, now: datetime, stored: Object | None = None
    ) -> None:
        """Grants, then the pod.

        `stored`: the TaskRun as the record of the attempt has just left it. Where an earlier look wrote the record, the
        live TaskRun is read instead, for its payloads, and to see that it still is as decided.
        """
        live = stored or await self._live(key, expectations)
        if live is None:
            return
        run = TaskRun.parse(sized(live))
        running = run.status.running
        if run.deleting or running is None or running.number != attempt:
            self._cluster.put_run(live)
            raise Later("the attempt to launch is not the one that is recorded")
        wrong = invalid(run, self._settings)
        if wrong is not None:  # payloads are seen here only, and the settings may be others than at the gate
            expectations.refused(attempt, wrong, now, final=True)
            return
        if running.claim is not None:
            grant = self._granting(run, running, expectations, now)
            await self.claims.claim(key, run, running, running.claim, grant, expectations, now)
            return
        try:
            await self._grant(run, attempt, expectations, now)
        except ApiError as error:
            _refused(expectations, attempt, refusal(error, GRANTS), now)
            return
        except ApiUnavailable as error:
            if error.answer is None or not by_admission(error.answer):
                raise
            _refused(expectations, attempt, refusal(error.answer, GRANTS), now)
            return
        try:
            made = await self._api.create_pod(key.namespace, build.build(run, attempt, self._settings))
        except ApiError as error:
            await self._not_created(key, run, attempt, expectations, error, now)
            return
        except ApiUnavailable as error:  # to be looked up by name before anything else is decided
            if error.answer is None or not by_admission(error.answer):
                expectations.unanswered(attempt)
                raise
            expectations.unanswered(attempt, refusal(error.answer), now)
            return
        self._objects.seen(key.namespace)
        expectations.accepted(attempt, made["metadata"]["uid"], now)
        if attempt == 1 and not expectations.expected.waited:
            metrics.SEEN_TO_POD.observe(time.monotonic() - expectations.expected.seen_at)
        self._cluster.put_pod(made)

    async def renew(self, key: Key, attempt: Attempt, expectations: RunExpectations, now: datetime) -> datetime:
        """Renew the URLs of a running attempt at half of their life. Returns when to look again."""
        due = expectations.expected.renew_at
        if due is None:
            due = await self._half_life(attempt, now)
            expectations.renew_at(due)
        if now >= due:
            live = await self._live(key, expectations)
            if live is not None:
                await self._grant(TaskRun.parse(live), attempt.number, expectations, now)
        return expectations.expected.renew_at or due

    async def renew_claim(
        self, key: Key, attempt: Attempt, expectations: RunExpectations, now: datetime
    ) -> datetime | None:
        """Repeat the claim of an idle pod until its runner has started. Returns when to look again."""
        run = self._cluster.runs.get(key)
        if run is None or attempt.claim is None:
            return None

        async def grant() -> bytes:
            live = await self._live(key, expectations)
            if live is None:
                raise Later("the TaskRun is gone")
            return await self._grant(TaskRun.parse(live), attempt.number, expectations, now)

        return await self.claims.renew(key, attempt, attempt.claim, grant, run, expectations, now)

    def _granting(
        self, run: TaskRun, attempt: Attempt, expectations: RunExpectations, now: datetime
    ) -> Callable[[], Awaitable[bytes]]:
        async def grant() -> bytes:
            return await self._grant(run, attempt.number, expectations, now)

        return grant

    async def revoke(self, run: TaskRun, status: Status, expectations: RunExpectations) -> None:
        """Delete the Secrets with the grants of a run that ends: no pod reads them any more, and etcd would keep them.

        Before the end is written, so that nothing has to remember it. A pod that lives on, because its result is stored
        already, keeps them: its kubelet may mount them once more, and would warn of them in Events. Then `revoke_late`
        deletes them. Where no pod of the run was ever seen the Secret may be somebody else's, of
        which that was the reason; then it goes with its owner.
        """
        if any(attempt.pod_uid for attempt in status.attempts) and not self._lives_on(run, status):
            await self._delete_grants(run, status)
            expectations.revoked()

    async def revoke_late(self, run: TaskRun, expectations: RunExpectations) -> None:
        """The same after the end of the last pod. An operator that starts in between leaves them to their owner."""
        if not run.status.finished or expectations.expected.renew_at is None:
            return
        if not self._lives_on(run, run.status):
            await self._delete_grants(run, run.status)
            expectations.revoked()

    def _lives_on(self, run: TaskRun, status: Status) -> bool:
        """Whether a pod of the run has containers, and is not being deleted."""
        for attempt in status.attempts:
            pod = self._cluster.pods.get(Key(run.namespace, pod_name(run.name, attempt)))
            if pod is None or not podstatus.is_ours(pod, run.uid) or "deletionTimestamp" in pod["metadata"]:
                continue
            if podstatus.read(pod).phase is not PodPhase.ENDED:
                return True
        return False

    async def _delete_grants(self, run: TaskRun, status: Status) -> None:
        names = [attempt.claim.pod_name for attempt in status.attempts if attempt.claim is not None]
        if len(names) < status.attempts_total:  # an attempt had a pod of its own, also one that is no longer listed
            names.append(secret_name(run.name, run.uid))
        for name in names:
            try:
                await self._api.delete_secret(run.namespace, name)
            except ApiError as error:
                log.warning("%s/%s: the Secret with its grants stays: %s", run.namespace, run.name, error)

    async def _half_life(self, attempt: Attempt, now: datetime) -> datetime:
        """When to renew grants that another process wrote: at half of their life, or now where that is not known."""
        if await asyncio.to_thread(self._signer.credentials_expire_at) is not None:
            return now
        return (attempt.recorded_at or now) + timedelta(seconds=self._settings.grant_seconds / 2)

    async def _live(self, key: Key, expectations: RunExpectations) -> Object | None:
        """Read the TaskRun. Returns None, and removes it from the informer cache, where it is gone."""
        live, uid = await self._api.get_run(key.namespace, key.name), expectations.expected.uid
        if live is None or live["metadata"]["uid"] != uid:
            self._cluster.forget_run(key, uid)
            return None
        return live

    async def _grant(self, run: TaskRun, attempt: int, expectations: RunExpectations, now: datetime) -> bytes:
        """Write the Secret with the attempt's grants. Returns the grants."""
        inlined = {}
        for found in run.status.inputs:
            held = self._cluster.runs.get(Key(run.namespace, found.task_run))
            small = grants.small_result(held.status) if held is not None else None
            if small is not None:
                inlined[small[0]] = small[1]
        bucket, saved = self._objects.bucket(run.namespace), await self._objects.saved(run, attempt)

        life = self._settings.grant_seconds
        traceparent = self._traces.attempt(run.uid, attempt, run.annotations.get(ANNOTATION_TRACEPARENT))

        def signed() -> tuple[float | None, bytes]:
            # Asked before: what is signed afterwards lives as long at least.
            expires = self._signer.credentials_expire_at()
            made = grants.build(run, attempt, inlined, bucket, self._signer, self._settings, saved, traceparent)
            return expires, grants.packed(made)

        # signing needs no network, but credentials that are due may be fetched anew
        expires, data = await asyncio.to_thread(signed)
        if len(data) > grants.SECRET_LIMIT:  # the object first: what the Secret names is there
            stored = await self._objects.store_grants(run, attempt, data)
            url = await asyncio.to_thread(self._signer.sign_get, stored, life)
            data = grants.document(data, url, self._settings)
        await self._api.apply_secret(run.namespace, grants.secret(run, attempt, data))
        if expires is not None:
            life = min(life, max(expires - now.timestamp(), LEAST_LIFE))
        expectations.renew_at(now + timedelta(seconds=life / 2))
        return data

    async def _not_created(
        self, key: Key, run: TaskRun, attempt: int, expectations: RunExpectations, error: ApiError, now: datetime
    ) -> None:
        """The POST of the pod was refused: taken name, invalid pod, or something that may pass."""
        if error.status != 409 or error.reason != "AlreadyExists":
            _refused(expectations, attempt, refusal(error), now)
            return
        live = await self._api.get_pod(key.namespace, own_pod_name(run.name, attempt))
        if live is None:
            raise Later("the pod's name was taken and is free again")
        if podstatus.is_ours(live, run.uid):
            expectations.shown(attempt, live["metadata"]["uid"])
            self._cluster.put_pod(live)
        else:
            expectations.name_taken(attempt)


def _refused(expectations: RunExpectations, attempt: int, why: Why, now: datetime) -> None:
    expectations.refused(attempt, why, now, final=why.reason is Reason.INVALID_SPEC)
