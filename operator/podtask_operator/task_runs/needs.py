"""Which unfinished runs need which others, as upstream or in `waitFor`, and whom an end concerns. Pure.

A run of a thousand upstreams is not looked at for each of their ends: only once few are open, or one has failed. Until
then nothing could be decided, and what its status names is brought up to date by the periodic comparison.
Before: the informer cache, which takes in every run. Next: the reconciler, which wakes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from podtask_operator.task_runs.key import Key

FEW: Final = 8
"""Open upstreams up to which each end is looked at."""


class Needs:
    """Which unfinished runs need which, indexed in both directions."""

    def __init__(self) -> None:
        self._waiting: dict[Key, set[Key]] = {}
        """Run -> unfinished runs that need it."""
        self._open: dict[Key, set[Key]] = {}
        """Unfinished run -> those of its needs that have not ended."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._open)

    def wait(self, key: Key, needs: Iterable[Key], ended: Callable[[Key], bool]) -> None:
        """An unfinished run needs these runs."""
        missing = set()
        for need in needs:
            self._waiting.setdefault(need, set()).add(key)
            if not ended(need):
                missing.add(need)
        if missing:
            self._open[key] = missing
        else:
            self._open.pop(key, None)

    def stop(self, key: Key, needs: Iterable[Key]) -> None:
        """The run has ended or was deleted. It needs nothing any more."""
        self._open.pop(key, None)
        for need in needs:
            waiting = self._waiting.get(need)
            if waiting is not None:
                waiting.discard(key)
                if not waiting:
                    del self._waiting[need]

    def ended(self, key: Key) -> None:
        """The run has ended. Each run that needs it has one open need less, or ends itself."""
        for other in self._waiting.get(key, ()):
            self._open.get(other, set()).discard(key)

    def gone(self, key: Key) -> None:
        """The run was deleted, or another one has its name. Runs that need it wait for it again."""
        for other in self._waiting.get(key, ()):
            self._open.setdefault(other, set()).add(key)

    def dependents(self, key: Key) -> list[Key]:
        """Unfinished runs that need this one."""
        return list(self._waiting.get(key, ()))

    def due(self, key: Key) -> list[Key]:
        """Those of them whose decision may change when this run succeeds."""
        return [other for other in self._waiting.get(key, ()) if len(self._open.get(other, ())) <= FEW]

    def needed(self, key: Key, besides: Key | None = None) -> bool:
        """True where an unfinished run other than `besides` needs it. Takes constant time."""
        waiting = self._waiting.get(key, ())
        return len(waiting) > (besides in waiting)
