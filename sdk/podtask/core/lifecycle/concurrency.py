"""Concurrency limits per namespace and per tag: who holds a slot, who waits, and whose turn it is. Pure, no locks.

A slot is held while an attempt is recorded and unfinished, not while a run waits for its retry. A run needs a slot
under every limit it falls under. Those who wait are served oldest first; one that also waits for another limit,
which is full, holds nobody up. Everything here is computed from TaskRuns, so a restart finds the same.
Asked by: the operator's `mirror` and `observe`; the rule that answers is `podtask.core.lifecycle.rules.queued`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from podtask.core.lifecycle.model import Limit

K = TypeVar("K", bound=Hashable)


class Name(NamedTuple):
    """Which limit: of a tag in all namespaces, or of a namespace."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind} '{self.value}'"


@dataclass(frozen=True)
class Limits:
    """What the administrator allows: attempts under way at the same time."""

    default: int | None = None
    """In each namespace that `namespaces` does not name; None: no limit."""
    namespaces: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Limits:
        """`{"namespace": {"default": 20, "names": {"team": 5}}, "tags": {"gpu": 4}}`. Raises `ValueError`."""
        namespace = _object("namespace", told.get("namespace"))
        for path, given, known in (("", told, ("namespace", "tags")), ("namespace.", namespace, ("default", "names"))):
            for key in given:
                if key not in known:
                    raise ValueError(f"there is no limit {path}{key!s}; known are {', '.join(known)}")
        default = namespace.get("default")
        return cls(
            None if default is None else _count("namespace.default", default),
            {name: _count(name, most) for name, most in _object("namespace.names", namespace.get("names")).items()},
            {tag: _count(tag, most) for tag, most in _object("tags", told.get("tags")).items()},
        )

    def over(self, namespace: str, tags: Iterable[str]) -> tuple[Name, ...]:
        """The limits that a run of the namespace with these tags falls under."""
        ours = self.namespaces.get(namespace, self.default)
        mine = () if ours is None else (Name("namespace", namespace),)
        return (*mine, *(Name("tag", tag) for tag in sorted(set(tags)) if tag in self.tags))

    def allowed(self, name: Name) -> int:
        """Slots under a limit that exists."""
        if name.kind == "tag":
            return self.tags[name.value]
        most = self.namespaces.get(name.value, self.default)
        return 0 if most is None else most


@dataclass(frozen=True)
class Waiting(Generic[K]):
    """A run that waits for nothing but a slot; ordered by age."""

    created_at: datetime
    uid: str
    key: K
    needs: tuple[Name, ...]


class Slots(Generic[K]):
    """Who holds slots and who waits for them. One index, kept up to date by whoever learns of a TaskRun."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._needs: dict[K, tuple[Name, ...]] = {}
        self._holders: dict[Name, set[K]] = defaultdict(set)
        self._line: list[Waiting[K]] = []
        self._places: dict[K, Waiting[K]] = {}
        self._asked: Counter[Name] = Counter()
        """Runs in line, by what they wait for."""
        self._changed = False

    def hold(self, key: K, needs: tuple[Name, ...]) -> None:
        """The run's attempt is recorded, or about to be."""
        self.leave(key)
        if needs and key not in self._needs:
            self._needs[key] = needs
            for name in needs:
                self._holders[name].add(key)
            self._changed = True

    def release(self, key: K) -> None:
        """No attempt of the run is under way."""
        for name in self._needs.pop(key, ()):
            self._holders[name].discard(key)
            self._changed = True

    def wait(self, key: K, created_at: datetime, uid: str, needs: tuple[Name, ...]) -> None:
        """The run waits for slots and for nothing else."""
        place = Waiting(created_at, uid, key, needs)
        if key in self._needs or not needs or self._places.get(key) == place:
            return
        self.leave(key)
        self._places[key] = place
        insort(self._line, place, key=_age)
        self._asked.update(needs)

    def leave(self, key: K) -> None:
        """The run waits for slots no longer, or for something else besides."""
        place = self._places.pop(key, None)
        if place is None:
            return
        index = bisect_left(self._line, _age(place), key=_age)
        del self._line[index]
        self._asked.subtract(place.needs)
        self._changed = True

    def seen_by(self, key: K, created_at: datetime, uid: str, needs: tuple[Name, ...]) -> tuple[Limit, ...]:
        """The limits as one run meets them: slots of others, and free ones that older runs take first."""
        if not needs:
            return ()
        held = {name: len(self._holders[name]) - (key in self._holders[name]) for name in needs}
        ahead = dict.fromkeys(needs, 0)
        if all(held[name] < self.limits.allowed(name) for name in needs):
            older = islice(self._line, bisect_left(self._line, (created_at, uid), key=_age))
            for place in self._served(older, without=key):
                for name in set(place.needs) & set(needs):
                    ahead[name] += 1
                if any(held[name] + ahead[name] >= self.limits.allowed(name) for name in needs):
                    break
        return tuple(Limit(str(name), self.limits.allowed(name), held[name], ahead[name]) for name in needs)

    def next(self) -> list[K]:
        """Those whose turn it is, if anything changed since this was asked last."""
        if not self._changed:
            return []
        self._changed = False
        return [place.key for place in self._served(self._line)]

    def _served(self, line: Iterable[Waiting[K]], without: K | None = None) -> Iterable[Waiting[K]]:
        """Of those in line the ones that get a slot under each of their limits, first come, first served."""
        free = {
            name: self.limits.allowed(name) - len(self._holders[name]) + (without in self._holders[name])
            for name, waiting in self._asked.items()
            if waiting
        }
        left = {name for name, slots in free.items() if slots > 0}
        for place in line:
            if not left:
                return
            if left.issuperset(place.needs):
                for name in place.needs:
                    free[name] -= 1
                    if not free[name]:
                        left.discard(name)
                yield place


def _age(place: Waiting[Any]) -> tuple[datetime, str]:
    return place.created_at, place.uid


def _object(path: str, value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{path} must be an object of names and numbers")  # noqa: TRY004 - one error per setting
    return value


def _count(path: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{path} must be a whole number, 0 or more, not {value!r}")
    return value
