"""Concurrency limits per namespace, tag and resource: who holds a slot, who waits, whose turn it is. Pure, no locks.

A slot is held while an attempt is recorded and unfinished, not while a run waits for its retry. A run needs a slot
under every limit it falls under. Limits of a tag or a resource are shared by all namespaces: of those who wait, the
namespace that holds the fewest of such slots is served first, and within it the oldest run. One that also waits for
another limit, which is full, holds nobody up. Everything here is computed from TaskRuns, so a restart finds the same.

Those who wait are kept in a line per namespace and set of limits, so that no step looks at more than the heads of the
lines and the slots that are free, however many wait.
Asked by: the operator's `cluster_cache` and `observer`; the rule that answers is `podtask.core.lifecycle.rules.queued`.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Any, Generic, NamedTuple, TypeVar

from podtask.core.lifecycle.model import Limit

K = TypeVar("K", bound=Hashable)


class Name(NamedTuple):
    """Which limit: of a namespace; of a tag or a resource in all namespaces, or in one of them."""

    kind: str
    value: str
    within: str = ""
    """The namespace, where the limit is a part of the one for all."""

    def __str__(self) -> str:
        part = f" in namespace '{self.within}'" if self.within else ""
        return f"{self.kind} '{self.value}'{part}"

    @property
    def shared(self) -> bool:
        """Whether runs of several namespaces compete for its slots."""
        return self.kind != "namespace" and not self.within


class Most(NamedTuple):
    """Slots of all namespaces together, and how many of them one namespace may hold."""

    all: int
    per_namespace: int | None = None


@dataclass(frozen=True)
class Limits:
    """What the administrator allows: attempts under way at the same time."""

    default: int | None = None
    """In each namespace that `namespaces` does not name; None: no limit."""
    namespaces: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, Most] = field(default_factory=dict)
    """A tag is a word of the run's own: whoever leaves it out is not counted."""
    resources: Mapping[str, Most] = field(default_factory=dict)
    """Of runs that ask for a resource such as nvidia.com/gpu: whoever leaves it out does not get it."""

    @classmethod
    def read(cls, limits: Mapping[str, Any]) -> Limits:
        """`{"namespace": {"default": 20, "names": {"team": 5}}, "tags": {"gpu": 4}}`; instead of a number of a tag or a
        resource also `{"all": 4, "perNamespace": 2}`. Raises `ValueError`."""
        namespace = _object("namespace", limits.get("namespace"))
        for path, given, known in (
            ("", limits, ("namespace", "tags", "resources")),
            ("namespace.", namespace, ("default", "names")),
        ):
            for key in given:
                if key not in known:
                    raise ValueError(f"there is no limit {path}{key!s}; known are {', '.join(known)}")
        default = namespace.get("default")
        return cls(
            None if default is None else _count("namespace.default", default),
            {name: _count(name, most) for name, most in _object("namespace.names", namespace.get("names")).items()},
            {tag: _most(tag, most) for tag, most in _object("tags", limits.get("tags")).items()},
            {name: _most(name, most) for name, most in _object("resources", limits.get("resources")).items()},
        )

    def over(self, namespace: str, tags: Iterable[str], resources: Iterable[str] = ()) -> tuple[Name, ...]:
        """The limits that a run of the namespace with these tags and resources falls under."""
        ours = self.namespaces.get(namespace, self.default)
        names = [] if ours is None else [Name("namespace", namespace)]
        for kind, given, limits in (("tag", tags, self.tags), ("resource", resources, self.resources)):
            for value in sorted(set(given)):
                if value in limits:
                    part = limits[value].per_namespace
                    names += [Name(kind, value), *([] if part is None else [Name(kind, value, namespace)])]
        return tuple(names)

    def allowed(self, name: Name) -> int:
        """Slots under a limit that exists."""
        if name.kind in ("tag", "resource"):
            most_of_it = (self.tags if name.kind == "tag" else self.resources)[name.value]
            return most_of_it.all if not name.within or most_of_it.per_namespace is None else most_of_it.per_namespace
        most = self.namespaces.get(name.value, self.default)
        return 0 if most is None else most


@dataclass(frozen=True)
class WaitingRun(Generic[K]):
    """A run that waits for nothing but a slot; ordered by age."""

    created_at: datetime
    uid: str
    key: K
    needs: tuple[Name, ...]
    namespace: str = ""


