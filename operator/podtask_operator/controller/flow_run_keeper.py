"""What the operator does about FlowRuns: says that a driver is lost, and deletes whole trees after their time to live.

No clock of a driver's is compared with anybody's: a heartbeat is a counter, and what is timed is by this process's own
monotonic clock how long it has not changed. After a start every driver has the full time once more.
The time to live counts from the condition `Settled`, which is written when everything of an outermost run has ended:
so it survives a restart, and a driver that attaches again removes it.
Before: `intake` (which names what changed). Writes: conditions only, each with the resourceVersion it was decided by.
"""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

from podtask.core.api.names import CONDITION_DRIVER_LOST, CONDITION_SETTLED
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.work_queue import Later, WorkQueue
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable
from podtask_operator.task_runs.flow_run import FlowRun, Object
from podtask_operator.task_runs.key import Key

log = logging.getLogger(__name__)

LOST_SECONDS = 180.0
"""Without a new heartbeat: two of them missed, and as long again for a slow one."""
NEEDED_SECONDS = 60.0
"""How long until it is looked again whether anybody still needs a TaskRun of a tree whose time is over."""
CONCURRENCY = 4


class FlowRunKeeper:
    """Updates or deletes one FlowRun at a time."""

    def __init__(
        self,
        api: Api,
        cluster: ClusterCache,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._cluster = cluster
        self._clock = clock
        self._monotonic = monotonic
        self.queue = WorkQueue(self.look, CONCURRENCY)

    def task_run_ended(self, key: Key) -> None:
        """A TaskRun has ended. Its FlowRun is looked at, because it may have been the last one."""
        owner = self._cluster.flow_runs.owner_of(key)
        if owner is None:
            return
        root = self._cluster.flow_runs.root(owner)
        if root.ttl_seconds is not None and (root.finished or root.condition(CONDITION_DRIVER_LOST)):
            self.queue.add(root.key)

    async def look(self, key: Key) -> None:
        """Bring one FlowRun's conditions up to date, or delete it. Raises `Later`."""
        run = self._cluster.flow_runs.get(key)
        if run is None or run.deleting or not self._cluster.served.works_in(key.namespace):
            return
        if run.parent is not None:  # its driver is that of the run around it, and so is its time
            root = self._cluster.flow_runs.root(run)
            if root is not run:
                self.queue.add(root.key)
            return
        try:
            run = await self._driver(run)
            await self._time_to_live(run)
        except ApiUnavailable as error:
            raise Later(str(error)) from error
        except ApiError as error:
            if error.status != 409:
                raise
            await self._refresh(key)
            raise Later(f"the FlowRun changed meanwhile: {error}") from error

    async def _driver(self, run: FlowRun) -> FlowRun:
        """Set DriverLost when the heartbeat stands still. Remove it when the heartbeat moves again."""
        held = run.condition(CONDITION_DRIVER_LOST)
        silent = self._monotonic() - run.beaten_at
        lost = not run.finished and silent >= LOST_SECONDS
        if not run.finished and not lost:
            self.queue.add_after(run.key, LOST_SECONDS - silent)
        if lost and held is None:
            log.info("the driver of flow run %s is lost", run.key)
            return await self._write(run, CONDITION_DRIVER_LOST, "HeartbeatMissed", driver_lost(run))
        if held is not None and not lost:
            return await self._write(run, CONDITION_DRIVER_LOST)
        return run

    async def _time_to_live(self, run: FlowRun) -> None:
        settled = run.condition(CONDITION_SETTLED)
        seconds = run.ttl_seconds
        if seconds is None or not self._over(run):
            if settled is not None:
                await self._write(run, CONDITION_SETTLED)
            return
        if settled is None:
            text = "Everything of this flow run has ended. The time to live counts from here."
            run = await self._write(run, CONDITION_SETTLED, "Ended", text)
            settled = run.condition(CONDITION_SETTLED)
        since = _time(settled)
        if since is None:
            return
        left = seconds - (self._clock() - since).total_seconds()
        if left > 0:
            self.queue.add_after(run.key, left)
        elif self._needed(run):
            self.queue.add_after(run.key, NEEDED_SECONDS)
        else:
            await self._api.delete_flow_run(run.key.namespace, run.key.name, run.uid)

    def _over(self, run: FlowRun) -> bool:
        """The tree has ended; or its driver is lost, and nothing of it runs."""
        flow_runs = self._cluster.flow_runs
        lost = run.condition(CONDITION_DRIVER_LOST) is not None
        if not lost and not all(each.finished for each in flow_runs.tree(run.uid)):
            return False
        return next(flow_runs.unfinished(run.uid), None) is None

    def _needed(self, run: FlowRun) -> bool:
        """Whether an unfinished TaskRun names one of its TaskRuns: of the tree none is unfinished."""
        return any(self._cluster.needed(key) for key in self._cluster.flow_runs.members(run.uid))

    async def _write(self, run: FlowRun, kind: str, reason: str = "", message: str = "") -> FlowRun:
        """Set a condition, or with no reason take it away. The others, the driver's, stay as they were read."""
        others = [one for one in run.conditions if one.get("type") != kind]
        now = f"{self._clock().astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S.%f}Z"
        one = {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now}
        conditions = [*others, one] if reason else others
        meta = {"uid": run.uid, "resourceVersion": run.resource_version}
        body: Object = {"metadata": meta, "status": {"conditions": conditions or None}}
        answer = await self._api.patch_flow_run_status(run.key.namespace, run.key.name, body)
        self._cluster.flow_runs.put(answer)
        after = self._cluster.flow_runs.get(run.key)
        return after if after is not None and after.uid == run.uid else replace(run, conditions=tuple(conditions))

    async def _refresh(self, key: Key) -> None:
        live = await self._api.get_flow_run(*key)
        if live is None:
            self._cluster.flow_runs.forget(key)
        else:
            self._cluster.flow_runs.put(live)


def changed(before: FlowRun, after: FlowRun | None) -> bool:
    """True where more than the heartbeat changed, or where a driver that counted as lost sent a heartbeat."""
    if after is None:
        return True
    beat = replace(before, resource_version="", heartbeat=0) == replace(after, resource_version="", heartbeat=0)
    return not beat or after.condition(CONDITION_DRIVER_LOST) is not None


def driver_lost(run: FlowRun) -> str:
    """What happened and the cure, in words."""
    where = f" on {run.host}" if run.host else ""
    program = run.program or "PROGRAM"
    again = f"podtask retry flow/{run.key.name}"
    if run.pin and not run.in_cluster:  # quoted, because it is copied into a shell and a tenant wrote it
        again = f"PODTASK_FLOW_RUN_ID={shlex.quote(run.pin)} python {shlex.quote(program)}"
    return (
        f"The driver{where} has given no sign of life for {LOST_SECONDS:.0f} s. What runs goes on. "
        f"To go on with the flow: {again}"
    )[:1024]


def _time(condition: Object | None) -> datetime | None:
    """When the condition came; a time that cannot be read is none."""
    text = str((condition or {}).get("lastTransitionTime") or "")
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return when if when.tzinfo is not None else None
