"""Writes to the TaskRun itself: its status, with the resourceVersion that was decided by, and its deletion.

Before: `applier`. Next: `event_recorder`, and only after the write succeeded. An answer goes into the informer cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from podtask.core.api.names import EVENT_ENTRY_DROPPED, EVENT_STORE_REFUSED, Reason
from podtask.core.api.status import Status
from podtask.core.lifecycle.rendering import Event, events, rendered
from podtask.core.storage import StoreRefused
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.event_recorder import EventRecorder
from podtask_operator.controller.expectations import RunExpectations
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.answers import Object
from podtask_operator.kube.client import Api, ApiError
from podtask_operator.runtime import metrics
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun, policy
from podtask_operator.task_runs.status_patch import dump, merge_patch

TOO_LARGE: Final = 413
"""What `kube.answers` makes of etcd's refusal."""


class StatusWriter:
    """Writes the status, once per decision."""

    def __init__(self, api: Api, cluster: ClusterCache, recorder: EventRecorder) -> None:
        self._api = api
        self._cluster = cluster
        self._recorder = recorder

    async def write(
        self, key: Key, run: TaskRun, status: Status, expectations: RunExpectations
    ) -> tuple[TaskRun, Object]:
        """Patch the status. The stored status is what the next reader sees, or nothing happened.

        Returns the run as it is held from now on, and whole as the API server has it, with the payloads that a launch
        needs. Raises `Later` where the TaskRun changed meanwhile.
        """
        view = rendered(status, policy(run), run.created_at, run.generation)
        patch = merge_patch(run.raw_status, dump(view))
        body = {"metadata": {"resourceVersion": run.resource_version, "uid": run.uid}, "status": patch}
        began = status.running if status.attempts_total > run.status.attempts_total else None
        if began is not None:
            expectations.recording(began.number, began.recorded_at, run.resource_version)
            self._cluster.recording(key, run)
        try:
            try:
                answer = await self._api.patch_status(key.namespace, key.name, body)
            except ApiError as error:
                if error.status != TOO_LARGE or run.too_large is None:
                    raise
                answer = await self._api.patch_status(key.namespace, key.name, {**body, "status": _least(patch)})
        except ApiError as error:
            expectations.answered()
            self._cluster.recorded(key, run)
            self._cluster.stock.release(key)
            if error.status == TOO_LARGE and run.too_large is not None:
                self._say_once(run, expectations, run.too_large)
                raise Later(str(error)) from error
            if error.status not in (404, 409):
                raise
            await self._refresh(key, run.uid)
            raise Later(f"the TaskRun changed meanwhile ({error.status})") from error
        if began is not None:
            expectations.recorded(began.number)
        if status.attempts_total == 0:
            expectations.wait()
        metrics.transition(run.status, status)
        self._cluster.put_run(answer)
        held = self._cluster.runs.get(key)
        same = held is not None and held.resource_version == answer["metadata"]["resourceVersion"]
        written = held if held is not None and same else TaskRun.parse(answer)  # the watch may have been quicker
        self._recorder.tell(written, (*events(run.status, status), *_dropped(expectations)))
        return written, answer

    async def observed(self, key: Key, run: TaskRun) -> TaskRun:
        """Say that the status is about the spec as it is, where nothing else of it changes. Raises as `write`.

        Without it tools that wait for a resource (Flux, Helm, kstatus) wait for ever once a finished run was patched.
        """
        status = {"observedGeneration": run.generation}
        body = {"metadata": {"resourceVersion": run.resource_version, "uid": run.uid}, "status": status}
        try:
            answer = await self._api.patch_status(key.namespace, key.name, body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            await self._refresh(key, run.uid)
            raise Later(f"the TaskRun changed meanwhile ({error.status})") from error
        self._cluster.put_run(answer)
        return self._cluster.runs.get(key, run)

    async def delete(self, key: Key, uid: str) -> None:
        """Delete the TaskRun. Raises `Later` where it changed meanwhile."""
        try:
            await self._api.delete_run(key.namespace, key.name, uid)
        except ApiError as error:
            if error.status != 409:
                raise
            await self._refresh(key, uid)
            raise Later(f"the TaskRun was not deleted: {error}") from error

    def tell_refusal(self, key: Key, error: StoreRefused) -> None:
        """The run waits for a bucket that waiting does not heal: said once for each thing that is refused."""
        run = self._cluster.runs.get(key)
        if run is not None and self._cluster.expectations.of(key, run.uid).new_to_say(str(error)):
            self._recorder.tell(run, (Event("Warning", EVENT_STORE_REFUSED, f"The operator {error}"),))

    def _say_once(self, run: TaskRun, expectations: RunExpectations, text: str) -> None:
        """In an Event, because not even the least status fits beside what the TaskRun holds."""
        if expectations.new_to_say(text):
            self._recorder.tell(run, (Event("Warning", str(Reason.INVALID_SPEC), text),))

    async def _refresh(self, key: Key, uid: str) -> None:
        live = await self._api.get_run(key.namespace, key.name)
        if live is None:
            self._cluster.forget_run(key, uid)
        else:
            self._cluster.put_run(live)


def _least(patch: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest status that says how the run ended, for a TaskRun that fills its etcd entry."""
    kept = {name: patch[name] for name in ("state", "reason", "finishedAt") if name in patch}
    conditions = [{**condition, "message": ""} for condition in patch.get("conditions") or ()]
    return {**kept, **({"conditions": conditions} if conditions else {})}


def _dropped(expectations: RunExpectations) -> tuple[Event, ...]:
    """That a cache entry was dropped, said once."""
    why = expectations.take_dropped()
    return (Event("Warning", EVENT_ENTRY_DROPPED, why),) if why else ()
