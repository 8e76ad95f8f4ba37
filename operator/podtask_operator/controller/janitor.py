"""Ends pods: those that a decision stops or deletes, those that live on after their judgement, and those to clean up.

Before: `applier` for decisions; `reconciler` for the rest, after the status is written. Every write names the pod's
UID, so a pod that took the name meanwhile is left alone.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from podtask.core.api.names import Ended, PodCleanup
from podtask.core.api.status import pod_name
from podtask.core.lifecycle.model import PodPhase
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import Api, ApiError
from podtask_operator.pods import status as podstatus
from podtask_operator.settings import Settings
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun, policy

log = logging.getLogger(__name__)

LEAVING = timedelta(seconds=5)
"""Beyond its grace: what a process that has stored its result may take to leave."""


class Janitor:
    """Stops and deletes pods of TaskRuns."""

    def __init__(self, api: Api, cluster: ClusterCache, settings: Settings) -> None:
        self._api = api
        self._cluster = cluster
        self._settings = settings

    async def stop(self, key: Key, name: str, uid: str) -> None:
        """End a pod gracefully and keep its object. Raises `Later` where the pod changed meanwhile."""
        patch: dict[str, Any] = {"metadata": {"uid": uid}, "spec": {"activeDeadlineSeconds": 1}}
        try:
            self._cluster.put_pod(await self._api.patch_pod(key.namespace, name, patch))
        except ApiError as error:
            if error.status != 404:
                await self._look_again(key, name, error)

    async def delete(self, key: Key, name: str, uid: str, *, force: bool = False) -> None:
        """Delete a pod. `force`: do not wait for its node. Raises `Later` where the pod changed meanwhile."""
        try:
            await self._api.delete_pod(key.namespace, name, uid, force=force)
        except ApiError as error:
            await self._look_again(key, name, error)

    async def reap(self, key: Key, run: TaskRun, now: datetime) -> datetime | None:
        """End pods that still run although their attempt was judged. Returns when to look again.

        A POST that took effect late made them. Or the attempt ended by its stored result: then its process is about to
        leave, and is stopped only where it does not.
        """
        again = None
        for attempt in run.status.attempts:
            name = pod_name(key.name, attempt)
            held = self._cluster.pods.get(Key(key.namespace, name)) if attempt.judged else None
            if held is None or not podstatus.is_ours(held, run.uid):
                continue
            pod = podstatus.read(held)
            if pod.phase is PodPhase.ENDED or "deletionTimestamp" in held["metadata"]:
                continue
            if attempt.outcome is Ended.COMPLETED and attempt.finished_at is not None:
                leave_by = attempt.finished_at + timedelta(seconds=policy(run).grace_seconds) + LEAVING
                if now < leave_by:
                    again = leave_by
                elif not pod.stopping:
                    log.warning(
                        "%s: attempt %d has stored its result and its pod runs on; it is stopped", key, attempt.number
                    )
                    await self.stop(key, name, pod.uid)
                continue
            log.warning("%s: attempt %d is judged and its pod lives; it is deleted", key, attempt.number)
            await self.delete(key, name, pod.uid)
        return again

    async def clean_up(self, key: Key, run: TaskRun) -> None:
        """Delete pods whose end the stored status holds, as spec.podCleanup says. Their names stay used."""
        cleanup = asked_cleanup(run, self._settings)
        if cleanup is PodCleanup.KEEP_ALL:
            return
        for attempt in run.status.attempts:
            held = self._cluster.pods.get(Key(key.namespace, pod_name(key.name, attempt)))
            if held is None or attempt.outcome is None or not cleanup.deletes(attempt.outcome):
                continue
            ended = podstatus.read(held).phase is PodPhase.ENDED
            if ended and podstatus.is_ours(held, run.uid) and "deletionTimestamp" not in held["metadata"]:
                await self.delete(key, held["metadata"]["name"], held["metadata"]["uid"])
                self._cluster.forget_pod(held)

    async def _look_again(self, key: Key, name: str, error: ApiError) -> None:
        """After a 409: another pod took the name, or another writer was in between. What to do is decided anew."""
        if error.status != 409:
            raise error
        live = await self._api.get_pod(key.namespace, name)
        if live is not None:
            self._cluster.put_pod(live)
        raise Later(f"pod {name} changed meanwhile: {error}") from error


def asked_cleanup(run: TaskRun, settings: Settings) -> PodCleanup:
    """The run's own policy, else the chart's."""
    return run.spec.pod_cleanup or PodCleanup(settings.task_defaults.get("podCleanup") or PodCleanup.KEEP_ALL)
