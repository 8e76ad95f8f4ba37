"""The Lease: of the operators that were told to serve the same namespaces, one serves and the others wait.

    acquire (waits) ──> keep (renews; `Lost` when another one holds it) ──> release (the next one starts at once)

A second operator that served the same namespace would judge the first one's attempts Lost. A Lease is no fence: what
makes writes safe are resourceVersions and attempt numbers that are used once. It keeps two apart all the same: a holder
that could not renew for `VALID` seconds begins no write (`Api.fence` asks `valid`), before anybody else may take over.
When the API server is away nobody can take over, so the holder stays, and goes on once it has renewed.

Not `kubernetes.aio.leaderelection` (read in 37.0.1): a request without an answer is waited for beyond the deadline, a
connection error ends the election and leaves its task serving, it goes by the wall clock, and it never releases.
The rules are those of client-go: who waits goes by its own clock and by changes it saw, not by times of another clock.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from podtask.core import clock
from podtask.core.api.names import GROUP
from podtask_operator.kube.client import IN_FLIGHT, Api, ApiError, ApiUnavailable

log = logging.getLogger(__name__)

STEM: Final = "podtask-operator"
DURATION: Final = 15
"""Seconds without a renewal after which another operator may take over."""
RENEW: Final = 5.0
"""Seconds between renewals: the operator's only writes at rest."""
VALID: Final = 10.0
"""Seconds after a renewal in which the holder may begin a write. One that is on its way then may still arrive after
another operator took over (`client.IN_FLIGHT` is longer than what is left of `DURATION`). It is refused unless the
object is what it was, by resourceVersion or by UID. A POST of a pod is not: so an attempt on record without a pod
counts as lost only when such a POST cannot arrive any more (`late`), or at once where the operator before said that it
had finished (`DRAINED`)."""
DRAINED: Final = f"{GROUP}/drained"
"""Annotation of a released Lease: the one that held it has no write under way any more."""
LOOK: Final = 0.5
"""Seconds between two looks of one that waits, or two tries of one that could not renew."""

Object = dict[str, Any]


class Lost(Exception):
    """Another operator holds the Lease; the text names both and says what happens now."""


def name_of(namespaces: Iterable[str]) -> str:
    """One name per set of served namespaces; templates/_helpers.tpl of the chart makes the same."""
    served = ",".join(sorted(set(namespaces)))
    return f"{STEM}-{hashlib.sha256(served.encode()).hexdigest()[:8]}" if served else STEM


