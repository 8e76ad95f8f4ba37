"""One kind of object, followed: its list, then what happens after it, over ended connections and gaps.

    list, page by page ──> watch ──(ends)──> watch from the last version ──(refused; 410: too old)──> list anew

Bookmarks move the version while nothing happens. Whatever was refused would be refused again, so any refusal leads to
a new list; only 429 (too many requests) says nothing about the version. A connection that the server ends at once,
without an event, is not opened anew at once: a server that goes down, or a proxy, would be kept busy.
Before: `lister_watcher`. Followed by: the backend's TaskRuns and FlowRuns (`podtask.backends.kubernetes`), the commands
(`podtask.inspection.cluster`), the page (`podtask.ui.live.reflector`) and `helm test`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final, TypeAlias

from podtask.kube.client import Object
from podtask.kube.errors import ClusterRefused, ClusterUnreachable
from podtask.kube.lister_watcher import ListerWatcher

BOOKMARK: Final = "BOOKMARK"
"""The type of an event without news, but with a newer version to go on from."""
GONE: Final = 410
TOO_MANY: Final = 429
AT_ONCE: Final = 1.0
"""A connection without an event that ends within so many seconds is followed by a pause as long."""


@dataclass(frozen=True)
class Listing:
    """A list is about to be asked for."""


@dataclass(frozen=True)
class Page:
    """A page of a list that is read page by page."""

    items: list[Object]


@dataclass(frozen=True)
class Listed:
    """The list is complete, or its limit is reached."""

    items: list[Object]
    """Empty where it came page by page."""


@dataclass(frozen=True)
class Watching:
    """A watch is about to be opened."""


@dataclass(frozen=True)
class Change:
    """An event: ADDED, MODIFIED, DELETED or BOOKMARK."""

    kind: str
    obj: Object


Step: TypeAlias = Listing | Page | Listed | Watching | Change


class ResumableWatch:
    """Of one source. For one thread."""

    def __init__(
        self,
        source: ListerWatcher,
        version: str = "",
        *,
        limit: int | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self.version = version
        """Everything up to it was seen; "": nothing is known, so the next connection begins with a list."""
        self.pause = 0.0
        """What to wait before the next connection, in seconds."""
        self._limit = limit
        """Of objects in a list, which is then read page by page; None: it is read as a whole."""
        self._monotonic = monotonic

    def connection(self, seconds: Callable[[], float]) -> Generator[Step, None, None]:
        """The list where no version is known, then one watch for so many seconds. Raises what the source raises."""
        try:
            if not self.version:
                yield from self._list()
            yield from self._watch(seconds)
        except ClusterRefused as no:
            if no.status != TOO_MANY:
                self.version = ""
            raise

    def follow(
        self,
        left: Callable[[], float],
        failed: Callable[[ClusterRefused | ClusterUnreachable, int], float],
        wait: Callable[[float], object] = time.sleep,
    ) -> Iterator[Step]:
        """Connection after connection, while any seconds are `left`.

        `failed`: the pause after an error that is the nth in a row; it raises where there is no going on.
        """
        failures = 0
        while left() > 0:
            try:
                with closing(self.connection(left)) as steps:
                    for step in steps:
                        if isinstance(step, Change):
                            failures = 0
                        yield step
                failures, pause = 0, self.pause
            except (ClusterRefused, ClusterUnreachable) as error:
                failures += 1
                pause = failed(error, failures)
            if pause > 0:
                wait(min(pause, max(left(), 0.0)))

    def _list(self) -> Iterator[Step]:
        yield Listing()
        whole, count, version = list[Object](), 0, ""
        for items, version in self._source.pages():  # noqa: B007 - the last page's is the one
            if self._limit is None:
                whole += items
                continue
            yield Page(items)
            count += len(items)
            if count >= self._limit:
                break
        self.version = version
        yield Listed(whole)

    def _watch(self, seconds: Callable[[], float]) -> Iterator[Step]:
        yield Watching()
        self.pause, began, quiet = 0.0, self._monotonic(), True
        for kind, obj, version in self._source.changes(self.version, max(1, math.ceil(seconds()))):
            self.version, quiet = version or self.version, False
            yield Change(kind, obj)
        if quiet and self._monotonic() - began < AT_ONCE:
            self.pause = AT_ONCE
