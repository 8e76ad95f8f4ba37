"""What the operator holds of the cluster: the informer cache of TaskRuns and their pods, and who holds a slot.

Fed by `intake` (watch events), `resync` (lists) and the answers to own writes; an older resourceVersion never
replaces a newer one. Holds projections: no managedFields, no payloads (those are read live when a pod is built).
Read by `observer`. What this process itself did, and no watch has shown yet, is in `expectations`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from sys import intern

from podtask.core.api.names import Ended, Reason
from podtask.core.api.status import pod_name
from podtask.core.lifecycle.concurrency import Name, Slots
from podtask.core.lifecycle.model import Limit, PodPhase
from podtask_operator.controller.expectations import Expectations, RunExpectations
from podtask_operator.ownership.served import Served
from podtask_operator.pods import status
from podtask_operator.pods.held import Pods
from podtask_operator.pods.owner import owner_key
from podtask_operator.task_runs.flow_run import FlowRuns, Object
from podtask_operator.task_runs.held import kept, projected
from podtask_operator.task_runs.key import Key, Keys
from podtask_operator.task_runs.needs import Needs
from podtask_operator.task_runs.parse import Malformed, TaskRun
from podtask_operator.warm_pods.stock import Stock

log = logging.getLogger(__name__)

Version = tuple[str, str]
"""UID and resourceVersion."""
NAMESPACES_HELD = 10_000
"""Namespaces whose last deletion of a TaskRun is remembered."""


@dataclass
class ClusterCache:
    """TaskRuns and pods by key, and an index of the runs to wake when one of them changes."""

    runs: dict[Key, TaskRun] = field(default_factory=dict)
    malformed: dict[Key, Version] = field(default_factory=dict)
    unfinished: Keys = field(default_factory=Keys)
    """Of the runs, those that have not ended."""
    _keys: Keys = field(default_factory=Keys)
    """Of the runs and the malformed ones."""
    pods: Pods = field(default_factory=Pods)
    slots: Slots[Key] = field(default_factory=Slots)
    flow_runs: FlowRuns = field(default_factory=FlowRuns)
    stock: Stock = field(default_factory=Stock)
    expectations: Expectations = field(default_factory=Expectations)
    ended: Callable[[TaskRun, Object], None] = lambda run, obj: None  # noqa: ARG005
    """Told of every end that is seen, once, while there is still all of it."""
    served: Served = field(default_factory=Served)
    """In which namespaces this process works."""
    _gone: int = 0
    """TaskRuns that are gone by now."""
    _last_gone: dict[str, int] = field(default_factory=dict)
    """Namespace -> `_gone` when the last TaskRun of it went."""
    _gone_floor: int = 0
    """What counts for a namespace that is not among them."""
    _unheard: list[Key] = field(default_factory=list)
    _needs: Needs = field(default_factory=Needs)

    def put_run(self, obj: Object) -> Key | None:
        """Store a TaskRun. Returns its key when anything changed, else None."""
        meta = obj["metadata"]
        key = Key(meta["namespace"], meta["name"])
        held = self.runs.get(key)
        if held is not None and not _newer(meta, held.resource_version):
            return None
        try:
            seen = projected(obj)
            whole = TaskRun.parse(seen)
            run = kept(whole, seen)
        except Malformed as why:
            version = version_of(meta)
            if self.malformed.get(key) != version:  # a list tells of it again and again
                log.warning("%s is left alone: %s", key, why)
            self._unheard += self.concerned(key, gone=True)
            self._forget(key)
            self.malformed[key] = version
            self._keys.add(key)
            return None
        self.malformed.pop(key, None)
        if held is not None and held.uid != run.uid:  # nobody was told that the old one is gone
            self._unheard += self._needs.dependents(key)
            self._forget(key)
        key = Key(run.namespace, run.name)  # equal, and of texts that are held anyway
        self.runs[key] = run
        self._keys.add(key)
        if run.flow_run is not None:
            self.flow_runs.own(key, run.flow_run.uid, finished=run.status.finished)
        if run.status.finished:  # then nothing is expected of it, unless this process saw to its end
            expectations = self.expectations.held(key, run.uid)
        else:
            expectations = self.expectations.of(key, run.uid, run.created_at)  # from its first sight on
        self.stock.recorded(key, run)
        self._index(key, run, expectations)
        before = held is not None and held.uid == run.uid and held.status.finished
        if not before and run.status.finished:
            self._needs.ended(key)
            self.ended(whole, obj)
        return key

    def versions(self, namespace: str | None) -> dict[Key, Version]:
        """Key and version of every TaskRun of one namespace, or of all. Malformed ones are included."""
        return {key: version for key in self._keys.within(namespace) if (version := self.version(key)) is not None}

    def version(self, key: Key) -> Version | None:
        """The version of a TaskRun, malformed or not. None where there is no such TaskRun."""
        run = self.runs.get(key)
        return (run.uid, run.resource_version) if run is not None else self.malformed.get(key)

    def forget_run(self, key: Key, uid: str | None = None) -> list[Key]:
        """Remove a deleted TaskRun, unless another one has its name by now. Returns the runs that must be looked at."""
        run = self.runs.get(key)
        if run is not None and uid not in (None, run.uid):
            return []
        concerned = self.concerned(key, gone=True)
        self._forget(key)
        concerned += self.expectations.races.due()
        self._unheard += concerned
        return [*concerned, *self.slots.next()]

    def unheard(self) -> list[Key]:
        """Runs that must be looked at because others changed, since the last call. Each is returned once."""
        unheard, self._unheard = [*self._unheard, *self.expectations.races.due()], []
        return unheard

    def deletions(self, namespace: str) -> int:
        """A number that changes with each deletion in the namespace: while it is the same, so is the namespace."""
        return self._last_gone.get(namespace, self._gone_floor)

    def _forget(self, key: Key) -> None:
        self._gone += 1
        if len(self._last_gone) >= NAMESPACES_HELD:
            self._last_gone.clear()
            self._gone_floor = self._gone
        self._last_gone[key.namespace] = self._gone
        self.expectations.forget(key, stored=self._succeeded(key))
        run = self.runs.pop(key, None)
        self.malformed.pop(key, None)
        self._keys.discard(key)
        if not self._keys.within(key.namespace):
            self.served.emptied(key.namespace)
        self.unfinished.discard(key)
        self._needs.gone(key)
        self.flow_runs.disown(key)
        self.stock.forget_run(key)
        self.slots.leave(key)
        self.slots.release(key)
        if run is not None:
            self._needs.stop(key, _needs_of(key, run))

    def put_pod(self, obj: Object) -> Key | None:
        """Store a pod. Returns the key of its TaskRun when a field changed that a decision depends on."""
        meta = obj["metadata"]
        key = Key(intern(meta["namespace"]), meta["name"])
        version = self.pods.version(key)
        if version is not None and not _newer(meta, version):
            return None
        held = self.pods.get(key)
        pod = self.pods[key] = status.with_first_deletion(status.project(obj), held)
        self.stock.put_pod(key, pod)
        return owner_key(obj) if held is None or _unlike(pod, held) else None

    def forget_pod(self, obj: Object) -> Key | None:
        """Remove a deleted pod, unless another pod has its name by now. Returns the key of its TaskRun."""
        meta = obj["metadata"]
        key = Key(meta["namespace"], meta["name"])
        held = self.pods.get(key)
        if held is not None and held["metadata"]["uid"] == meta["uid"]:
            del self.pods[key]
            self.stock.forget_pod(key, meta["uid"])
        return owner_key(obj)

    def needed(self, key: Key) -> bool:
        """Whether unfinished runs name `key` as upstream or in waitFor."""
        return self._needs.needed(key)

    def concerned(self, key: Key, *, gone: bool = False) -> list[Key]:
        """Runs whose decision may change when `key` ends or is deleted.

        Those that need it, and finished ones that stayed because it, and nobody else any more, needs them: of a
        thousand that need one upstream, the last to end wakes it.
        """
        run = self.runs.get(key)
        needs = _needs_of(key, run) if run is not None else []
        stayed = [other for other in needs if self._finished(other) and not self._needs.needed(other, besides=key)]
        due = self._needs.dependents(key) if gone or not self._succeeded(key) else self._needs.due(key)
        return [*due, *stayed]

    def _finished(self, key: Key) -> bool:
        run = self.runs.get(key)
        return run is not None and run.status.finished

    def _succeeded(self, key: Key) -> bool:
        run = self.runs.get(key)
        return run is not None and run.status.finished and run.status.state.succeeded

    def limits(self, key: Key, run: TaskRun) -> tuple[Limit, ...]:
        """The concurrency limits of a run, as they are at this moment: no await may come before the decision."""
        return self.slots.seen_by(key, run.created_at, run.uid, self.slots_of(run), key.namespace)

    def decided(self, key: Key, run: TaskRun, *, queues: bool) -> None:
        """Note whether the run waits for a slot, by its latest decision."""
        if queues and self._holds(key, run):
            self.slots.wait(key, run.created_at, run.uid, self.slots_of(run), key.namespace)
        else:
            self.slots.leave(key)

    def recording(self, key: Key, run: TaskRun) -> None:
        """The record of an attempt is about to be sent. The run holds its slots from now on."""
        if self._holds(key, run):
            self.slots.hold(key, self.slots_of(run), key.namespace)

    def recorded(self, key: Key, run: TaskRun) -> None:
        """The API server has answered. The run holds slots by its stored status again."""
        if self._holds(key, run):
            held = self.runs[key]
            self._count(key, held, self.expectations.of(key, held.uid))

    def _holds(self, key: Key, run: TaskRun) -> bool:
        """False once it is gone: it may be while a reconcile looks at it, and nobody would free its place again."""
        held = self.runs.get(key)
        return held is not None and held.uid == run.uid

    def slots_of(self, run: TaskRun) -> tuple[Name, ...]:
        """The limits that the run falls under."""
        limits, asked = self.slots.limits, run.spec.resources
        resources = {**(asked.limits or {}), **(asked.requests or {})} if asked is not None else {}
        return limits.over(run.namespace, run.spec.tags, resources)

    def _count(self, key: Key, run: TaskRun, expectations: RunExpectations | None) -> None:
        """Count slots by the stored status. A recorded, unfinished attempt holds them, whichever operator recorded it.

        Another release's limits are its own.
        """
        if self.served.of_another(key.namespace):
            self.slots.release(key)
            self.slots.leave(key)
            return
        if expectations is not None and not expectations.stored(run.resource_version):
            return
        if run.status.running is not None or self._lives_on(key, run):
            self.slots.hold(key, self.slots_of(run), key.namespace)
            return
        self.slots.release(key)
        if run.status.finished or run.deleting or run.spec.suspend or run.spec.cancel:
            self.slots.leave(key)
        elif run.status.reason is Reason.QUEUED:  # also right after a restart, so that the order is kept
            self.decided(key, run, queues=True)

    def finished(self) -> list[Key]:
        """The keys of all finished TaskRuns."""
        return [key for key, run in self.runs.items() if run.status.finished]

    def owner_changed(self, namespace: str) -> list[Key]:
        """The owner of a namespace has changed, to or from this process. Returns the runs that must be looked at."""
        within = list(self._keys.within(namespace))
        for key in within:
            if (run := self.runs.get(key)) is not None:
                self._count(key, run, self.expectations.held(key, run.uid))
        return [*within, *self.slots.next()]

    def recount(self, key: Key, run: TaskRun) -> None:
        """The pod of a run that ended by its stored result may have ended since: its slots are free then."""
        if run.status.finished:
            self._count(key, run, self.expectations.held(key, run.uid))

    def _lives_on(self, key: Key, run: TaskRun) -> bool:
        """Whether the run ended by its stored result and its pod still runs."""
        latest = run.status.latest
        if not run.status.finished or latest is None or latest.outcome is not Ended.COMPLETED:
            return False
        pod = self.pods.get(Key(key.namespace, pod_name(key.name, latest)))
        return pod is not None and status.is_ours(pod, run.uid) and status.read(pod).phase is not PodPhase.ENDED

    def _index(self, key: Key, run: TaskRun, expectations: RunExpectations | None) -> None:
        self._count(key, run, expectations)
        if expectations is None:
            pass
        elif run.status.finished or run.deleting or run.spec.suspend:
            expectations.stand_down()
        elif run.status.attempts_total and run.status.cache is not None and run.status.cache.key is not None:
            expectations.join(run.status.cache.key, recorded=True)
        if run.status.finished:
            self.unfinished.discard(key)
            self._needs.stop(key, _needs_of(key, run))
            return
        self.unfinished.add(key)
        if run.needs:
            self._needs.wait(key, _needs_of(key, run), self._finished)


def _needs_of(key: Key, run: TaskRun) -> list[Key]:
    return [Key(key.namespace, name) for name in run.needs]


def _unlike(pod: Object, held: Object) -> bool:
    """True where the two projections differ in more than the version, which few updates of a pod do."""
    version = {"resourceVersion": None}
    return {**pod, "metadata": {**pod["metadata"], **version}} != {**held, "metadata": {**held["metadata"], **version}}


def version_of(meta: Object) -> Version:
    """The UID and the resourceVersion in the metadata of an object."""
    return str(meta["uid"]), str(meta["resourceVersion"])


def _newer(meta: Object, held: str) -> bool:
    """resourceVersions of one resource are comparable numbers (KEP-5504); anything else counts as newer."""
    version = str(meta["resourceVersion"])
    return int(version) > int(held) if version.isdecimal() and held.isdecimal() else version != held
