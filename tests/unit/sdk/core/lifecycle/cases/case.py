"""One row of a decide table, and the words that several tables use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.lifecycle_builders import at, awaiting, ended

from podtask.core.api.names import Ended, Reason, State
from podtask.core.api.status import Attempt, Status
from podtask.core.lifecycle.memory import MemoryGrowth
from podtask.core.lifecycle.model import CachePolicy, CacheView, Limit, Observed, Policy, Why


@dataclass(frozen=True)
class Case:
    """`given` at `now` seconds after T0; what is expected, where a field is given. `...`: not looked at."""

    given: Observed
    now: float
    rule: str
    state: State | None = None
    reason: Any = ...
    effects: tuple[Any, ...] = ()
    again: Any = ...
    writes: bool = True
    has: dict[str, Any] | None = None
    """Fields of the new status."""
    last: dict[str, Any] | None = None
    """Fields of its newest attempt."""


INVALID = Why(Reason.INVALID_SPEC, "task.source does not compile", "Correct line 3.")
CACHE = CachePolicy()
VIEW = CacheView("k1:abc", miss_reason="no entry")
FINISHED = Status(state=State.COMPLETED, finished_at=at(10))
MARKED = {"reason": Reason.PENDING_TIMEOUT, "message": "It did not start in time: no node"}


def cancel(**more: Any) -> Policy:
    return Policy(**{"cancel": True, **more})


DEADLINE = Policy(deadline_seconds=30)
FORCE = Policy(force_after_seconds=60)
GROWING = Policy(retries=1, on_out_of_memory=MemoryGrowth(factor=2.0, most=2**31, attempts=5, base=2**29))


def limit(what: str = "tag 'gpu'", *, allowed: int = 2, held: int = 0, ahead: int = 0) -> Limit:
    return Limit(what, allowed, held, ahead)


def suspended(since: float, **more: Any) -> Status:
    """A retry that is due at 60 s and was suspended before."""
    known = {
        "state": State.PENDING,
        "reason": Reason.SUSPENDED,
        "message": "spec.suspend is true.",
        "cure": "Set spec.suspend to false.",
    }
    return awaiting(60, **{**known, "suspended_at": at(since), **more})


def killed(number: int) -> Attempt:
    return ended(number, Ended.OUT_OF_MEMORY, Reason.OUT_OF_MEMORY)
