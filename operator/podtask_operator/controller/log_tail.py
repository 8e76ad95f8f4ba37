"""The last chunk of an attempt's log, when the runner was killed before it could write it.

Before: a decision that judges an attempt whose pod ended without a word of the runner. Next: the status write.
Best effort and bounded: a log never holds up the end of a run. Written once per attempt, so a restart doubles nothing.
"""

from __future__ import annotations

import logging

from podtask.core.api.status import Attempt, Status, pod_name
from podtask.core.lifecycle.model import PodPhase
from podtask.core.storage import StoreUnavailable, log_tail
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable
from podtask_operator.pods import status
from podtask_operator.storage.objects import Objects
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun

log = logging.getLogger(__name__)

GONE = "the pod is gone"
LINES = 500
READ_LIMIT = 4 * 1024 * 1024
"""Bytes; the server counts them from the start of the lines that are asked for."""
SECONDS = 5.0
"""A kubelet that is away must not keep the end of a run waiting."""


class LogTail:
    """Writes the last chunk of a log where the runner could not."""

    def __init__(self, api: Api, cluster: ClusterCache, objects: Objects) -> None:
        self._api = api
        self._cluster = cluster
        self._objects = objects

    async def keep(self, key: Key, run: TaskRun, judged: Status) -> None:
        """Write the last chunk of each attempt that is judged in `judged` and not yet in `run`."""
        before = {attempt.number for attempt in run.status.attempts if attempt.judged}
        for attempt in judged.attempts:
            if attempt.judged and attempt.number not in before and self._silent(key, run, attempt):
                await self._keep(key, run, attempt)

    def _silent(self, key: Key, run: TaskRun, attempt: Attempt) -> bool:
        """True where the container ran and ended without a report, or ran and its pod is gone."""
        held = self._cluster.pods.get(Key(key.namespace, pod_name(key.name, attempt)))
        if held is None or not status.is_ours(held, run.uid):
            return attempt.started_at is not None
        pod = status.read(held)
        return pod.phase is PodPhase.ENDED and pod.outcome is None and pod.started_at is not None

    async def _keep(self, key: Key, run: TaskRun, attempt: Attempt) -> None:
        number = attempt.number
        tail, unread = await self._tail(Key(key.namespace, pod_name(key.name, attempt)), run)
        try:
            if tail is None and await self._objects.answered(run, number):
                return  # the runner said all it had to say, and only the pod is gone
            chunk = log_tail.compose(await self._objects.end_of_log(run, number), tail, _ended(attempt), unread)
            await self._objects.put_log_tail(run, number, chunk)
        except StoreUnavailable as error:
            log.warning("%s: the last words of attempt %d are not in the bucket: %s", key, number, error)

    async def _tail(self, pod: Key, run: TaskRun) -> tuple[bytes | None, str]:
        """The end of the log of the run's own pod, or None and why not.

        A log is read by name, and a name can be taken by anybody. So the pod is looked at before, in the informer
        cache, and after, live: if it is there still, it was there in between.
        """
        held = self._cluster.pods.get(pod)
        if held is None or not status.is_ours(held, run.uid):
            return None, GONE
        try:
            tail = await self._api.pod_log(*pod, LINES, READ_LIMIT, SECONDS)
            live = await self._api.get_pod(*pod)
        except (ApiError, ApiUnavailable) as error:
            missing = isinstance(error, ApiError) and error.status == 404
            return None, GONE if missing else " ".join(str(error).split())[:200]
        return (tail, "") if status.is_ours(live, run.uid) else (None, GONE)


def _ended(attempt: Attempt) -> str:
    code = "" if attempt.exit_code is None else f", exit code {attempt.exit_code}"
    return f"attempt {attempt.number} ended ({attempt.reason or attempt.outcome}{code}) before its log was complete"
