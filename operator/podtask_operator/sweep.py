"""`python -m podtask_operator.sweep [--dry-run]`, and the same now and then beside the reconciles.

    all TaskRuns ──> survey of the bucket ──> per namespace: whose is it, is it too much? ──> wait SETTLE
        ──> per batch: whose is it, the namespace's TaskRuns again ──> remove

TaskRuns are listed by the API server, all of them, never by the informer cache. Next: `podtask.core.gc`.
A list that fails removes nothing; an operator that may not write at present stops.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Final

from podtask.core import clock
from podtask.core.gc import SETTLE, Candidate, NamespaceObjects, Removal, dead_grants, remove, survey
from podtask.core.storage import AlreadyStored, Store, StoreUnavailable
from podtask.core.storage.layout import namespace_of
from podtask.core.storage.marks import Marks
from podtask.core.storage.owner import PROTECTED
from podtask.core.storage.url import store_address
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable
from podtask_operator.kube.pages import FULL_PAGE
from podtask_operator.ownership.served import Served
from podtask_operator.runtime import metrics
from podtask_operator.settings import Settings, SettingsError, load
from podtask_operator.storage.owners import Owners

log = logging.getLogger(__name__)

AFTER_START = 600.0
"""Seconds before the first sweep of a process: an operator that is started often sweeps all the same."""
LOOKS: Final = 10
"""Seconds that a batch waits for the look at its namespace's mark."""
Tell = Callable[[Removal], None]


class Sweeper:
    """Marks by the API, looks and removes in threads."""

    def __init__(
        self,
        api: Api,
        store: Store,
        prefix: str,
        settings: Settings,
        owners: Owners,
        served: Served | None = None,
    ) -> None:
        self._api = api
        self._store = store
        self._prefix = prefix
        self._settings = settings
        self._owners = owners
        self._served = served or Served()

    async def run(self) -> None:
        """Serve until cancelled; never where `sweep_hours` is 0."""
        every = self._settings.sweep_hours * 3600
        wait = min(every, AFTER_START) if every else None
        while wait is not None:
            await asyncio.sleep(wait)
            wait = every
            try:
                await self.once()
            except (ApiError, ApiUnavailable, StoreUnavailable) as error:
                log.warning("the sweep of the bucket was cut off and is made again in %g h: %s", every / 3600, error)
        await asyncio.Event().wait()

    async def once(
        self, *, dry_run: bool = False, allow_most: bool = False, tell: Tell = lambda _: None
    ) -> tuple[int, int]:
        """Objects and bytes that were removed, or would be. `allow_most`: also where most runs of a namespace go."""
        now = clock.now()  # before the list: what is made meanwhile is young
        parts = await self._survey(now, self._settings.namespaces or None)
        cleared = [
            clear
            for part in parts
            if (clear := await self._cleared(part, now, dry_run=dry_run, allow_most=allow_most)) is not None
        ]
        if not dry_run and any(part.candidates for part in cleared):
            await asyncio.sleep(SETTLE.total_seconds())
        objects = size = 0
        for part in cleared:
            for batch in part.batches():
                gone = await self._batch(part, batch, now, tell, dry_run=dry_run)
                objects, size = objects + gone[0], size + gone[1]
        gone = await asyncio.to_thread(self._dead_grants, now, tell, dry_run=dry_run)
        objects, size = objects + gone[0], size + gone[1]
        what = "would be removed from" if dry_run else "were removed from"
        log.info("%d objects (%d bytes) that nobody needs %s the bucket", objects, size, what)
        return objects, size

    def _dead_grants(self, now: datetime, tell: Tell, *, dry_run: bool) -> tuple[int, int]:
        objects = size = 0
        for removal in dead_grants(self._store, self._prefix, self._settings.namespaces or None, now):
            if not self._api.fence():
                break
            if self._served.of_another(namespace_of(self._prefix, removal.key)):
                continue
            if not dry_run:
                self._store.delete(removal.key)
                metrics.SWEPT.inc()
                metrics.SWEPT_BYTES.inc(removal.size)
            objects, size = objects + 1, size + removal.size
            tell(removal)
        return objects, size

    async def _survey(
        self, now: datetime, namespaces: Sequence[str] | None, *, abandoned: bool = False
    ) -> list[NamespaceObjects]:
        marks = await self._marks(*(namespaces or (None,)))

        def look() -> list[NamespaceObjects]:
            how = (self._store, self._prefix, namespaces, marks, now)
            return list(survey(*how, spare=self._spare, abandoned=abandoned))

        return await asyncio.to_thread(look)

    async def _marks(self, *namespaces: str | None) -> Marks:
        marks = Marks()
        for namespace in namespaces:
            async for run in self._api.list_runs(namespace, page=FULL_PAGE):
                marks.add_run(run)
        return marks

    @property
    def _spare(self) -> timedelta:
        return timedelta(hours=self._settings.sweep_spare_hours)

    async def _cleared(
        self, part: NamespaceObjects, now: datetime, *, dry_run: bool, allow_most: bool
    ) -> NamespaceObjects | None:
        """The part, if what nobody needs of it may go; where not, the log says why and what to do."""
        namespace = part.bucket.namespace
        if not dry_run:
            self._served.works_in(namespace)  # asked for: its mark is looked at during the wait
        if self._served.of_another(namespace):
            metrics.SWEEP_REFUSED.labels("release").inc()
            log.warning("namespace %s is not swept: another release works there", namespace)
            return None
        claim = await self._owners.claim(namespace, write=not dry_run)
        if claim.refusal is not None:
            metrics.SWEEP_REFUSED.labels("owner").inc()
            log.warning("namespace %s is not swept: %s", namespace, claim.refusal)
            return None
        if claim.owner != part.owner:
            log.info("namespace %s is swept the next time: its folder was marked just now", namespace)
            return None
        if claim.uid is None:  # then not even its cache is of use to anybody
            part = next(iter(await self._survey(now, [namespace], abandoned=True)), part)
        too_much = part.too_much
        if too_much is None or dry_run or allow_most or self._waited(part, now):
            if too_much is None and part.stopped is not None and not dry_run and self._api.fence():
                await asyncio.to_thread(self._store.delete, part.bucket.sweep_stopped)
            if too_much is not None:
                log.warning("namespace %s: %s", namespace, too_much)
            return part
        metrics.SWEEP_REFUSED.labels("many").inc()
        since = await self._note(part, now)
        log.warning(
            "namespace %s is not swept: %s. Look at them: podtask gc -n %s --dry-run; if it is right, "
            "podtask gc -n %s --allow-most. If nobody does, the sweep does it after %s",
            *(namespace, too_much, namespace, namespace, f"{since + PROTECTED:%Y-%m-%d}"),
        )
        return None

    @staticmethod
    def _waited(part: NamespaceObjects, now: datetime) -> bool:
        """Whether an earlier pass stopped here so long ago that whoever wanted to object had the time."""
        return part.stopped is not None and now >= _at(part.stopped.modified) + PROTECTED

    async def _note(self, part: NamespaceObjects, now: datetime) -> datetime:
        """Write down that a pass stopped here, unless an earlier one did; since when."""
        if part.stopped is not None:
            return _at(part.stopped.modified)
        if self._api.fence():
            data = json.dumps({"runs": part.runs, "needless": part.needless_runs}).encode()
            try:
                await asyncio.to_thread(lambda: self._store.put(part.bucket.sweep_stopped, data, if_absent=True))
            except AlreadyStored:
                log.debug("namespace %s: another sweep stopped at the same time", part.bucket.namespace)
        return now

    async def _works(self, namespace: str) -> bool:
        """Whether this release works there; a mark that ran out during the wait is looked at anew first."""
        for _ in range(LOOKS):
            if self._served.works_in(namespace):
                return True
            if self._served.of_another(namespace):
                return False
            await asyncio.sleep(1)
        return False

    async def _batch(
        self, part: NamespaceObjects, batch: Iterable[Candidate], now: datetime, tell: Tell, *, dry_run: bool
    ) -> tuple[int, int]:
        """Objects and bytes that went: whose it is and what is named are asked anew."""
        namespace = part.bucket.namespace
        if not dry_run and not await self._works(namespace):
            metrics.SWEEP_REFUSED.labels("release").inc()
            log.warning("the sweep of namespace %s ends: its owner's mark is not this release's", namespace)
            return 0, 0
        claim = await self._owners.claim(namespace, write=False)
        if claim.refusal is not None or claim.owner != part.owner:
            log.warning("the sweep of namespace %s ends: its folder has another owner now", namespace)
            return 0, 0
        marks = await self._marks(namespace)

        def go() -> tuple[int, int]:
            objects = size = 0
            fence, spare = self._api.fence, self._spare
            for removal in remove(self._store, part, batch, marks, now, spare=spare, dry_run=dry_run, go_on=fence):
                objects, size = objects + 1, size + removal.size
                if not dry_run:
                    metrics.SWEPT.inc()
                    metrics.SWEPT_BYTES.inc(removal.size)
                tell(removal)
            return objects, size

        return await asyncio.to_thread(go)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


