"""What is to be done about the idle pods of one pool: which go, and how many are made. Pure.

    pods as they are ──> REASONS (why one goes; the first that answers) ──> Plan

A pod that a TaskRun has chosen is nobody's to remove: it is counted out, and another one is made in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

AT_ONCE: Final = 2
"""Pods that may be starting at the same time, and that are replaced at the same time."""


@dataclass(frozen=True)
class Idle:
    """One idle pod of the pool."""

    name: str
    age: float
    """Seconds."""
    ready: bool = False
    ended: bool = False
    posted: bool = True
    """The operator knows that it has created it."""
    alike: bool = True
    """It is what would be created now."""
    chosen: bool = False
    """A TaskRun is about to take it."""
    spent: bool = False
    """It was chosen once and not taken."""


@dataclass(frozen=True)
class Plan:
    """Names of the pods that go, and how many pods are made."""

    remove: tuple[str, ...] = ()
    create: int = 0
    ready: int = 0
    """Pods that an attempt could take at once, after that."""


def has_ended(pod: Idle, _: float) -> bool:
    """It waits no more."""
    return pod.ended


def is_unknown(pod: Idle, _: float) -> bool:
    """An operator died between the POST and the status, or somebody else made it."""
    return not pod.posted


def is_spent(pod: Idle, _: float) -> bool:
    """Grants may have been written for it."""
    return pod.spent


def is_outdated(pod: Idle, _: float) -> bool:
    """Settings of the operator have changed."""
    return not pod.alike


def is_too_old(pod: Idle, max_age: float) -> bool:
    """What its image and its volumes stand for may have changed."""
    return pod.age >= max_age


AT_ANY_TIME: Final[tuple[Callable[[Idle, float], bool], ...]] = (has_ended, is_unknown, is_spent)
LITTLE_BY_LITTLE: Final[tuple[Callable[[Idle, float], bool], ...]] = (is_outdated, is_too_old)
"""Reasons for which no more than `AT_ONCE` go while others start: the pool must not be empty because of them."""


def planned(pods: list[Idle], size: int, max_age: float, *, may_create: bool) -> Plan:
    """The next step. `size` 0 gives everything back."""
    free = [pod for pod in pods if not pod.chosen]
    gone = [pod for pod in free if any(reason(pod, max_age) for reason in AT_ANY_TIME)]
    kept = [pod for pod in free if pod not in gone]
    starting = sum(not pod.ready for pod in kept)
    old = [pod for pod in kept if any(reason(pod, max_age) for reason in LITTLE_BY_LITTLE)]
    old = sorted(old, key=lambda pod: (pod.ready, -pod.age))[: max(0, AT_ONCE - starting) if size else None]
    kept = [pod for pod in kept if pod not in old]
    extra = sorted(kept, key=lambda pod: (pod.ready, -pod.age))[: max(0, len(kept) - size)]
    kept = [pod for pod in kept if pod not in extra]
    starting = sum(not pod.ready for pod in kept)
    create = max(0, min(AT_ONCE - starting, size - len(kept))) if may_create else 0
    return Plan(tuple(pod.name for pod in (*gone, *old, *extra)), create, sum(pod.ready for pod in kept))
