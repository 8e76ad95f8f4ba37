"""What the operator holds of FlowRuns, and which TaskRuns belong to which: an index, so that no event costs a search.

    put, forget (watch, lists) ──> FlowRuns <──own, disown── the TaskRuns of the informer cache

Parameters, results and messages are not held. A tenant writes these objects, also their `parent`: chains end after
`DEPTH` steps, and anything odd is read as absent.
"""

from __future__ import annotations

import sys
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from podtask.core.api.names import FLOW_RUN_KIND, GROUP, FlowState, Reason
from podtask.core.lifecycle.model import Why
from podtask_operator.task_runs.key import Key, Keys

Object = dict[str, Any]

DEPTH = 32
"""Flows inside of flows that are looked at."""
GONE_KEPT = 10_000
"""UIDs of FlowRuns that are known to be gone."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A FlowRun as an owner or a parent is named."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class FlowRun:
    """The fields of a FlowRun that the operator uses."""

    key: Key
    uid: str
    resource_version: str
    parent: Ref | None
    title: str
    cancel: bool
    deleting: bool
    finished: bool
    heartbeat: int
    ttl_seconds: float | None
    pin: str
    program: str
    host: str
    in_cluster: bool
    """The driver runs in a pod, and is started again as any TaskRun is."""
    conditions: tuple[Object, ...]
    beaten_at: float = field(default=0.0, compare=False)
    """When its heartbeat was last seen to change, by this process's own clock."""

    def condition(self, kind: str) -> Object | None:
        """The condition of this type that is True."""
        return next((one for one in self.conditions if one.get("type") == kind and one.get("status") == "True"), None)


class Unknown(Exception):
    """The informer cache cannot tell whether this FlowRun exists. Ask the API server."""

    def __init__(self, ref: Ref) -> None:
        super().__init__(ref.name)
        self.ref = ref


NOTHING: Final[Mapping[str, FlowRun | None]] = MappingProxyType({})


class FlowRuns:
    """All FlowRuns of the namespaces that are served, and their TaskRuns."""

    def __init__(self) -> None:
        self.readable = True
        """False where the cluster does not know FlowRuns, or the operator may not read them."""
        self._by_uid: dict[str, FlowRun] = {}
        self._uids: dict[Key, str] = {}
        self._keys = Keys()
        self._children: dict[str, set[str]] = defaultdict(set)
        self._members: dict[str, set[Key]] = defaultdict(set)
        self._unfinished: dict[str, set[Key]] = defaultdict(set)
        self._owners: dict[Key, str] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_uid)

    def keys(self) -> list[Key]:
        """The keys of all FlowRuns."""
        return list(self._uids)

    def get(self, key: Key) -> FlowRun | None:
        """The FlowRun of this name, or None."""
        return self._by_uid.get(self._uids.get(key, ""))

    def versions(self, namespace: str | None) -> dict[Key, tuple[str, str]]:
        """UID and resourceVersion of each FlowRun of one namespace, or of all."""
        held = (self._by_uid[self._uids[key]] for key in self._keys.within(namespace))
        return {run.key: (run.uid, run.resource_version) for run in held}

    def put(self, obj: Object) -> tuple[FlowRun | None, list[Key]]:
        """Store a FlowRun. Returns the one that was held before, and the TaskRuns that must be looked at."""
        run = read(obj)
        before = self.get(run.key)
        if before is not None and before.uid == run.uid and not _newer(run.resource_version, before.resource_version):
            return before, []
        woken = [] if before is None or before.uid == run.uid else self.forget(before.key)
        same = before is not None and before.uid == run.uid and before.heartbeat == run.heartbeat
        run = replace(run, beaten_at=before.beaten_at if same and before is not None else time.monotonic())
        self._by_uid[run.uid], self._uids[run.key] = run, run.uid
        self._keys.add(run.key)
        self._gone.pop(run.uid, None)
        if run.parent is not None:
            self._children[run.parent.uid].add(run.uid)
        over, was = run.cancel or run.deleting, before is not None and (before.cancel or before.deleting)
        return before, [*woken, *(self.unfinished(run.uid) if over and not was else ())]

    def forget(self, key: Key, uid: str | None = None) -> list[Key]:
        """Remove a deleted FlowRun, unless another has its name. Returns the TaskRuns that must be looked at."""
        run = self.get(key)
        if run is None or uid not in (None, run.uid):
            return []
        woken = list(self.unfinished(run.uid))
        del self._by_uid[run.uid], self._uids[key]
        self._keys.discard(key)
        self.gone(run.uid)
        if run.parent is not None:
            _drop(self._children, run.parent.uid, run.uid)
        return woken

    def gone(self, uid: str) -> None:
        """There is no FlowRun with this UID, and there never will be."""
        self._gone[uid] = None
        while len(self._gone) > GONE_KEPT:
            self._gone.popitem(last=False)

    def own(self, key: Key, uid: str, *, finished: bool) -> None:
        """A TaskRun belongs to the FlowRun with this UID."""
        if self._owners.get(key, uid) != uid:
            self.disown(key)
        self._owners[key] = uid
        self._members[uid].add(key)
        if finished:
            _drop(self._unfinished, uid, key)
        else:
            self._unfinished[uid].add(key)

    def disown(self, key: Key) -> None:
        """The TaskRun was deleted."""
        uid = self._owners.pop(key, None)
        if uid is not None:
            _drop(self._members, uid, key)
            _drop(self._unfinished, uid, key)

    def owner_of(self, key: Key) -> FlowRun | None:
        """The FlowRun that the TaskRun belongs to, or None."""
        return self._by_uid.get(self._owners.get(key, ""))

    def ended_by(self, ref: Ref, live: Mapping[str, FlowRun | None] = NOTHING) -> Why | None:
        """Why a TaskRun of this FlowRun is to end: it, or one around it, was cancelled or deleted. Raises `Unknown`.

        `live`: UID -> what a GET has just found where nothing is held; None: it is gone.
        """
        at: Ref | None = ref
        for _ in range(DEPTH):
            if at is None:
                return None
            run = self._by_uid.get(at.uid) or live.get(at.uid)
            if run is None:
                if at.uid not in self._gone and at.uid not in live:
                    raise Unknown(at)
                return _deleted(at.name)
            if run.cancel:
                text = f"Flow run '{run.title}' was cancelled."
                return Why(Reason.CANCELLED, text, f"To take that back: podtask retry flow/{run.key.name}")
            if run.deleting:
                return _deleted(run.title)
            at = run.parent
        return None

    def root(self, run: FlowRun) -> FlowRun:
        """The outermost existing FlowRun around this one."""
        for _ in range(DEPTH):
            around = self._by_uid.get(run.parent.uid) if run.parent is not None else None
            if around is None:
                break
            run = around
        return run

    def tree(self, uid: str) -> Iterator[FlowRun]:
        """The FlowRun and all its subflows."""
        seen, todo = {uid}, [uid]
        while todo:
            at = todo.pop()
            if at in self._by_uid:
                yield self._by_uid[at]
            new = self._children.get(at, set()) - seen
            seen |= new
            todo.extend(new)

    def unfinished(self, uid: str) -> Iterator[Key]:
        """Unfinished TaskRuns of the FlowRun and its subflows."""
        for run in self.tree(uid):
            yield from self._unfinished.get(run.uid, ())

    def members(self, uid: str) -> Iterator[Key]:
        """All TaskRuns of the FlowRun and its subflows."""
        for run in self.tree(uid):
            yield from self._members.get(run.uid, ())