class Slots(Generic[K]):
    """Who holds slots and who waits for them. One index, kept up to date by whoever learns of a TaskRun."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._needs: dict[K, tuple[tuple[Name, ...], str]] = {}
        """Of each run that holds slots: which, and its namespace."""
        self._holders: dict[Name, set[K]] = defaultdict(set)
        self._shares: Counter[str] = Counter()
        """Namespace -> runs that hold slots for which namespaces compete."""
        self._lines: dict[tuple[str, tuple[Name, ...]], list[WaitingRun[K]]] = {}
        """Those who wait, oldest first, by namespace and by what they wait for."""
        self._places: dict[K, WaitingRun[K]] = {}
        self._changed = False

    def hold(self, key: K, needs: tuple[Name, ...], namespace: str = "") -> None:
        """The run's attempt is recorded, or about to be."""
        self.leave(key)
        if needs and key not in self._needs:
            self._needs[key] = needs, namespace
            for name in needs:
                self._holders[name].add(key)
            self._shares[namespace] += _competes(needs)
            self._changed = True

    def release(self, key: K) -> None:
        """No attempt of the run is under way."""
        needs, namespace = self._needs.pop(key, ((), ""))
        for name in needs:
            self._holders[name].discard(key)
            self._changed = True
        self._shares[namespace] -= _competes(needs)
        if not self._shares[namespace]:
            del self._shares[namespace]

    def wait(self, key: K, created_at: datetime, uid: str, needs: tuple[Name, ...], namespace: str = "") -> None:
        """The run waits for slots and for nothing else."""
        place = WaitingRun(created_at, uid, key, needs, namespace)
        if key in self._needs or not needs or self._places.get(key) == place:
            return
        self.leave(key)
        self._places[key] = place
        insort(self._lines.setdefault((namespace, needs), []), place, key=_age)

    def leave(self, key: K) -> None:
        """The run waits for slots no longer, or for something else besides."""
        place = self._places.pop(key, None)
        if place is None:
            return
        line = self._lines[place.namespace, place.needs]
        del line[bisect_left(line, _age(place), key=_age)]
        if not line:
            del self._lines[place.namespace, place.needs]
        self._changed = True

    def seen_by(
        self, key: K, created_at: datetime, uid: str, needs: tuple[Name, ...], namespace: str = ""
    ) -> tuple[Limit, ...]:
        """The limits as one run meets them: slots of others, and free ones that others take first."""
        if not needs:
            return ()
        held = {name: len(self._holders[name]) - (key in self._holders[name]) for name in needs}
        ahead = dict.fromkeys(needs, 0)
        if all(held[name] < self.limits.allowed(name) for name in needs):
            served = self._served(WaitingRun(created_at, uid, key, needs, namespace))
            for place in takewhile(lambda place: place.key != key, served):
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
        return [place.key for place in self._served()]

    def _served(self, one: WaitingRun[K] | None = None) -> Iterator[WaitingRun[K]]:
        """Of those in line, and of `one`, those that get a slot under each of their limits, in the order of turns."""
        shares, free = Counter(self._shares), dict[Name, int]()
        if one is not None and one.key in self._needs:
            shares[one.namespace] -= _competes(self._needs[one.key][0])

        def fits(needs: tuple[Name, ...]) -> bool:
            for name in needs:
                if name not in free:
                    held = len(self._holders[name]) - (one is not None and one.key in self._holders[name])
                    free[name] = self.limits.allowed(name) - held
            return all(free[name] > 0 for name in needs)

        lines = [line for (_, needs), line in self._lines.items() if fits(needs)]
        if one is not None:
            lines.append([one])
        heads = [(shares[line[0].namespace], *_age(line[0]), number, 0) for number, line in enumerate(lines)]
        heapq.heapify(heads)
        while heads:
            share, created_at, uid, number, position = heapq.heappop(heads)
            place = lines[number][position]
            if not fits(place.needs):
                continue
            if shares[place.namespace] != share:  # others of its namespace were served meanwhile
                heapq.heappush(heads, (shares[place.namespace], created_at, uid, number, position))
                continue
            if one is None or place is one or place.key != one.key:
                for name in place.needs:
                    free[name] -= 1
                shares[place.namespace] += _competes(place.needs)
                yield place
            if position + 1 < len(lines[number]):
                following = lines[number][position + 1]
                heapq.heappush(heads, (shares[following.namespace], *_age(following), number, position + 1))


def _competes(needs: tuple[Name, ...]) -> bool:
    return any(name.shared for name in needs)


def _age(place: WaitingRun[Any]) -> tuple[datetime, str]:
    return place.created_at, place.uid


def _object(path: str, value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{path} must be an object of names and numbers")  # noqa: TRY004 - one error per setting
    return value


def _most(path: str, value: Any) -> Most:
    if not isinstance(value, Mapping):
        return Most(_count(path, value))
    for key in value:
        if key not in ("all", "perNamespace"):
            raise ValueError(f"there is no limit {path}.{key!s}; known are all, perNamespace")
    part = value.get("perNamespace")
    return Most(_count(f"{path}.all", value.get("all")), None if part is None else _count(f"{path}.perNamespace", part))


def _count(path: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{path} must be a whole number, 0 or more, not {value!r}")
    return value
