"""Launches a recorded attempt: the Secret with its grants, then its pod. Long attempts get new grants in time.

Before: `applier`, after the record is stored. What the API server answered goes into `expectations`.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from datetime import datetime, timedelta

from podtask.core.api.names import Reason
from podtask.core.api.status import Attempt, Status
from podtask.core.lifecycle.model import Why
from podtask.core.storage import Signer
from podtask.core.storage.layout import pod_name, secret_name
from podtask_operator.controller.cluster_cache import Mirror
from podtask_operator.controller.expectations import RunExpectations
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable
from podtask_operator.pods import build
from podtask_operator.pods import status as podstatus
from podtask_operator.pods.validate import invalid
from podtask_operator.runtime import metrics
from podtask_operator.settings import Settings
from podtask_operator.storage import grants
from podtask_operator.storage.objects import Objects
from podtask_operator.task_runs.held import sized
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun

log = logging.getLogger(__name__)

LEAST_LIFE = 60.0
"""Seconds that credentials count as alive: those that nothing renews must not be signed with again and again."""
_ADMISSION = re.compile(r'admission webhook "|[a-z.]+ "[^"]*" is forbidden: ')
"""How refusals of admission begin: of webhooks, and of plug-ins (ValidatingAdmissionPolicy, quota, PodSecurity)."""
THE_GRANTS = "Secret with the grants"


class PodLauncher:
    """Creates Secrets and pods."""

    def __init__(self, api: Api, mirror: Mirror, objects: Objects, signer: Signer, settings: Settings) -> None:
        self._api = api
        self._mirror = mirror
        self._objects = objects
        self._signer = signer
        self._settings = settings

    async def launch(self, key: Key, attempt: int, expectations: RunExpectations, now: datetime) -> None:
        """Grants, then the pod. The live TaskRun is read for its payloads, and to see that it still is as decided."""
        live = await self._live(key, expectations)
        if live is None:
            return
        run = TaskRun.parse(sized(live))
        running = run.status.running
        if run.deleting or running is None or running.number != attempt:
            self._mirror.put_run(live)
            raise Later("the attempt to launch is not the one that is recorded")
        wrong = invalid(run, self._settings)
        if wrong is not None:  # payloads are seen here only, and the settings may be others than at the gate
            expectations.refused(attempt, wrong, now, final=True)
            return
        try:
            await self._grant(run, attempt, expectations, now)
        except ApiError as error:
            _refused(expectations, attempt, refusal(error, THE_GRANTS), now)
            return
        try:
            made = await self._api.create_pod(key.namespace, build.build(run, attempt, self._settings))
        except ApiError as error:
            await self._not_created(key, run, attempt, expectations, error, now)
            return
        except ApiUnavailable:  # to be looked up by name before anything else is decided
            expectations.unanswered(attempt)
            raise
        self._objects.seen(key.namespace)
        expectations.accepted(attempt, made["metadata"]["uid"], now)
        if attempt == 1 and not expectations.expected.waited:
            metrics.SEEN_TO_POD.observe(time.monotonic() - expectations.expected.seen_at)
        self._mirror.put_pod(made)

    async def renew(self, key: Key, attempt: Attempt, expectations: RunExpectations, now: datetime) -> datetime:
        """Give a running attempt new URLs where the old ones are at half of their life; when to look again."""
        due = expectations.expected.renew_at
        if due is None:
            due = await self._half_life(attempt, now)
            expectations.renew_at(due)
        if now >= due:
            live = await self._live(key, expectations)
            if live is not None:
                await self._grant(TaskRun.parse(live), attempt.number, expectations, now)
        return expectations.expected.renew_at or due

    async def revoke(self, run: TaskRun, status: Status) -> None:
        """Delete the Secret with the grants of a run that ends: no pod reads it any more, and etcd would keep it.

        Before the end is written, so that nothing has to remember it. Where no pod of the run was ever seen the Secret
        may be somebody else's, of which that was the reason; then it goes with its owner.
        """
        if not any(attempt.pod_uid for attempt in status.attempts):
            return
        try:
            await self._api.delete_secret(run.namespace, secret_name(run.name, run.uid))
        except ApiError as error:
            log.warning("%s/%s: the Secret with its grants stays: %s", run.namespace, run.name, error)

    async def _half_life(self, attempt: Attempt, now: datetime) -> datetime:
        """When to renew grants that another process wrote: at half of their life, or now where that is not known."""
        if await asyncio.to_thread(self._signer.credentials_expire_at) is not None:
            return now
        return (attempt.recorded_at or now) + timedelta(seconds=self._settings.grant_seconds / 2)

    async def _live(self, key: Key, expectations: RunExpectations) -> dict[str, object] | None:
        """The TaskRun as the API server has it; None where it is gone, which the informer cache is told."""
        live, uid = await self._api.get_run(key.namespace, key.name), expectations.expected.uid
        if live is None or live["metadata"]["uid"] != uid:
            self._mirror.forget_run(key, uid)
            return None
        return live

    async def _grant(self, run: TaskRun, attempt: int, expectations: RunExpectations, now: datetime) -> None:
        """Write the Secret with the attempt's grants."""
        inlined = {}
        for found in run.status.inputs:
            held = self._mirror.runs.get(Key(run.namespace, found.task_run))
            small = grants.small_result(held.status) if held is not None else None
            if small is not None:
                inlined[small[0]] = small[1]
        bucket = self._objects.bucket(run.namespace)

        life = self._settings.grant_seconds

        def signed() -> tuple[float | None, bytes]:
            # Asked before: what is signed afterwards lives as long at least.
            expires = self._signer.credentials_expire_at()
            return expires, grants.packed(grants.build(run, attempt, inlined, bucket, self._signer, self._settings))

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

    async def _not_created(
        self, key: Key, run: TaskRun, attempt: int, expectations: RunExpectations, error: ApiError, now: datetime
    ) -> None:
        """The POST of the pod was refused: taken name, invalid pod, or something that may pass."""
        if error.status != 409 or error.reason != "AlreadyExists":
            _refused(expectations, attempt, refusal(error), now)
            return
        live = await self._api.get_pod(key.namespace, pod_name(run.name, attempt))
        if live is None:
            raise Later("the pod's name was taken and is free again")
        if podstatus.is_ours(live, run.uid):
            expectations.shown(attempt, live["metadata"]["uid"])
            self._mirror.put_pod(live)
        else:
            expectations.name_taken(attempt)


