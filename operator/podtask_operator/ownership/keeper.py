"""Keeps the owners' marks: takes them where there is something to do, renews them, and waits for those of others.

    Served (who asks) ──> run: look at what is due ──> GET, POST or PUT of the Lease ──> mark ──> changed(namespace)

A namespace gets a mark when something in it is to be looked at, and keeps it while something in it is alive. After that
the mark is left to run out, which costs no write. What may be concluded from what was read is in `mark`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from podtask.core import clock
from podtask.core.api.names import OWNER_LEASE
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable
from podtask_operator.ownership import mark as marks
from podtask_operator.ownership.mark import Mark, Object, Standing
from podtask_operator.ownership.served import Served

log = logging.getLogger(__name__)

AT_ONCE: Final = 16
"""Requests about marks that are under way at the same time."""
APART: Final = 0.5
"""Seconds between two looks at what is due, unless somebody asks for a namespace."""
TRIES: Final = 4
"""Of one look, while others write the same mark."""
IDLE: Final = 600.0
"""Seconds without anything to do or alive, after which a mark is not renewed any more."""
OVERLAP: Final = (
    "namespace %s is left alone: the release %s works there (Lease %s/%s). No two releases must serve one namespace: "
    "take it out of watchNamespaces of one of them. If the other is gone, this one takes over when its mark has run out"
)
NO_MARKS: Final = (
    "namespace %s is served without an owner's mark, so another release that serves it as well would not be noticed: "
    "%s. Upgrade the chart, which grants the Lease %s. This is said once"
)


class MarkKeeper:
    """Of all namespaces. `release` names this one; `alive`: whether anything in a namespace is under way."""

    def __init__(
        self,
        api: Api,
        served: Served,
        release: str,
        *,
        alive: Callable[[str], bool] = lambda _: False,
        changed: Callable[[str], None] = lambda _: None,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._served = served
        self._release = release
        self._alive = alive
        self._changed = changed
        self._tick = tick
        self._held: dict[str, Object] = {}
        """The Leases as this process wrote them last."""
        self._used: dict[str, float] = {}
        """Namespace -> when somebody asked for it last."""
        self._wanted = asyncio.Event()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._refusal_said = False
        served.wanted = self._wanted.set

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            self._wanted.clear()
            await self.look_at_due()
            now = self._tick()
            pause = min((mark.again_at - now for _, mark in self._served.marks()), default=None)
            try:
                await asyncio.wait_for(self._wanted.wait(), None if pause is None else max(APART, pause))
            except asyncio.TimeoutError:
                continue

    async def take(self, namespaces: Iterable[str]) -> None:
        """Take the marks of these before anything is done: nobody then waits for them one by one."""
        for namespace in namespaces:
            self._served.works_in(namespace)
        await self.look_at_due()

    async def look_at_due(self) -> None:
        """One look at each mark that is due."""
        now = self._tick()
        due = [namespace for namespace, mark in self._served.marks() if mark.again_at <= now]
        await asyncio.gather(*(self._look(namespace) for namespace in due))

    async def hand_over(self) -> None:
        """This process has ended its writes: another release need not wait long. Best effort."""
        held, self._held = self._held, {}
        for namespace in held:
            self._served.drop(namespace)

        async def shorten(namespace: str, lease: Object) -> None:
            body = marks.lease(namespace, lease, self._release, marks.HANDED_OVER, _now())
            try:
                async with self._slots:
                    await self._api.update_lease(namespace, OWNER_LEASE, body)
            except (ApiError, ApiUnavailable) as error:  # taken over already, or it runs out by itself
                log.debug("the owner's mark of namespace %s was not shortened: %s", namespace, error)

        await asyncio.gather(*(shorten(namespace, lease) for namespace, lease in held.items()))

    async def _look(self, namespace: str) -> None:
        before, now = self._served.mark(namespace), self._tick()
        if self._served.take_asked(namespace) or self._alive(namespace):
            self._used[namespace] = now
        elif now - self._used.setdefault(namespace, now) >= IDLE:
            self._forget(namespace)
            return
        async with self._slots:
            try:
                after = await self._taken(namespace, before)
            except ApiUnavailable as error:
                if error.answer is not None and "webhook" in error.answer.message:  # as it would refuse pods
                    after = self._refused(namespace, before, error.answer)
                else:
                    log.log(_level(before), "the owner's mark of namespace %s: %s", namespace, error)
                    after = marks.unanswered(before, self._tick())
            except ApiError as error:
                if error.status == 404 and self._served.mark(namespace) is before and not self._alive(namespace):
                    self._forget(namespace)  # the namespace itself has gone
                    return
                after = self._refused(namespace, before, error)
        self._tell(namespace, before, after)
        if self._served.mark(namespace) is not before:  # asked anew meanwhile, perhaps of another namespace of the name
            self._served.put(namespace, replace(after, standing=Standing.ASKED, again_at=float("-inf")))
            self._wanted.set()
            return
        self._served.put(namespace, after)
        if (before.works, before.standing is Standing.OTHERS) != (after.works, after.standing is Standing.OTHERS):
            self._changed(namespace)

    def _refused(self, namespace: str, before: Mark, error: ApiError) -> Mark:
        self._held.pop(namespace, None)
        after = marks.refused(before, self._tick())
        if after.standing is Standing.UNMARKED:
            self._tell_refusal(namespace, error)
        return after

    async def _taken(self, namespace: str, mark: Mark) -> Mark:
        """The mark after it was written, or after another's was read. Raises `ApiError`, `ApiUnavailable`."""
        conflict: ApiError | None = None
        for _ in range(TRIES):
            lease, began = self._held.get(namespace), self._tick()
            if lease is None:
                lease = await self._api.get_lease(namespace, OWNER_LEASE)
                found = marks.seen(lease)
                blocking = found or mark.seen
                if blocking is not None and not marks.free(mark, found, self._release, self._tick()):
                    return marks.others(mark, blocking, self._tick())
            found = marks.seen(lease)
            body = marks.lease(namespace, lease, self._release, marks.DURATION, _now())
            try:
                if lease is None:
                    self._held[namespace] = marks.held(await self._api.create_lease(namespace, body))
                else:
                    self._held[namespace] = marks.held(await self._api.update_lease(namespace, OWNER_LEASE, body))
            except ApiError as error:
                if error.status != 409 and (error.status != 404 or lease is None):
                    raise
                self._held.pop(namespace, None)  # somebody was quicker, or it was deleted: read it anew
                conflict = error
                continue
            return marks.written(mark, found, self._release, began, self._tick(), marks.renewal(namespace))
        raise ApiUnavailable(f"others write it all the time ({conflict})")

    def _forget(self, namespace: str) -> None:
        self._served.drop(namespace)
        self._held.pop(namespace, None)
        self._used.pop(namespace, None)

    def _tell(self, namespace: str, before: Mark, after: Mark) -> None:
        if after.standing is Standing.OTHERS and before.holder != after.holder:
            log.warning(OVERLAP, namespace, marks.shown(after.holder), namespace, OWNER_LEASE)
        elif before.standing is Standing.OTHERS and after.works:
            log.warning(
                "namespace %s is served from now on: the release %s is gone", namespace, marks.shown(before.holder)
            )

    def _tell_refusal(self, namespace: str, error: ApiError) -> None:
        """Once; a namespace that goes, or is gone, takes no Lease, and that is no trouble."""
        if error.status == 404 or "is being terminated" in error.message or self._refusal_said:
            log.debug("namespace %s has no owner's mark: %s", namespace, error)
            return
        self._refusal_said = True
        log.warning(NO_MARKS, namespace, error, OWNER_LEASE)


def _level(before: Mark) -> int:
    return logging.DEBUG if before.standing is Standing.OTHERS else logging.WARNING


def _now() -> str:
    return clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
