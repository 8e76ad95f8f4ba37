"""Identical runs of a namespace: which goes first, who waits for it, and who is to look again once it has ended. Pure.

    join, claim, stand_down, leave (expectations, informer cache) ──> Races ──> first (cache lookup), due (reconciler)

Single flight, as of Go's `singleflight`. A run whose attempt is recorded goes first, else the oldest. Every step costs
the same however many race, but for the one that a stored entry needs: all who wait look again, once each. After any
other end only the next one does.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from datetime import datetime

from podtask_operator.task_runs.key import Key

Age = tuple[datetime, float, str]
"""Creation is told to the second: of those created in one, the oldest is the one that was seen first; then the UID."""


@dataclass(slots=True)
class _Runner:
    age: Age
    key: Key
    claimed: bool = False
    recorded: bool = False
    stands: bool = True

    @property
    def place(self) -> tuple[Age, Key]:
        return self.age, self.key

    @property
    def started(self) -> bool:
        return self.claimed or self.recorded


@dataclass(slots=True)
class _Race:
    runners: dict[Key, _Runner] = field(default_factory=dict)
    started: list[tuple[Age, Key]] = field(default_factory=list)
    """Those that may lead and have an attempt, oldest first."""
    line: list[tuple[Age, Key]] = field(default_factory=list)
    """Those that may lead and have none, oldest first."""
    parked: dict[Key, None] = field(default_factory=dict)
    """Those that were told to wait, and were not woken since."""
    stored: int = 0
    """Ends with a stored entry."""

    @property
    def sleeping(self) -> Key | None:
        """The run that must go first now although it was told to wait."""
        head = self.line[0][1] if self.line and not self.started else None
        return head if head in self.parked else None

    def put(self, runner: _Runner) -> None:
        if runner.stands:
            insort(self.started if runner.started else self.line, runner.place)

    def take(self, runner: _Runner) -> None:
        if runner.stands:
            line = self.started if runner.started else self.line
            del line[bisect_left(line, runner.place)]


class Races:
    """The races for cache entries, by namespace and cache key."""

    def __init__(self) -> None:
        self._races: dict[tuple[str, str], _Race] = {}
        self._due: list[Key] = []

    def __len__(self) -> int:
        return len(self._races)

    def join(self, key: Key, cache_key: str, age: Age, *, claimed: bool = False, recorded: bool = False) -> None:
        """Add the run to the race. `claimed`: its first attempt is being recorded. `recorded`: it is recorded."""
        race = self._races.setdefault((key.namespace, cache_key), _Race())
        before = race.runners.get(key)
        if before is not None:
            race.take(before)
        runner = race.runners[key] = _Runner(age, key, claimed, recorded or (before is not None and before.recorded))
        race.put(runner)
        self._wake_first(race)

    def leave(self, key: Key, cache_key: str, *, stored: bool = False) -> None:
        """Remove the run from the race. `stored`: there is a cache entry now, so all waiting runs look again."""
        race, runner = self._find(key, cache_key)
        if race is None or runner is None:
            return
        race.take(runner)
        del race.runners[key]
        race.parked.pop(key, None)
        if stored:
            race.stored += 1
            self._due += race.parked
            race.parked.clear()
        self._wake_first(race)
        if not race.runners:
            del self._races[key.namespace, cache_key]

    def claim(self, key: Key, cache_key: str, *, claimed: bool) -> None:
        """The record of the run's first attempt is about to be sent; or it was refused."""
        race, runner = self._find(key, cache_key)
        if race is not None and runner is not None and runner.claimed != claimed:
            race.take(runner)
            runner.claimed = claimed
            race.put(runner)
            self._wake_first(race)

    def stand_down(self, key: Key, cache_key: str) -> None:
        """No further run begins to wait for this one: it has ended, is suspended, or is being deleted."""
        race, runner = self._find(key, cache_key)
        if race is not None and runner is not None:
            race.take(runner)
            runner.stands = False
            self._wake_first(race)

    def first(self, key: Key, cache_key: str) -> Key | None:
        """The other run that goes first, or None where the run itself does. A run that gets an answer waits."""
        race, runner = self._find(key, cache_key)
        if race is None:
            return None
        ahead = race.started or race.line
        if not ahead or ahead[0][1] == key or (runner is not None and runner.started):
            race.parked.pop(key, None)
            return None
        if runner is not None:
            race.parked[key] = None
        return ahead[0][1]

    def due(self) -> list[Key]:
        """Runs that were told to wait and must look again, since the last call."""
        due, self._due = self._due, []
        return due

    def stored(self, key: Key, cache_key: str) -> int:
        """A number that changes when a run of the race has stored an entry."""
        race, _ = self._find(key, cache_key)
        return race.stored if race is not None else 0

    def _find(self, key: Key, cache_key: str) -> tuple[_Race | None, _Runner | None]:
        race = self._races.get((key.namespace, cache_key))
        return race, race.runners.get(key) if race is not None else None

    def _wake_first(self, race: _Race) -> None:
        first = race.sleeping
        if first is not None:
            del race.parked[first]
            self._due.append(first)
