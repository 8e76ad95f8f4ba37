"""A decision becomes writes, in an order that may be cut off anywhere.

    cache pointer, last words, grants ──> one status patch (with resourceVersion) ──> Secret, pod, stop, delete
                                                                                     checkpoints of a completed run

Before: `podtask.core.lifecycle.decide`. The writes themselves: `status_writer`, `pod_launcher`, `janitor`.
"""

from __future__ import annotations

from datetime import datetime

from podtask.core.api.names import State
from podtask.core.api.status import own_pod_name, pod_name
from podtask.core.lifecycle.model import Decision, DeletePod, DeleteRun, Effect, Launch, Publish, Release, Stop
from podtask_operator.controller.expectations import RunExpectations
from podtask_operator.controller.janitor import Janitor
from podtask_operator.controller.log_tail import LogTail
from podtask_operator.controller.pod_launcher import PodLauncher
from podtask_operator.controller.status_writer import StatusWriter
from podtask_operator.kube.answers import Object
from podtask_operator.settings import Settings
from podtask_operator.storage.objects import Objects
from podtask_operator.task_runs.cache_key import Composed, composed_key, identified
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun


class Applier:
    """Carries out the effects of a decision, one after the other."""

    def __init__(
        self,
        writer: StatusWriter,
        launcher: PodLauncher,
        janitor: Janitor,
        log_tail: LogTail,
        objects: Objects,
        settings: Settings,
    ) -> None:
        self._writer = writer
        self._launcher = launcher
        self._janitor = janitor
        self._log_tail = log_tail
        self._objects = objects
        self._settings = settings

    async def apply(
        self, key: Key, run: TaskRun, decision: Decision, expectations: RunExpectations, now: datetime
    ) -> None:
        """Perform one decision. Raises `Later` where the run changed, `ApiUnavailable`, `StoreUnavailable`."""
        for effect in decision.effects:
            if isinstance(effect, Publish):
                await self._objects.publish(run, effect, self._composed(run, effect.key, expectations), now)
        for effect in decision.effects:
            if isinstance(effect, Release) and decision.status != run.status:  # also where the answer is lost
                expectations.unclaimed(effect.attempt)
        before, stored = run, None
        if decision.status != run.status:
            await self._log_tail.keep(key, run, decision.status)
            if decision.status.finished and not run.status.finished:
                await self._objects.retain(run, now)
                await self._launcher.revoke(run, decision.status, expectations)
            run, stored = await self._writer.write(key, run, decision.status, expectations)
        elif run.outdated and not any(isinstance(effect, DeleteRun) for effect in decision.effects):
            run = await self._writer.observed(key, run)
        for effect in decision.effects:
            await self._perform(key, run, effect, expectations, now, stored)
        if decision.status.state is State.COMPLETED and not before.status.finished:
            await self._objects.drop_checkpoints(before)

    def _composed(self, run: TaskRun, cache_key: str, expectations: RunExpectations) -> Composed:
        """The cache key with its components. It is computed again where another operator started the run."""
        composed = expectations.expected.composed
        composed = composed or composed_key(run, identified(run.status.inputs), self._settings)
        return composed if composed.key == cache_key else Composed(cache_key)

    async def _perform(
        self,
        key: Key,
        run: TaskRun,
        effect: Effect,
        expectations: RunExpectations,
        now: datetime,
        stored: Object | None,
    ) -> None:
        if isinstance(effect, Launch):
            await self._launcher.launch(key, effect.attempt, expectations, now, stored)
        elif isinstance(effect, Release):
            await self._launcher.claims.release(key, effect, expectations)
        elif isinstance(effect, Stop):
            await self._janitor.stop(key, _pod(run, effect.attempt), effect.pod_uid)
        elif isinstance(effect, DeletePod):
            await self._janitor.delete(key, _pod(run, effect.attempt), effect.pod_uid, force=effect.force)
        elif isinstance(effect, DeleteRun):
            await self._writer.delete(key, run.uid)


def _pod(run: TaskRun, number: int) -> str:
    """The name of an attempt's pod, as the status records it."""
    attempt = next((attempt for attempt in run.status.attempts if attempt.number == number), None)
    return own_pod_name(run.name, number) if attempt is None else pod_name(run.name, attempt)