def owner_in(owners: Iterable[Any] | None) -> Ref | None:
    """The FlowRun among the owner references of a TaskRun."""
    for owner in owners or ():
        if isinstance(owner, Mapping) and owner.get("kind") == FLOW_RUN_KIND:
            group = str(owner.get("apiVersion") or "").partition("/")[0]
            if group == GROUP and owner.get("name") and owner.get("uid"):
                return Ref(sys.intern(str(owner["name"])), sys.intern(str(owner["uid"])))  # of many TaskRuns the same
    return None


def read(obj: Object) -> FlowRun:
    """An object of the API server. Raises `KeyError` for one without its metadata; the schema vouches for the rest."""
    meta, spec, status = obj["metadata"], _dict(obj.get("spec")), _dict(obj.get("status"))
    parent, driver = _dict(spec.get("parent")), _dict(status.get("driver")) or _dict(spec.get("driver"))
    ttl, listed = spec.get("ttlSecondsAfterFinished"), status.get("conditions")
    conditions = listed if isinstance(listed, list) else []
    word = str(status.get("state") or FlowState.RUNNING)
    return FlowRun(
        key=Key(meta["namespace"], meta["name"]),
        uid=meta["uid"],
        resource_version=str(meta["resourceVersion"]),
        parent=Ref(str(parent["name"]), str(parent["uid"])) if parent.get("name") and parent.get("uid") else None,
        title=str(spec.get("title") or meta["name"])[:253],
        cancel=spec.get("cancel") is True,
        deleting="deletionTimestamp" in meta,
        finished=word != FlowState.RUNNING,
        heartbeat=status["heartbeat"] if isinstance(status.get("heartbeat"), int) else 0,
        ttl_seconds=float(ttl) if isinstance(ttl, int) else None,
        pin=str(spec.get("pin") or ""),
        program=str(driver.get("program") or "")[:253],
        host=str(driver.get("host") or "")[:253],
        in_cluster=bool(driver.get("taskRun")),
        conditions=tuple(one for one in conditions if isinstance(one, dict)),
    )


def _deleted(name: str) -> Why:
    return Why(Reason.CANCELLED, f"Flow run '{name}' was deleted.", "Run the flow again.")


def _dict(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _drop(index: dict[str, set[Any]], uid: str, member: Any) -> None:
    if uid in index:
        index[uid].discard(member)
        if not index[uid]:
            del index[uid]


def _newer(version: str, held: str) -> bool:
    """resourceVersions of one resource are comparable numbers (KEP-5504); anything else counts as newer."""
    return int(version) > int(held) if version.isdecimal() and held.isdecimal() else version != held