async def _once(settings: Settings, *, dry_run: bool, allow_most: bool) -> None:
    api = await Api.connect()
    try:
        address = store_address(settings.store, settings.endpoint_url, settings.region)
        store, prefix = address.store(conditional_writes=settings.conditional_writes), address.prefix
        owners = Owners(api, store, prefix, deletions=lambda _: 0, home=settings.lease_namespace)
        sweeper = Sweeper(api, store, prefix, settings, owners)
        objects, size = await sweeper.once(dry_run=dry_run, allow_most=allow_most, tell=_print)
        sys.stdout.write(f"{objects} objects, {size} bytes {'would be' if dry_run else 'were'} removed\n")
    finally:
        await api.close()


def _print(removal: Removal) -> None:
    sys.stdout.write(f"{removal.key}  {removal.size}  {removal.why}\n")


def main(arguments: list[str]) -> int:
    """Exit status 1 where API server or bucket do not answer, 2 for a setting that is missing or wrong."""
    parser = argparse.ArgumentParser("python -m podtask_operator.sweep", description="Remove what nobody needs.")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be removed, and why")
    parser.add_argument("--allow-most", action="store_true", help="go on where most runs of a namespace would go")
    asked = parser.parse_args(arguments)
    try:
        asyncio.run(_once(load(os.environ), dry_run=asked.dry_run, allow_most=asked.allow_most))
    except SettingsError as error:
        sys.stderr.write(f"podtask-operator: {error}\n")
        return 2
    except (ApiError, ApiUnavailable, StoreUnavailable) as error:
        sys.stderr.write(f"podtask-operator: the sweep was cut off: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
