"""`kubernetes`: every call of a task becomes a TaskRun, and the operator does the rest.

    submit ──> (values, if a user's cache_key_fn wants them) ──> manifest ──POST──> cluster
    report <── logs <── watch <── status of the TaskRun <── operator

One POST per call and nothing else; futures among the arguments become upstream references, so dependents are
submitted at once as well. A call waits here, in the background, only for what the cluster cannot know: values for
a user's `cache_key_fn`, results of runs of another backend, and TaskRuns that wait so themselves.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from podtask.backends.kubernetes import cache_spec, local_statuses, manifest, progress
from podtask.backends.kubernetes.code_fields import CodeFields
from podtask.backends.kubernetes.flow_records import FlowRecords, of_another_flow_run
from podtask.backends.kubernetes.foreign_inputs import with_values
from podtask.backends.kubernetes.module_check import ImageContents
from podtask.backends.kubernetes.packed import Packed
from podtask.backends.kubernetes.pod_logs import NoLogs, PodLogs
from podtask.backends.kubernetes.watch import Watch, Watcher
from podtask.core.api.names import CLIENT_CALL_DIGEST, CLIENT_CONFIG_MAP, PLURAL, State
from podtask.core.api.status import ResultInfo
from podtask.errors import FlowReplayMismatch, PodtaskError, ResultUnavailable, SettingsError
from podtask.kube import status_json
from podtask.kube.bucket_access import BucketAccess, NoBucket
from podtask.kube.client import Api, Object, connect
from podtask.kube.errors import ClusterRefused
from podtask.kube.flow_runs import FlowRunApi
from podtask.kube.list_watch import ListWatch
from podtask.payloads.arguments import largest
from podtask.payloads.code import reaching
from podtask.payloads.module_policy import policy_of
from podtask.support.thread_pool import Workers

if TYPE_CHECKING:
    from podtask.core.api.status import ErrorInfo, Status
    from podtask.model.task_run import TaskRun
    from podtask.settings import Settings
    from podtask_runner.storage.spool import Payload

log = logging.getLogger("podtask.backends")

T = TypeVar("T")
SUBMITS = 8
"""POSTs of one `.map` at a time: hides the way to the API server and back (tests/bench/bench_sdk_submit.py)."""
LATE_THREADS = 8
"""For submissions that waited for something."""
GONE_SECONDS = 1800.0
"""How long a TaskRun of a deleted flow run is waited for: the garbage collector deletes some 20 objects a second."""
GONE_PAUSE = 2.0
TRIES = 3
"""Of a POST whose name was taken and free again a moment later."""


class KubernetesBackend:
    """Tasks on a cluster; see `podtask.engine.backend.Backend`."""

    name = "kubernetes"
    detachable = True
    remote = True
    own_interpreter = True
    submits_at_once = SUBMITS

    def __init__(
        self, settings: Settings, api: Api | None = None, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._sleep = sleep
        self._api = api or connect()
        self.namespace = settings.namespace or self._api.namespace
        published = partial(self._api.config_map, name=CLIENT_CONFIG_MAP)
        self._bucket = BucketAccess(self.namespace, published, settings.store, settings.s3_endpoint_url)
        self._code = CodeFields(self._bucket, ImageContents(self.namespace, published))
        read = partial(self._api.pod_log, self.namespace)
        self._logs = PodLogs(read, log_tail=self._log_tail) if shows_logs(settings) else NoLogs()
        self.flow_runs = FlowRecords(FlowRunApi(self._api), self.namespace)
        """Where flow runs are recorded; see `podtask.recording.record.FlowRunRecords`."""
        self._late = Workers(LATE_THREADS, "podtask-submit")
        self._watchers: dict[str, Watcher] = {}
        self._uids: weakref.WeakKeyDictionary[TaskRun, str] = weakref.WeakKeyDictionary()
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        """Runs that have no TaskRun yet, and whom to tell when that changes."""
        self._lock = threading.Lock()

    def submit(self, run: TaskRun) -> None:
        if run.inputs.blocked_by is not None:
            run.report(local_statuses.not_ready("given state", run.inputs.blocked_by.name))
            return
        run.shipment = Packed.of(run)
        latch = _Latch(lambda: self._late.submit(lambda: self._submit_late(run)))
        with self._lock:
            unfinished = self._to_wait_for(run, latch)
            late = bool(latch.left > 1 or unfinished) or cache_spec.needs_values(run)
            if late:
                self._waiting[run.id] = []
        if not late:
            self._post(run)
            return
        for needed in unfinished:
            needed.on_finished(latch.one_more())
        latch.count_down()

    def cancel(self, run: TaskRun) -> None:
        with self._lock:
            waits = run.id in self._waiting
        if waits:
            run.report(local_statuses.cancelled())
            self._has_taskrun_or_end(run)
            return
        try:
            self._api.cancel_run(self.namespace, run.id)
        except PodtaskError as error:  # after an interrupt the others are to be cancelled all the same
            log.warning("Task run '%s' goes on, it could not be cancelled: %s", run.name, error)

    def read(self, run: TaskRun, what: ResultInfo | ErrorInfo) -> bytes:
        return self._stored(run, what, self._bucket.read)

    def fetch(self, run: TaskRun, what: ResultInfo | ErrorInfo, path: Path) -> tuple[Path, str]:
        return path, self._stored(run, what, partial(self._bucket.download, path=path))

    def _stored(self, run: TaskRun, what: ResultInfo | ErrorInfo, read: Callable[..., T]) -> T:
        kind = "result" if isinstance(what, ResultInfo) else "error"
        uid = (what.source_uid if isinstance(what, ResultInfo) else None) or self._uids.get(run)
        attempt = what.attempt or run.status.attempts_total
        if uid is None or not attempt:
            raise ResultUnavailable(f"Nothing is stored of task run '{run.name}' ({self.namespace}/{run.id}).")
        try:
            whose = f"The {kind} of task run '{run.name}' ({self.namespace}/{run.id})"
            return read(uid, attempt, kind, whose, what.size or 0)
        except NoBucket as why:
            raise ResultUnavailable(str(why)) from why

    def _log_tail(self, run: TaskRun, attempt: int) -> bytes:
        """See `pod_logs.LogTail`. A log is worth no error: without the bucket it ends without them."""
        uid = self._uids.get(run)
        return b"" if uid is None else self._bucket.log_tail(uid, attempt)

    def saved(self, run: TaskRun) -> Any:
        return progress.last(self._bucket, run, self._uids.get(run))

    def close(self) -> None:
        for watcher in list(self._watchers.values()):
            watcher.close()
        self._logs.close()
        self._late.close()
        self._api.close()

    def _to_wait_for(self, run: TaskRun, latch: _Latch) -> list[TaskRun]:
        """Runs that must finish before this run's POST; those that only must be submitted get the latch at once."""
        unfinished = []
        for needed in {needed.id: needed for needed in run.needs}.values():
            if needed.finished:
                continue
            if needed.backend is not self or cache_spec.needs_values(run):
                unfinished.append(needed)
            elif needed.id in self._waiting:
                self._waiting[needed.id].append(latch.one_more())
        return unfinished

    def _submit_late(self, run: TaskRun) -> None:
        """Submit the run from a thread of its own. Any error ends the run."""
        try:
            if not run.finished:
                self._post(run)
        except BaseException as error:  # noqa: BLE001 - a user's cache_key_fn may raise anything
            local_statuses.crash(run, error)
        finally:
            self._has_taskrun_or_end(run)

    def _has_taskrun_or_end(self, run: TaskRun) -> None:
        with self._lock:
            told = self._waiting.pop(run.id, [])
        for tell in told:
            tell()

    def _post(self, run: TaskRun) -> None:
        """Create the TaskRun and follow it. Raises `FlowReplayMismatch`, and `PodtaskError` as a sentence."""
        elsewhere = [needed for needed in run.needs if needed.finished and needed not in self._uids]
        failed = next((needed for needed in run.failed_needs if needed in elsewhere), None)
        if failed is not None:
            run.report(local_statuses.not_ready(failed.id, failed.status.state))
            return
        body = self._manifest(run, {needed.id for needed in elsewhere})
        watcher = self._watcher(run.key.flow_run_id)
        watcher.watch.expect(run)
        try:
            obj = self._create(run, body)
        except BaseException:
            watcher.watch.drop(run)
            raise
        self._uids[run], run.shipment = obj["metadata"]["uid"], None
        known = status_json.read(obj)
        if known.finished:  # a restarted driver: its prints were shown before
            watcher.watch.drop(run)
            run.report(known)
            return
        watcher.watch.posted(run, obj)
        watcher.wake()
        if run.finished and run.status.attempts_total == 0 and run.status.state is State.CANCELLED:
            self._api.cancel_run(self.namespace, run.id)  # cancelled here, while it was submitted

    def _manifest(self, run: TaskRun, elsewhere: set[str]) -> Object:
        """The POST body. `elsewhere`: runs without a TaskRun; their results travel by value."""
        name = run.task.name
        packed: Packed = run.shipment or Packed.of(run)
        sent, plan = packed.sent, cache_spec.after_failures(run) or packed.cache or self._cache_plan(run)
        payload, files, named = run.inputs.payload, run.inputs.files, run.inputs.modules
        if any(upstream.id in elsewhere for upstream in run.upstreams):
            packing = policy_of(run.task).packing()
            payload, files = with_values(run, elsewhere, packing)
            named |= packing.by_name | packing.reached
            sent = reaching(run.task, sent, named)
            if (
                plan is not None and plan is packed.cache and not run.failed_needs
            ):  # made at the call, of what was not there yet
                plan = cache_spec.plan(run, packed.sent.identity, elsewhere)
        return manifest.build(
            run,
            namespace=self.namespace,
            digest=packed.digest,
            code=self._code.fields(run.task, sent, named),
            inputs=self._inputs(run, payload),
            files=[self._bucket.carry_file(file, f"{file!r} for task '{name}'") for file in files.values()],
            upstream=[up.id for up in run.upstreams if up.id not in elsewhere],
            wait_for=[up.id for up in run.wait_for if up.id not in elsewhere],
            uids={up.id: uid for up in run.needs if (uid := self._uids.get(up)) is not None},
            cache=plan,
            owner=self.flow_runs.owner_of(run.key.flow_run_id),
        )

    def _inputs(self, run: TaskRun, payload: Payload) -> Object:
        try:
            return self._bucket.carry(payload, f"What task '{run.task.name}' is called with")
        except NoBucket as why:
            raise NoBucket(f"{why} The largest argument is '{largest(run.inputs.parameters)}'.") from why

    def _cache_plan(self, run: TaskRun) -> Object | None:
        """Of a user's key. None also where a failed upstream leaves no values: the operator will say NotReady."""
        if not cache_spec.needs_values(run) or run.failed_needs:
            return None
        return cache_spec.plan(run)

    def _create(self, run: TaskRun, body: Object) -> Object:
        """The TaskRun: a new one, or that of an earlier try or driver, if it belongs to the same call."""
        tries = 0
        while tries < TRIES:
            tries += 1
            try:
                return self._api.create_run(self.namespace, body)
            except ClusterRefused as no:
                if no.reason != "AlreadyExists":
                    raise
            found = self._api.get_run(self.namespace, run.id)
            if found is not None and of_another_flow_run(found, body):
                self._wait_until_gone(run, found)
                tries -= 1
            elif found is not None:
                check_same_call(run, found, body)
                return found
        raise PodtaskError(f"{PLURAL} {self.namespace}/{run.id} is created and deleted by somebody else all the time.")

    def _wait_until_gone(self, run: TaskRun, obj: Object) -> None:
        """A TaskRun of a FlowRun that was deleted is deleted as well, at the pace of the garbage collector."""
        uid, waited = obj["metadata"]["uid"], 0.0
        while (live := self._api.get_run(self.namespace, run.id)) is not None and live["metadata"]["uid"] == uid:
            if waited == 0.0:
                log.warning("TaskRun %s belongs to a flow run that was deleted; waiting until it is gone.", run.id)
            if waited >= GONE_SECONDS:
                raise PodtaskError(
                    f"TaskRun {self.namespace}/{run.id} belongs to a flow run that was deleted, and is still there "
                    f"after {GONE_SECONDS:.0f} s. Delete it, then run the flow again: podtask delete {run.id}"
                )
            self._sleep(GONE_PAUSE)
            waited += GONE_PAUSE

    def _watcher(self, flow_run_id: str) -> Watcher:
        with self._lock:
            if flow_run_id not in self._watchers:
                for key in [key for key, old in self._watchers.items() if old.watch.idle]:
                    del self._watchers[key]
                source = ListWatch(self._api, self.namespace, selector=manifest.selector(flow_run_id))
                watch = Watch(source, self._news, time.monotonic)
                self._watchers[flow_run_id] = Watcher(watch, f"podtask-watch-{flow_run_id[:8]}")
            return self._watchers[flow_run_id]

    def _news(self, run: TaskRun, status: Status) -> None:
        if status.state is State.NOT_READY:
            local_statuses.after_the_cause(run, lambda: run.report(status))
        else:
            try:
                self._logs.update(run, status, lambda: run.report(status))
            except Exception:  # what it printed is not worth a run without an end
                log.exception("What task run '%s' printed cannot be shown", run.name)
                run.report(status)


