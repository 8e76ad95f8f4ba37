"""Runs that wait for each other in a circle: found in the informer cache, said before anybody waits for ever.

Asked by: `observer`, for a run that has waited for its upstreams for some seconds. `tangled` and `way_round` are pure.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from podtask.core.api.names import Reason
from podtask.core.lifecycle.model import Why
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.task_runs.key import Key

ASK_AFTER: Final = timedelta(seconds=2)
"""A run is asked about once it has waited this long: most never are."""
TOLD: Final = 8
"""Names of a circle in a sentence."""


def tangled(needs: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """The graph without the names that reach no circle, taken off leaf by leaf: linear, and mostly nothing is left."""
    open_needs = {name: {need for need in wanted if need in needs} for name, wanted in needs.items()}
    wanted_by: dict[str, list[str]] = {}
    for name, wanted in open_needs.items():
        for need in wanted:
            wanted_by.setdefault(need, []).append(name)
    leaves = deque(name for name, wanted in open_needs.items() if not wanted)
    while leaves:
        leaf = leaves.popleft()
        del open_needs[leaf]
        for name in wanted_by.get(leaf, ()):
            open_needs[name].discard(leaf)
            if not open_needs[name]:
                leaves.append(name)
    return {name: sorted(wanted) for name, wanted in open_needs.items()}


def way_round(start: str, needs: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """A shortest way from a name back to itself, both ends named: `("a", "b", "a")`; empty where there is none."""
    came_from: dict[str, str] = {}
    ahead = deque([start])
    while ahead:
        name = ahead.popleft()
        for need in needs.get(name, ()):
            if need == start:
                back = [name]
                while back[-1] != start:
                    back.append(came_from[back[-1]])
                return (*reversed(back), start)
            if need not in came_from:
                came_from[need] = name
                ahead.append(need)
    return ()


class Circles:
    """Answers per run; one search of a namespace serves all runs that were seen before it.

    Seen by this process's own clock: creation times are of another one, and a watch may be late.
    """

    def __init__(self, cluster: ClusterCache) -> None:
        self._cluster = cluster
        self._searched: dict[str, tuple[float, dict[str, list[str]]]] = {}

    def invalid(self, key: Key, created_at: datetime, now: datetime) -> Why | None:
        """InvalidSpec for a run that waits for itself by way of others; None where it does not, or is too young."""
        run = self._cluster.runs.get(key)
        if run is None or now < created_at + ASK_AFTER:
            return None
        seen_at = self._cluster.expectations.of(key, run.uid).expected.seen_at
        at, found = self._searched.get(key.namespace, (seen_at, {}))
        if at <= seen_at:
            found = tangled(self._graph(key.namespace))
            self._searched[key.namespace] = (time.monotonic(), found)
        way = way_round(key.name, found)
        return _why(way) if way and self._still(key.namespace, way) else None

    def _graph(self, namespace: str) -> dict[str, tuple[str, ...]]:
        waiting = ((key.name, self._cluster.runs[key]) for key in self._cluster.unfinished.within(namespace))
        return {name: run.needs for name, run in waiting if not run.status.attempts_total}

    def _still(self, namespace: str, path: tuple[str, ...]) -> bool:
        """True while every run of the circle needs the next one. A run may have been replaced since the search."""
        runs = [self._cluster.runs.get(Key(namespace, name)) for name in path[:-1]]
        return all(run is not None and need in run.needs for run, need in zip(runs, path[1:], strict=True))


def _why(path: tuple[str, ...]) -> Why:
    shown = path if len(path) <= TOLD else (*path[: TOLD - 2], f"… ({len(path) - TOLD} more)", *path[-2:])
    return Why(
        Reason.INVALID_SPEC,
        f"The run waits for itself: {' → '.join(shown)}.",
        "Break the circle: delete one of these runs and create it anew with another spec.upstream or spec.waitFor.",
    )
