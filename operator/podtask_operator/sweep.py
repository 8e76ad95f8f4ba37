"""`python -m podtask_operator.sweep [--dry-run]`, and the same now and then beside the reconciles.

Before: the TaskRuns as the API server has them now, all of them, never the mirror. Next: `podtask.core.gc`.
A list that fails removes nothing; an operator that may not write at present stops.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable
from datetime import timedelta

from podtask.core import clock
from podtask.core.gc import Marks, Removal, sweep
from podtask.core.storage import Store, StoreUnavailable
from podtask.core.storage.url import open_store, parse_store_url
from podtask_operator import settings
from podtask_operator.kube.client import FULL_PAGE, Api, ApiError, ApiUnavailable
from podtask_operator.runtime import metrics

log = logging.getLogger(__name__)

AFTER_START = 600.0
"""Seconds before the first sweep of a process: an operator that is started often sweeps all the same."""


class Sweeper:
    """Marks by the API, sweeps the bucket in a thread."""

    def __init__(self, api: Api, store: Store, prefix: str, told: settings.Settings) -> None:
        self._api = api
        self._store = store
        self._prefix = prefix
        self._told = told

    async def run(self) -> None:
        """Serve until cancelled; never where `sweep_hours` is 0."""
        every = self._told.sweep_hours * 3600
        wait = min(every, AFTER_START) if every else None
        while wait is not None:
            await asyncio.sleep(wait)
            wait = every
            try:
                await self.once()
            except (ApiError, ApiUnavailable, StoreUnavailable) as error:
                log.warning("the sweep of the bucket was cut off and is made again in %g h: %s", every / 3600, error)
        await asyncio.Event().wait()

    async def once(self, *, dry_run: bool = False, tell: Callable[[Removal], None] = lambda _: None) -> tuple[int, int]:
        """Objects and bytes that were removed, or would be."""
        marks, namespaces = Marks(), self._told.namespaces or None
        for namespace in namespaces or (None,):
            async for run in self._api.list_runs(namespace, page=FULL_PAGE):
                marks.add_run(run)
        objects, size = await asyncio.to_thread(self._sweep, marks, tell, dry_run=dry_run)
        what = "would be removed from" if dry_run else "were removed from"
        log.info("%d objects (%d bytes) that nobody needs %s the bucket", objects, size, what)
        return objects, size

    def _sweep(self, marks: Marks, tell: Callable[[Removal], None], *, dry_run: bool) -> tuple[int, int]:
        objects = size = 0
        spare = timedelta(hours=self._told.sweep_spare_hours)
        found = sweep(
            self._store,
            self._prefix,
            self._told.namespaces or None,
            marks,
            clock.now(),
            spare=spare,
            dry_run=dry_run,
            go_on=self._api.fence,
        )
        for removal in found:
            objects, size = objects + 1, size + removal.size
            if not dry_run:
                metrics.SWEPT.inc()
                metrics.SWEPT_BYTES.inc(removal.size)
            tell(removal)
        return objects, size


async def _once(told: settings.Settings, *, dry_run: bool) -> None:
    api = await Api.connect()
    try:
        way = (told.store, told.endpoint_url, told.region)
        store = open_store(*way, conditional_writes=told.conditional_writes)
        sweeper = Sweeper(api, store, parse_store_url(told.store).prefix, told)
        objects, size = await sweeper.once(dry_run=dry_run, tell=_print)
        sys.stdout.write(f"{objects} objects, {size} bytes {'would be' if dry_run else 'were'} removed\n")
    finally:
        await api.close()


def _print(removal: Removal) -> None:
    sys.stdout.write(f"{removal.key}  {removal.size}  {removal.why}\n")


def main(arguments: list[str]) -> int:
    """Exit status 1 where API server or bucket do not answer, 2 for a setting that is missing or wrong."""
    parser = argparse.ArgumentParser("python -m podtask_operator.sweep", description="Remove what nobody needs.")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be removed, and why")
    asked = parser.parse_args(arguments)
    try:
        asyncio.run(_once(settings.load(os.environ), dry_run=asked.dry_run))
    except settings.SettingsError as error:
        sys.stderr.write(f"podtask-operator: {error}\n")
        return 2
    except (ApiError, ApiUnavailable, StoreUnavailable) as error:
        sys.stderr.write(f"podtask-operator: the sweep was cut off: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