class Lease:
    """One Lease and the operator that wants it. `identity` is unique among those that may run at the same time."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        name: str,
        identity: str,
        *,
        pod_uid: str | None = None,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._owners = [{"apiVersion": "v1", "kind": "Pod", "name": identity, "uid": pod_uid}] if pod_uid else None
        """The pod that holds it owns it: the garbage collector removes what an uninstalled operator leaves."""
        self._tick = tick
        self._held: Object | None = None
        """The Lease as we wrote it last, while it is ours."""
        self._renewed: float | None = None
        self._late_until = 0.0
        """Until then writes of the operator before this one may arrive."""
        self._seen: tuple[str, float] | None = None
        """Version of somebody else's Lease, and when it was first seen."""
        self.waits_for: str | None = "it was not asked for yet"
        """Why this operator does not serve, in words; None while it may."""
        self.stands_by = False
        """Another one holds the Lease, as the API server said last, and this one takes over when that ends."""

    def __str__(self) -> str:
        return f"Lease {self._namespace}/{self._name}"

    def valid(self) -> bool:
        """True while nobody else can have taken over."""
        return self._renewed is not None and self._tick() - self._renewed < VALID

    def late(self) -> float:
        """Seconds in which a write of whoever held the Lease before may still arrive."""
        return max(0.0, self._late_until - self._tick())

    async def acquire(self) -> None:
        """Wait until the Lease is ours."""
        while not await self._tried():  # noqa: ASYNC110 - nobody tells: it is polled, by a GET
            await asyncio.sleep(LOOK)
        log.info("%s: held by %s", self, self._identity)

    async def keep(self) -> None:
        """Renew until cancelled. Raises `Lost`."""
        while True:
            await asyncio.sleep(LOOK if self.waits_for else RENEW)
            await self._tried(holding=True)

    async def release(self, *, drained: bool = False) -> None:
        """Let the next one start at once. Best effort: without it the next one waits for `DURATION`.

        `drained`: no write of this process is under way any more.
        """
        if self._held is None:
            return
        body, self._held, self._renewed = self._body(self._held, ""), None, None
        if drained:
            body["metadata"]["annotations"] = {**(body["metadata"].get("annotations") or {}), DRAINED: "true"}
        try:
            await self._api.update_lease(self._namespace, self._name, body)
            log.info("%s: released by %s", self, self._identity)
        except (ApiError, ApiUnavailable) as error:
            log.warning("%s was not released, a successor waits %d s: %s", self, DURATION, error)

    async def _tried(self, *, holding: bool = False) -> bool:
        """One try to take or renew; what is in the way is kept in `waits_for` and logged when it changes."""
        stands_by = False
        try:
            why = await self._take(holding=holding)
            stands_by = why is not None
        except ApiUnavailable as error:
            why = f"the API server did not answer: {error}"
        except ApiError as error:
            # 409: somebody was quicker; 404: it was deleted. The next try reads it anew.
            self._held = None if error.status in (404, 409) else self._held
            why = f"the API server refused ({error.status}): {error}"
        if why is not None and why != self.waits_for:
            log.log(logging.WARNING if holding else logging.INFO, "%s: %s", self, why)
        self.waits_for, self.stands_by = why, stands_by
        return why is None

    async def _take(self, *, holding: bool) -> str | None:
        """Write the Lease if it is ours to write; otherwise why not."""
        began, known, late = self._tick(), self._held, 0.0
        if known is None:
            late = IN_FLIGHT
            known = await self._api.get_lease(self._namespace, self._name)
            holder = _holder(known)
            if holding and known is not None and holder != self._identity:
                other = holder or "another operator"
                raise Lost(
                    f"{self} was taken over by {other} while {self._identity} could not renew it."
                    " This process ends, and waits for the Lease when it is started again."
                )
            if known is not None and not self._free(known, holder):
                return f"it is held by {holder}"
            if known is not None and not holder and _drained(known):
                late = 0.0
        if known is None:
            written = await self._api.create_lease(self._namespace, self._body({}, self._identity))
        else:
            written = await self._api.update_lease(self._namespace, self._name, self._body(known, self._identity))
        self._held, self._renewed = written, began
        if late:  # counted from the answer: until then the other one could begin a write
            self._late_until = self._tick() + late
        return None

    def _free(self, lease: Object, holder: str) -> bool:
        """Nobody's, our own from before a restart, or not renewed for its duration since we first saw it so."""
        if holder in ("", self._identity):
            return True
        version, now = lease["metadata"]["resourceVersion"], self._tick()
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, now)
        duration = (lease.get("spec") or {}).get("leaseDurationSeconds")
        return now - self._seen[1] >= (duration if isinstance(duration, int) and duration > 0 else DURATION)

    def _body(self, lease: Object, holder: str) -> Object:
        """The Lease as it is to be written; what others noted on it stays."""
        now = clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
        meta, spec = lease.get("metadata") or {}, lease.get("spec") or {}
        noted = {key: value for key, value in (meta.get("annotations") or {}).items() if key != DRAINED}
        taken = (
            {}
            if _holder(lease) == holder
            else {
                "acquireTime": now,
                "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (1 if lease else 0),
            }
        )
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                **{key: value for key, value in meta.items() if key not in ("managedFields", "annotations")},
                **({"annotations": noted} if noted else {}),
                "name": self._name,
                "namespace": self._namespace,
                **({"ownerReferences": self._owners} if self._owners else {}),
            },
            "spec": {
                **spec,
                **taken,
                "holderIdentity": holder,
                "leaseDurationSeconds": DURATION if holder else 1,
                "renewTime": now,
            },
        }


def _drained(lease: Object) -> bool:
    return ((lease.get("metadata") or {}).get("annotations") or {}).get(DRAINED) == "true"


def _holder(lease: Object | None) -> str:
    return ((lease or {}).get("spec") or {}).get("holderIdentity") or ""
