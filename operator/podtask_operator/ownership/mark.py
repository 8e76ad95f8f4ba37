"""The owner's mark of one namespace: a Lease `podtask-owner` in it, and what one process knows of it. Pure.

    nobody asked ──asked──> ASKED ──ours, or nobody's──> OURS ──renewed by another──> OTHERS ──silent──> OURS
                              └──the mark cannot be written──> UNMARKED (served all the same, as without marks)

The holder is a release: the namespace and the name of its own Lease, which one process holds at a time. So a process
that is started again, or its standby, goes on at once. Times are of the process's own monotonic clock: who waits counts
from the change that it saw last, as `process.leader_election` does. Next: `keeper`, which reads and writes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final
from zlib import crc32

from podtask.core.api.names import OWNER_LEASE
from podtask_operator.kube.client import IN_FLIGHT

Object = dict[str, Any]

RENEW: Final = 60.0
"""Seconds between renewals, of each namespace in which something is alive: 500 of them cost 8 writes per second."""
VALID: Final = 120.0
"""Seconds after a renewal in which the holder may begin a write. It has arrived before another may take over."""
DURATION: Final = 180
"""Seconds without a renewal after which another release may take over."""
HANDED_OVER: Final = 15
"""The same for a mark whose holder ended: so long its own release may take to start again."""
LONGEST: Final = 3600
"""What is waited for at most. Whoever may write Leases in a namespace chooses what stands in them."""
LOOK: Final = 30.0
"""Seconds between two looks at another's mark."""
AGAIN: Final = 2.0
"""Seconds between two tries while the API server is away."""
REFUSED_AGAIN: Final = 60.0
"""Seconds between two tries where the mark may not be written."""
NOTED: Final = 16 * 1024
"""Characters of metadata that are kept for a renewal: who may write Leases in a namespace chooses their size."""
_OURS: Final = ("holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime", "leaseTransitions")
HOLDER_SHOWN: Final = 120
"""Characters of a holder that are shown."""


class Standing(Enum):
    """What this process may do in a namespace."""

    ASKED = "asked"
    """Nothing yet: the mark is being looked at."""
    OURS = "ours"
    OTHERS = "others"
    """Nothing: another release works there."""
    UNMARKED = "unmarked"
    """Everything, and nobody would notice another release."""


@dataclass(frozen=True, slots=True)
class SeenMark:
    """A mark as the API server has it."""

    version: str
    holder: str
    seconds: float
    """Without a renewal, after which others may take it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What one process knows of one namespace's mark."""

    standing: Standing = Standing.ASKED
    holder: str = ""
    """The other release, where it is another's."""
    until: float = float("-inf")
    """Until then this process may begin a write."""
    late_until: float = float("-inf")
    """Until then writes of the holder before may arrive."""
    seen: SeenMark | None = None
    since: float = 0.0
    """When another's mark was first seen in this version."""
    again_at: float = float("-inf")
    """When to look again."""

    @property
    def works(self) -> bool:
        """Whether this process works there."""
        return self.standing in (Standing.OURS, Standing.UNMARKED)


def seen(lease: Object | None) -> SeenMark | None:
    """A Lease as a mark; whatever is odd in it counts as if it was not there."""
    if lease is None:
        return None
    spec = lease.get("spec") or {}
    holder, seconds = spec.get("holderIdentity"), spec.get("leaseDurationSeconds")
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds <= 0:
        seconds = DURATION
    return SeenMark(
        str(lease["metadata"]["resourceVersion"]),
        holder if isinstance(holder, str) else "",
        float(min(seconds, LONGEST)),
    )


def free(mark: Mark, observed: SeenMark | None, release: str, now: float) -> bool:
    """Whether the mark as it was just read may be written by this release."""
    if observed is None and mark.seen is not None and mark.holder:
        return now - mark.since >= mark.seen.seconds  # it was deleted, which its holder has not noticed yet
    if observed is None or observed.holder in ("", release):
        return True
    return mark.seen == observed and now - mark.since >= observed.seconds


def others(mark: Mark, observed: SeenMark, now: float) -> Mark:
    """Another release holds it: wait, from the moment on when this version was seen first."""
    since = mark.since if mark.seen == observed else now
    again_at = min(now + LOOK, max(since + observed.seconds, now + AGAIN))
    return Mark(Standing.OTHERS, observed.holder, seen=observed, since=since, again_at=again_at)


def renewal(namespace: str) -> float:
    """Seconds between renewals of this namespace's mark: a fifth more or less, so that not all come at once."""
    return RENEW * (0.8 + 0.4 * (crc32(namespace.encode()) % 1000) / 1000)


def written(mark: Mark, before: SeenMark | None, release: str, began: float, now: float, renew: float = RENEW) -> Mark:
    """The mark was written: `began` before the request, `now` after the answer."""
    late = mark.late_until if before is not None and before.holder == release else now + IN_FLIGHT
    return Mark(Standing.OURS, until=began + VALID, late_until=late, again_at=began + renew)


def unanswered(mark: Mark, now: float) -> Mark:
    """The API server did not answer: what was known stays known, and `until` ends it."""
    return replace(mark, again_at=now + AGAIN)


def unmarked(mark: Mark, now: float) -> Mark:
    """The mark may not be read or written."""
    return Mark(Standing.UNMARKED, until=float("inf"), late_until=mark.late_until, again_at=now + REFUSED_AGAIN)


def refused(mark: Mark, now: float) -> Mark:
    """The API server said no. One that has just started says so to everybody for a moment (403).

    So what was known stays known: another's namespace is left alone, and an own mark counts while it is valid.
    """
    if mark.holder:
        return replace(mark, standing=Standing.OTHERS, again_at=now + LOOK)
    if mark.standing is Standing.OURS and now < mark.until:
        return replace(mark, again_at=now + AGAIN)
    return unmarked(mark, now)


def shown(holder: str) -> str:
    """A holder, as it may stand in a log: a tenant may have written it."""
    return ascii(holder[:HOLDER_SHOWN])


def held(lease: Object) -> Object:
    """What is kept of a Lease for its next renewal. What others noted on it stays, unless it is too much."""
    meta, spec = lease["metadata"], lease.get("spec") or {}
    noted = {key: value for key, value in meta.items() if key != "managedFields"}
    if len(json.dumps(noted)) > NOTED:
        noted = {key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion") if key in meta}
    return {"metadata": noted, "spec": {key: spec[key] for key in _OURS if key in spec}}


def lease(namespace: str, before: Object | None, release: str, seconds: int, now: str) -> Object:
    """The Lease as it is to be written; what others noted on it stays."""
    held = before or {}
    meta, spec = held.get("metadata") or {}, held.get("spec") or {}
    same = spec.get("holderIdentity") == release
    taken = {
        "acquireTime": (spec.get("acquireTime") if same else None) or now,
        "leaseTransitions": _count(spec) + (0 if same or before is None else 1),
    }
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            **{key: value for key, value in meta.items() if key != "managedFields"},
            "name": OWNER_LEASE,
            "namespace": namespace,
        },
        "spec": {**taken, "holderIdentity": release, "leaseDurationSeconds": seconds, "renewTime": now},
    }


def _count(spec: Object) -> int:
    """How often it changed hands. A tenant may have written any number, and one more must fit (int32)."""
    count = spec.get("leaseTransitions")
    return count if isinstance(count, int) and 0 <= count < 2**30 else 0
