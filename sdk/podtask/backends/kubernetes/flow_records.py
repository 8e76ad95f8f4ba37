"""The record of flow runs on a cluster: one FlowRun each, written by its driver.

    begin ──POST──> FlowRun <──watch, heartbeat── thread of the outermost run        end ──PATCH──> status

A POST when the flow starts, a PATCH when it ends; in between one thread per outermost flow run, which watches the
FlowRuns of its tree (cancelled, deleted, taken over) and writes a heartbeat a minute. Whether the TaskRuns of a flow
run have it as their owner is decided by the answer to the POST, once. Every write names the resourceVersion that it
knows, so of two drivers of one flow run the older one notices and stops writing.
Before: `podtask.recording.record`. Below: `podtask.kube.flow_runs`.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from podtask.backends.kubernetes.manifest import label_value
from podtask.core import clock
from podtask.core.api.names import (
    API_VERSION,
    CONDITION_DRIVER_LOST,
    FLOW_RUN_KIND,
    LABEL_FLOW,
    LABEL_FLOW_RUN,
    LABEL_ROOT_FLOW_RUN,
    FlowState,
)
from podtask.errors import PodtaskError
from podtask.kube.errors import ClusterRefused, ClusterUnreachable
from podtask.kube.resumable_watch import BOOKMARK, GONE, Change, Listed, Listing, ResumableWatch
from podtask.recording import document

if TYPE_CHECKING:
    from podtask.engine.flow_run import FlowRun
    from podtask.kube.flow_runs import FlowRunApi

log = logging.getLogger("podtask.recording")
Object = dict[str, Any]

OWNER_SECONDS = 2.0
"""How long the flow waits for its FlowRun; later than that its TaskRuns have no owner."""
WRITE_SECONDS = 5.0
BEAT_SECONDS = 60.0
BEAT_SPREAD = 0.2
"""Heartbeats of many drivers that started together drift apart."""
SHORT_WATCH = 1.0
TRIES = 3
NEVER = frozenset({401, 403, 404})


class FlowRecords:
    """`podtask.recording.record.FlowRunRecords` of one namespace."""

    def __init__(
        self, api: FlowRunApi, namespace: str, monotonic: Callable[[], float] = time.monotonic, *, beats: bool = True
    ) -> None:
        self.api = api
        self.namespace = namespace
        self.monotonic = monotonic
        self._beats = beats
        self._kept: dict[str, Recorded] = {}
        self._off = False
        self._lock = threading.Lock()

    def begin(self, flow: FlowRun, spec: Object) -> Recorded | None:
        """See `FlowRunRecords.begin`."""
        inside = flow.parent is not None and flow.parent.backend is flow.backend
        around = self._kept.get(flow.parent.info.id) if flow.parent is not None and inside else None
        if self._off or (inside and (around is None or around.owner is None)):
            return None
        record = Recorded(self, flow, spec, around)
        try:
            record.open()
        except ClusterRefused as no:
            self._refused(no)
            return None
        with self._lock:
            self._kept[flow.info.id] = record
        if around is None and self._beats:
            record.follow()
        return record

    def owner_of(self, flow_run_id: str) -> Object | None:
        """The owner reference for TaskRuns of this flow run."""
        record = self._kept.get(flow_run_id)
        return record.owner if record is not None else None

    def named(self, name: str) -> Recorded | None:
        """The flow run of this id, where this process drives it."""
        return self._kept.get(name)

    def tree(self, root: Recorded) -> list[Recorded]:
        """The flow run and its subflows that this process drives."""
        with self._lock:
            return [record for record in self._kept.values() if record.root is root]

    def forget(self, record: Recorded) -> None:
        """Remove a flow run that has ended in this process."""
        with self._lock:
            self._kept.pop(record.name, None)

    def _refused(self, no: ClusterRefused) -> None:
        """A right that is missing will be missing for the next flow run as well."""
        with self._lock:
            said, self._off = self._off, no.status in NEVER
        if not said:
            log.warning("Flow runs are not recorded; the flow runs all the same. %s", no)


class Recorded:
    """One flow run of this process and its FlowRun."""

    def __init__(self, keeper: FlowRecords, flow: FlowRun, spec: Object, around: Recorded | None) -> None:
        self.name = flow.info.id
        self.owner: Object | None = None
        """Reference to the FlowRun; None where it was not there in time."""
        self.root: Recorded = around.root if around is not None else self
        self._keeper = keeper
        self._flow = flow
        self._body = _manifest(flow, spec, around)
        self._driver: Object = spec["driver"]
        self._uid: str | None = None
        self._version = ""
        self._heartbeat = 0
        self._owned = True
        """False once the FlowRun is another driver's, or gone."""
        self._closed = threading.Event()
        self._lock = threading.RLock()

    def open(self) -> None:
        """POST the FlowRun, or take over the one that is there. Raises `ClusterRefused`."""
        try:
            self._take(self._keeper.api.create(self._keeper.namespace, self._body, seconds=OWNER_SECONDS))
        except ClusterUnreachable as late:
            log.warning("The FlowRun of '%s' is not there in time, so its TaskRuns have no owner: %s", self.name, late)
            return
        except ClusterRefused as no:
            if no.reason != "AlreadyExists":
                raise
            self._attach()
        if self._uid is not None and self._owned:
            self.owner = _reference(self.name, self._uid)

    def end(self, status: Object) -> None:
        """See `RecordedFlowRun.end`."""
        self.leave()
        self._write(status)

    def leave(self) -> None:
        """See `RecordedFlowRun.leave`."""
        self._closed.set()
        self._keeper.forget(self)

    def follow(self) -> None:
        """Start the thread that follows an outermost flow run."""
        threading.Thread(target=self._live, name=f"podtask-flow-{self.name[:8]}", daemon=True).start()

    def news(self, obj: Object) -> None:
        """The watch shows the FlowRun in a newer version."""
        with self._lock:
            if obj["metadata"]["uid"] == self._uid and not _older(obj, self._version):
                self._take(obj)

    def gone(self, uid: str | None = None) -> None:
        """The FlowRun was deleted; `uid`: which one."""
        with self._lock:
            if self._uid is None or uid not in (None, self._uid):
                return
            self._owned = False
        self._flow.end_by(f"Flow run '{self._flow.info.name}' was deleted.")

    def beat(self) -> None:
        """Write a heartbeat."""
        self._write({"heartbeat": self._heartbeat + 1, **document.progress(self._flow.runs)})

    def _attach(self) -> None:
        """The FlowRun of an earlier driver of the same flow run. Raises `ClusterRefused`."""
        for _ in range(TRIES):
            obj = self._keeper.api.get(self._keeper.namespace, self.name)
            if obj is None:
                self._take(self._keeper.api.create(self._keeper.namespace, self._body, seconds=OWNER_SECONDS))
                return
            was = _driver_of(obj)
            self._uid, self._version = obj["metadata"]["uid"], str(obj["metadata"]["resourceVersion"])
            if was.get("id") == self._driver["id"] or _is_going(obj):
                self._take(obj)
                return
            patch = document.reopened(obj.get("status") or {}, self._driver, clock.now())
            try:
                self._take(self._patch(patch))
            except ClusterRefused as no:
                if no.status != 409 or no.reason == "AlreadyExists":
                    raise
                continue
            _say_taken_over(self._flow.info.name, obj, was)
            return
        raise ClusterRefused(f"FlowRun {self.name} is written by somebody else all the time.", 409, "Conflict")

    def _take(self, obj: Object) -> None:
        """The API server's answer, or news. Somebody may have cancelled or deleted it, or be its driver now."""
        meta = obj["metadata"]
        self._uid, self._version = meta["uid"], str(meta["resourceVersion"])
        self._heartbeat = int((obj.get("status") or {}).get("heartbeat") or 0)
        if _is_going(obj):
            self.gone()
            return
        if obj["spec"].get("cancel"):
            self._flow.end_by(
                f"Flow run '{self._flow.info.name}' was cancelled (podtask retry flow/{self.name} takes that back)."
            )
        other = _driver_of(obj)
        if other.get("id") != self._driver["id"] and self._owned:
            self._owned = False
            log.warning(
                "Flow run '%s' is driven by another process now, on %s; this one writes no more about it.",
                self._flow.info.name,
                other.get("host") or "an unknown host",
            )

    def _write(self, status: Object) -> None:
        """PATCH the status, unless the FlowRun is no longer this driver's. Raises nothing."""
        with self._lock:
            try:
                for _ in range(TRIES):
                    if not self._owned or self._written(status):
                        return
            except PodtaskError as error:
                log.info("FlowRun %s could not be written: %s", self.name, error)

    def _written(self, status: Object) -> bool:
        api, namespace = self._keeper.api, self._keeper.namespace
        try:
            if self._uid is None:  # the POST got no answer; whether it was applied is not known
                self._take(api.create(namespace, self._body, seconds=WRITE_SECONDS))
            self._take(self._patch(status))
        except ClusterRefused as no:
            if no.status == 404:
                self.gone()
                return True
            if no.status != 409:
                raise
            live = api.get(namespace, self.name)
            if live is None or self._uid not in (None, live["metadata"]["uid"]):
                self.gone()
            else:
                self._take(live)
            return False
        return True

    def _patch(self, status: Object) -> Object:
        meta = {"uid": self._uid, "resourceVersion": self._version}
        body = {"metadata": meta, "status": status}
        return self._keeper.api.patch_status(self._keeper.namespace, self.name, body, seconds=WRITE_SECONDS)

    def _live(self) -> None:
        """The thread: watch until the next heartbeat is due, then write it."""
        watched = Watched(self._keeper, self, self._closed, self._version)
        while not self._closed.is_set():
            pause = BEAT_SECONDS * random.uniform(1 - BEAT_SPREAD, 1 + BEAT_SPREAD)  # noqa: S311 - no secret
            watched.follow(self._keeper.monotonic() + pause)
            if not self._closed.is_set():
                self.beat()