def _refused(expectations: RunExpectations, attempt: int, why: Why, now: datetime) -> None:
    expectations.refused(attempt, why, now, final=why.reason is Reason.INVALID_SPEC)


def refusal(error: ApiError, what: str = "pod") -> Why:
    """The API server's sentence with the reason and cure a person needs."""
    text = error.message
    if error.status == 422 and what == THE_GRANTS and "immutable" in text:
        taken = "A Secret of the name that the grants need exists and is somebody else's; waiting for it to go: "
        return Why(Reason.POD_NAME_CONFLICT, taken + text, "Delete that Secret, or give the run another name.")
    if error.status in (400, 422) and not _by_admission(text):
        return Why(Reason.INVALID_SPEC, f"The API server refused the {what}: {text}", "Correct the named field.")
    if "exceeded quota" in text:
        return Why(Reason.QUOTA, text, "Raise the ResourceQuota, or wait for other pods to end.")
    if "PodSecurity" in text:
        return Why(Reason.POD_SECURITY, text, "Remove the named field from spec.podTemplate, or relax the namespace.")
    return Why(Reason.ADMISSION, text, "Ask the cluster's administrator; the operator goes on trying.")


def _by_admission(text: str) -> bool:
    """True where a policy or a webhook said no: those answer 422 or 400, too, and may say yes a moment later.

    By the server's own words at the beginning: what follows may quote the pod, which is the user's.
    """
    return _ADMISSION.match(text) is not None
