"""A decision becomes writes, in an order that may be cut off anywhere.

    cache pointer, last words ──> one status patch (with resourceVersion) ──> Secret, pod, stop, delete ──> Events

Before: `podtask.core.lifecycle.decide`. What was learned from the answers goes into `mirror`.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from datetime import datetime, timedelta
from typing import Any

from podtask.core.api.names import EVENT_ENTRY_DROPPED, EVENT_STORE_REFUSED, Ended, PodCleanup, Reason
from podtask.core.api.status import Attempt, Status
from podtask.core.lifecycle.model import (
    Decision,
    DeletePod,
    DeleteRun,
    Launch,
    PodPhase,
    Presence,
    Publish,
    Refusal,
    Stop,
    Why,
)
from podtask.core.lifecycle.rendering import Event, events, rendered
from podtask.core.storage import Signer, StoreRefused
from podtask.core.storage.layout import pod_name
from podtask_operator.controller.cluster_cache import Memory, Mirror
from podtask_operator.controller.event_recorder import Story
from podtask_operator.controller.log_tail import LastWords
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable
from podtask_operator.pods import build
from podtask_operator.pods import status as podstatus
from podtask_operator.pods.validate import invalid
from podtask_operator.runtime import metrics
from podtask_operator.runtime.supervise import pause
from podtask_operator.settings import Settings
from podtask_operator.storage import grants
from podtask_operator.storage.objects import Objects
from podtask_operator.task_runs.cache_key import Composed, composed_key, identified
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun, policy
from podtask_operator.task_runs.status_patch import dump, merge_patch
from podtask_runner.protocol import Grants

log = logging.getLogger(__name__)

FIRST_RETRY = 1.0
LAST_RETRY = 30.0
LEAST_LIFE = 60.0
"""Seconds that credentials count as alive: those that nothing renews must not be signed with again and again."""
LEAVING = timedelta(seconds=5)
"""Beyond its grace: what a process that has stored its result may take to leave."""
_ADMISSION = re.compile(r'admission webhook "|[a-z.]+ "[^"]*" is forbidden: ')
"""How refusals of admission begin: of webhooks, and of plug-ins (ValidatingAdmissionPolicy, quota, PodSecurity)."""
THE_GRANTS = "Secret with the grants"


class Applier:
    """Writes decisions."""

    def __init__(
        self, api: Api, mirror: Mirror, objects: Objects, signer: Signer, story: Story, settings: Settings
    ) -> None:
        self._api = api
        self._mirror = mirror
        self._objects = objects
        self._signer = signer
        self._story = story
        self._settings = settings
        self._last_words = LastWords(api, mirror, objects)

    async def apply(self, key: Key, run: TaskRun, decision: Decision, now: datetime) -> None:
        """Perform one decision. Raises `Later` where the run changed, `ApiUnavailable`, `StoreUnavailable`."""
        memory = self._mirror.memory(key, run.uid)
        for effect in decision.effects:
            if isinstance(effect, Publish):
                await self._objects.publish(run, effect, self._composed(run, effect.key, memory), now)
        if decision.status != run.status:
            await self._last_words.keep(key, run, decision.status)
            if decision.status.finished and not run.status.finished:
                await self._objects.retain(run, now)
            run = await self._write_status(key, run, decision.status, memory)
        for effect in decision.effects:
            await self._perform(key, run, effect, memory, now)

    def _composed(self, run: TaskRun, cache_key: str, memory: Memory) -> Composed:
        """What the key of the run's entry stands for; made anew where another operator started the run."""
        found = memory.composed or composed_key(run, identified(run.status.inputs), self._settings)
        return found if found.key == cache_key else Composed(cache_key)

    async def _write_status(self, key: Key, run: TaskRun, status: Status, memory: Memory) -> TaskRun:
        """The one status write. The stored status is what the next reader sees, or nothing happened."""
        view = rendered(status, policy(run), run.created_at, run.generation)
        patch = merge_patch(run.raw_status, dump(view))
        body = {"metadata": {"resourceVersion": run.resource_version, "uid": run.uid}, "status": patch}
        began = status.running if status.attempts_total > run.status.attempts_total else None
        if began is not None:
            memory.claimed = True
            memory.records.add((began.number, began.recorded_at))
            self._mirror.recording(key, run)
        try:
            answer = await self._api.patch_status(key.namespace, key.name, body)
        except ApiError as error:
            self._mirror.recorded(key, run)
            if error.status not in (404, 409):
                raise
            await self._refresh(key, run.uid)
            raise Later(f"the TaskRun changed meanwhile ({error.status})") from error
        if began is not None:
            memory.begin(began.number)
        before = run.status
        metrics.transition(before, status)
        memory.waited = memory.waited or status.attempts_total == 0
        self._mirror.put_run(answer)
        held = self._mirror.runs.get(key)
        same = held is not None and held.resource_version == answer["metadata"]["resourceVersion"]
        written = held if held is not None and same else TaskRun.parse(answer)  # the watch may have been quicker
        self._story.tell(written, (*events(before, status), *_dropped(memory)))
        return written

    def tell_refusal(self, key: Key, error: StoreRefused) -> None:
        """The run waits for a bucket that waiting does not heal: said once for each thing that is refused."""
        run = self._mirror.runs.get(key)
        if run is None:
            return
        memory = self._mirror.memory(key, run.uid)
        if memory.store_refusal != str(error):
            memory.store_refusal = str(error)
            self._story.tell(run, (Event("Warning", EVENT_STORE_REFUSED, f"The operator {error}"),))

    async def _perform(self, key: Key, run: TaskRun, effect: object, memory: Memory, now: datetime) -> None:
        if isinstance(effect, Launch):
            await self._launch(key, effect.attempt, memory, now)
        elif isinstance(effect, Stop):
            await self._stop(key, pod_name(run.name, effect.attempt), effect.pod_uid)
        elif isinstance(effect, DeletePod):
            name = pod_name(run.name, effect.attempt)
            await self._delete_pod(key, name, effect.pod_uid, force=effect.force)
        elif isinstance(effect, DeleteRun):
            await self._delete_run(key, run.uid)

    async def _launch(self, key: Key, attempt: int, memory: Memory, now: datetime) -> None:
        """Grants, then the pod. The live TaskRun is read for its payloads, and to see that it still is as decided."""
        live = await self._api.get_run(key.namespace, key.name)
        if live is None or live["metadata"]["uid"] != memory.uid:
            self._mirror.forget_run(key, memory.uid)
            return
        run = TaskRun.parse(live)
        running = run.status.running
        if run.deleting or running is None or running.number != attempt:
            self._mirror.put_run(live)
            raise Later("the attempt to launch is not the one that is recorded")
        wrong = invalid(run, self._settings)
        if wrong is not None:  # payloads are seen here only, and the settings may be others than at the gate
            memory.refusal = Refusal(wrong, final=True, retry_at=now)
            return
        try:
            await self._grant(run, attempt, memory, now)
        except ApiError as error:
            _remember_refusal(memory, error, THE_GRANTS, now)
            return
        try:
            made = await self._api.create_pod(key.namespace, build.build(run, attempt, self._settings))
        except ApiError as error:
            await self._refused(key, run, attempt, memory, error, now)
            return
        except ApiUnavailable:  # to be looked up by name before anything else is decided
            memory.presence[attempt], memory.expected_since, memory.in_doubt = Presence.EXPECTED, None, True
            raise
        self._objects.seen(key.namespace)
        memory.refusal, memory.refusals, memory.in_doubt = None, 0, False
        memory.presence[attempt], memory.expected_since = Presence.EXPECTED, now
        if attempt == 1 and not memory.waited:
            metrics.SEEN_TO_POD.observe(time.monotonic() - memory.seen_at)
        memory.pod_uid[attempt] = made["metadata"]["uid"]
        self._mirror.put_pod(made)

    async def renewal(self, attempt: Attempt, now: datetime) -> datetime:
        """When to renew grants that another process wrote: at half of their life, or now where that is not known."""
        if await asyncio.to_thread(self._signer.credentials_expire_at) is not None:
            return now
        return (attempt.recorded_at or now) + timedelta(seconds=self._settings.grant_seconds / 2)

    async def renew(self, key: Key, attempt: int, memory: Memory, now: datetime) -> None:
        """New URLs for a running attempt, before the old ones expire."""
        live = await self._api.get_run(key.namespace, key.name)
        if live is None or live["metadata"]["uid"] != memory.uid:
            self._mirror.forget_run(key, memory.uid)
            return
        await self._grant(TaskRun.parse(live), attempt, memory, now)

    async def _grant(self, run: TaskRun, attempt: int, memory: Memory, now: datetime) -> None:
        """Write the Secret with the attempt's grants."""
        inlined = {}
        for found in run.status.inputs:
            held = self._mirror.runs.get(Key(run.namespace, found.task_run))
            small = grants.small_result(held.status) if held is not None else None
            if small is not None:
                inlined[small[0]] = small[1]
        bucket = self._objects.bucket(run.namespace)

        def signed() -> tuple[float | None, Grants]:
            # Asked before: what is signed afterwards lives as long at least.
            expires = self._signer.credentials_expire_at()
            return expires, grants.build(run, attempt, inlined, bucket, self._signer, self._settings)

        # signing needs no network, but credentials that are due may be fetched anew
        expires, allowed = await asyncio.to_thread(signed)
        await self._api.apply_secret(run.namespace, grants.secret(run, attempt, allowed))
        life = self._settings.grant_seconds
        if expires is not None:
            life = min(life, max(expires - now.timestamp(), LEAST_LIFE))
        memory.renew_at = now + timedelta(seconds=life / 2)

    async def _refused(
        self, key: Key, run: TaskRun, attempt: int, memory: Memory, error: ApiError, now: datetime
    ) -> None:
        """The POST of the pod was refused: taken name, invalid pod, or something that may pass."""
        if error.status == 409 and error.reason == "AlreadyExists":
            live = await self._api.get_pod(key.namespace, pod_name(run.name, attempt))
            if live is None:
                raise Later("the pod's name was taken and is free again")
            if podstatus.is_ours(live, run.uid):
                memory.presence[attempt] = Presence.SEEN
                self._mirror.put_pod(live)
            else:
                memory.presence[attempt] = Presence.FOREIGN
            memory.refusal, memory.refusals = None, 0
            return
        _remember_refusal(memory, error, "pod", now)

    async def _stop(self, key: Key, name: str, uid: str) -> None:
        patch: dict[str, Any] = {"metadata": {"uid": uid}, "spec": {"activeDeadlineSeconds": 1}}
        try:
            self._mirror.put_pod(await self._api.patch_pod(key.namespace, name, patch))
        except ApiError as error:
            if error.status != 404:
                await self._look_again(key, name, error)

    async def _delete_pod(self, key: Key, name: str, uid: str, *, force: bool = False) -> None:
        try:
            await self._api.delete_pod(key.namespace, name, uid, force=force)
        except ApiError as error:
            await self._look_again(key, name, error)

    async def _delete_run(self, key: Key, uid: str) -> None:
        try:
            await self._api.delete_run(key.namespace, key.name, uid)
        except ApiError as error:
            if error.status != 409:
                raise
            await self._refresh(key, uid)
            raise Later(f"the TaskRun was not deleted: {error}") from error

    async def _look_again(self, key: Key, name: str, error: ApiError) -> None:
        """After a 409: another pod took the name, or another writer was in between. What to do is decided anew."""
        if error.status != 409:
            raise error
        live = await self._api.get_pod(key.namespace, name)
        if live is not None:
            self._mirror.put_pod(live)
        raise Later(f"pod {name} changed meanwhile: {error}") from error

    async def reap(self, key: Key, now: datetime) -> datetime | None:
        """End pods of attempts that are judged already and yet live; when to look again at one that may live on.

        A POST that took effect late made them. Or the attempt ended by its stored result: then its process is about to
        leave, and is stopped only where it does not.
        """
        run, again = self._mirror.runs.get(key), None
        for attempt in run.status.attempts if run is not None else ():
            held = self._mirror.pods.get(Key(key.namespace, pod_name(key.name, attempt.number)))
            if run is None or held is None or not attempt.judged or not podstatus.is_ours(held, run.uid):
                continue
            pod = podstatus.read(held)
            if pod.phase is PodPhase.ENDED or "deletionTimestamp" in held["metadata"]:
                continue
            name = pod_name(key.name, attempt.number)
            if attempt.outcome is Ended.COMPLETED and attempt.finished_at is not None:
                leave_by = attempt.finished_at + timedelta(seconds=policy(run).grace_seconds) + LEAVING
                if now < leave_by:
                    again = leave_by
                elif not pod.stopping:
                    log.warning(
                        "%s: attempt %d has stored its result and its pod runs on; it is stopped", key, attempt.number
                    )
                    await self._stop(key, name, pod.uid)
                continue
            log.warning("%s: attempt %d is judged and its pod lives; it is deleted", key, attempt.number)
            await self._delete_pod(key, name, pod.uid)
        return again

    async def clean_up(self, key: Key) -> None:
        """Delete pods whose end the stored status holds, as spec.podCleanup says. Their names stay used."""
        run = self._mirror.runs.get(key)
        cleanup = asked_cleanup(run, self._settings) if run is not None else PodCleanup.KEEP_ALL
        if run is None or cleanup is PodCleanup.KEEP_ALL:
            return
        for attempt in run.status.attempts:
            held = self._mirror.pods.get(Key(key.namespace, pod_name(key.name, attempt.number)))
            if held is None or attempt.outcome is None or not cleanup.deletes(attempt.outcome):
                continue
            ended = podstatus.read(held).phase is PodPhase.ENDED
            if ended and podstatus.is_ours(held, run.uid) and "deletionTimestamp" not in held["metadata"]:
                await self._delete_pod(key, held["metadata"]["name"], held["metadata"]["uid"])
                self._mirror.forget_pod(held)

    async def _refresh(self, key: Key, uid: str) -> None:
        live = await self._api.get_run(key.namespace, key.name)
        if live is None:
            self._mirror.forget_run(key, uid)
        else:
            self._mirror.put_run(live)


def asked_cleanup(run: TaskRun, settings: Settings) -> PodCleanup:
    """The run's own policy, else the chart's."""
    return run.spec.pod_cleanup or PodCleanup(settings.task_defaults.get("podCleanup") or PodCleanup.KEEP_ALL)


def _remember_refusal(memory: Memory, error: ApiError, what: str, now: datetime) -> None:
    memory.refusals += 1
    wait = pause(memory.refusals, FIRST_RETRY, LAST_RETRY)
    why = refusal(error, what)
    final = why.reason is Reason.INVALID_SPEC
    memory.refusal = Refusal(why, final=final, retry_at=now + timedelta(seconds=wait))


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


def _dropped(memory: Memory) -> tuple[Event, ...]:
    """That a cache entry was dropped, said once."""
    why, memory.dropped = memory.dropped, None
    return (Event("Warning", EVENT_ENTRY_DROPPED, why),) if why else ()