class Watched:
    """The watch of one tree of FlowRuns: whether somebody cancels, deletes or takes over one of them."""

    def __init__(self, keeper: FlowRecords, root: Recorded, closed: threading.Event, version: str) -> None:
        self._keeper = keeper
        self._root = root
        self._closed = closed
        source = keeper.api.listed(keeper.namespace, f"{LABEL_ROOT_FLOW_RUN}={root.name}")
        self._watch = ResumableWatch(source, version)

    def follow(self, until: float) -> None:
        """Take news until then, or until the flow ends. Raises nothing that a cluster can answer."""

        def left() -> float:
            return 0.0 if self._closed.is_set() else until - self._keeper.monotonic()

        def pause_after(error: ClusterRefused | ClusterUnreachable, _: int) -> float:
            if not isinstance(error, ClusterRefused):
                return WRITE_SECONDS
            return SHORT_WATCH if error.status == GONE else BEAT_SECONDS

        there: list[Recorded] = []
        for step in self._watch.follow(left, pause_after, self._closed.wait):
            if self._closed.is_set():
                return
            match step:
                case Listing():
                    there = self._keeper.tree(self._root)
                case Listed(items):
                    self._list(there, items)
                case Change(kind, obj) if kind != BOOKMARK:
                    self._event(kind, obj)

    def _event(self, kind: str, obj: Object) -> None:
        record = self._keeper.named(obj["metadata"].get("name", ""))
        if record is None:
            return
        if kind == "DELETED":
            record.gone(obj["metadata"]["uid"])
        else:
            record.news(obj)

    def _list(self, before: list[Recorded], items: list[Object]) -> None:
        there = {obj["metadata"]["name"]: obj for obj in items}
        for record in before:
            if record.name in there:
                record.news(there[record.name])
            else:
                record.gone()