class _Latch:
    """Calls `then` when its count reaches zero. The count starts at one for the code that sets it up."""

    def __init__(self, then: Callable[[], None]) -> None:
        self.left = 1
        self._then = then
        self._lock = threading.Lock()

    def one_more(self) -> Callable[[], None]:
        """Add one to the count. Returns the function that takes it off again."""
        with self._lock:
            self.left += 1
        return self.count_down

    def count_down(self) -> None:
        """Take one off the count."""
        with self._lock:
            self.left -= 1
            last = self.left == 0
        if last:
            self._then()


def shows_logs(settings: Settings) -> bool:
    """PODTASK_REMOTE_LOGS. Raises `SettingsError`."""
    word = settings.remote_logs.lower()
    if word not in ("on", "off"):
        raise SettingsError(f"PODTASK_REMOTE_LOGS must be on or off, not '{settings.remote_logs}'")
    return word == "on"


def check_same_call(run: TaskRun, stored: Object, body: Object) -> None:
    """Raises `FlowReplayMismatch` that names both calls, unless code and arguments are the same."""
    was, asked = _digest(stored), _digest(body)
    if was != asked:
        meta = stored["metadata"]
        name = stored.get("spec", {}).get("task", {}).get("name") or meta["name"]
        existing = f"task '{name}' with call digest {was[:12] or '(none)'}, created {meta.get('creationTimestamp')}"
        raise FlowReplayMismatch(run.id, existing, f"task '{run.task.name}' with call digest {asked[:12]}")


def _digest(obj: dict[str, Any]) -> str:
    return str(((obj.get("spec") or {}).get("client") or {}).get(CLIENT_CALL_DIGEST, ""))
