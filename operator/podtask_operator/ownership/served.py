"""In which namespaces this process works, for whoever is about to do something there: a lookup, and nothing is awaited.

Written by `keeper`. Asked by: reconciler, keepers of FlowRuns and WarmPools, sweep, and before each write
(`kube.client`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from podtask_operator.ownership.mark import Mark, Standing


class Served:
    """Without a keeper it is everything: then no namespace has a mark."""

    def __init__(self, *, everything: bool = True, tick: Callable[[], float] = time.monotonic) -> None:
        self._everything = everything
        self._tick = tick
        self._marks: dict[str, Mark] = {}
        self._asked: set[str] = set()
        self._emptied: set[str] = set()
        """Namespaces whose last TaskRun went: they may have gone themselves, with their marks."""
        self.wanted: Callable[[], None] = lambda: None
        """Told when somebody asks for a namespace that nothing is known of."""

    def works_in(self, namespace: str) -> bool:
        """Whether this process works there now. Whoever is told no is woken once it does."""
        if self._everything:
            return True
        self._asked.add(namespace)
        mark = self._marks.get(namespace)
        if mark is None or namespace in self._emptied:
            self._emptied.discard(namespace)
            self._marks[namespace] = replace(mark or Mark(), standing=Standing.ASKED, again_at=float("-inf"))
            self.wanted()
            return False
        return mark.works

    def of_another(self, namespace: str) -> bool:
        """Whether another release works there."""
        mark = self._marks.get(namespace)
        return mark is not None and mark.standing is Standing.OTHERS

    def may_write(self, namespace: str) -> bool:
        """Whether a write there may begin now: nobody else can have taken over."""
        if self._everything:
            return True
        mark = self._marks.get(namespace)
        return mark is not None and self._tick() < mark.until

    def late(self, namespace: str) -> float:
        """Seconds in which a write of the release that worked there before may still arrive."""
        mark = self._marks.get(namespace)
        return 0.0 if mark is None else max(0.0, mark.late_until - self._tick())

    def count(self, standing: Standing) -> int:
        """Namespaces of this standing."""
        return sum(mark.standing is standing for mark in self._marks.values())

    def emptied(self, namespace: str) -> None:
        """No TaskRun is left there, so its mark is looked at anew before the next one.

        A namespace does not go before its TaskRuns do, and the next one of the name may have another's mark.
        """
        if namespace in self._marks:
            self._emptied.add(namespace)

    # for the keeper

    def mark(self, namespace: str) -> Mark:
        """What is known of a namespace."""
        return self._marks.get(namespace, Mark())

    def put(self, namespace: str, mark: Mark) -> None:
        """It is known."""
        self._marks[namespace] = mark

    def drop(self, namespace: str) -> None:
        """Nobody needs to know it."""
        self._marks.pop(namespace, None)
        self._emptied.discard(namespace)

    def marks(self) -> Iterator[tuple[str, Mark]]:
        """Everything that is known."""
        return iter(list(self._marks.items()))

    def take_asked(self, namespace: str) -> bool:
        """Whether somebody has asked for the namespace since this was called last."""
        asked = namespace in self._asked
        self._asked.discard(namespace)
        return asked