def of_another_flow_run(task_run: Object, body: Object) -> bool:
    """Whether a TaskRun that is there belongs to an older FlowRun than the one that is about to be posted."""
    ours, theirs = _owner(body), _owner(task_run)
    return ours is not None and theirs is not None and ours["uid"] != theirs["uid"]


def _owner(task_run: Object) -> Object | None:
    owners = task_run["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("kind") == FLOW_RUN_KIND), None)


def _manifest(flow: FlowRun, spec: Object, around: Recorded | None) -> Object:
    meta: Object = {
        "name": flow.info.id,
        "labels": {
            LABEL_FLOW: label_value(flow.info.flow_name),
            LABEL_FLOW_RUN: label_value(flow.info.id),
            LABEL_ROOT_FLOW_RUN: label_value(around.root.name if around is not None else flow.info.id),
        },
    }
    if around is None or around.owner is None:
        spec = dict(spec)
    else:
        meta["ownerReferences"] = [around.owner]
        spec = {**spec, "parent": {"name": around.name, "uid": around.owner["uid"]}}
    return {"apiVersion": API_VERSION, "kind": FLOW_RUN_KIND, "metadata": meta, "spec": spec}


def _reference(name: str, uid: str) -> Object:
    """No right to `flowruns/finalizers` is needed for it, which `blockOwnerDeletion: true` would."""
    kept = {"controller": False, "blockOwnerDeletion": False}
    return {"apiVersion": API_VERSION, "kind": FLOW_RUN_KIND, "name": name, "uid": uid, **kept}


def _driver_of(obj: Object) -> Object:
    found: Object = (obj.get("status") or {}).get("driver") or obj["spec"].get("driver") or {}
    return found


def _older(obj: Object, version: str) -> bool:
    """Whether a watch tells of something that an answer has overtaken."""
    told = str(obj["metadata"]["resourceVersion"])
    return told.isdecimal() and version.isdecimal() and int(told) < int(version)


def _is_going(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def _say_taken_over(name: str, obj: Object, was: Object) -> None:
    status = obj.get("status") or {}
    lost = any(one.get("type") == CONDITION_DRIVER_LOST for one in status.get("conditions") or ())
    if status.get("state", FlowState.RUNNING.value) == FlowState.RUNNING.value and not lost:
        log.warning(
            "Flow run '%s' was driven by a process on %s and had not ended; this process goes on with it. "
            "If the other one still runs, stop it.",
            name,
            was.get("host") or "an unknown host",
        )
