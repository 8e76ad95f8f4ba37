"""`allow_failure` in arguments: carried down to the futures it holds, and off from everything else.

    allow_failure([future, 5]) ──spread──> [allow_failure(future), 5]

Used by `podtask.payloads.arguments` and `podtask.payloads.wait_for` (calls of tasks), `podtask.engine.flow_engine`
(calls of flows, to whose parameters a failure comes as its exception in any case).
"""

from __future__ import annotations

from typing import Any

from podtask.annotations import allow_failure
from podtask.futures import BaseFuture
from podtask.states import State
from podtask.support import containers


def is_spread(mark: allow_failure[Any]) -> bool:
    """Whether it stands at a future or a state already."""
    return isinstance(mark.value, (BaseFuture, State))


def spread(mark: allow_failure[Any]) -> Any:
    """What it holds, with the mark at each future and state in it. Iterators become lists."""
    return containers.replaced(mark.value, _is_concerned, _spread)


def without(value: Any) -> Any:
    """The value with no mark in it."""
    return containers.replaced(value, _is_mark, lambda mark: without(containers.listed(mark.value)))


def _is_mark(value: Any) -> bool:
    return isinstance(value, allow_failure)


def _is_concerned(value: Any) -> bool:
    return isinstance(value, (BaseFuture, State, allow_failure)) or containers.is_iterator(value)


def _spread(value: Any) -> Any:
    if isinstance(value, (BaseFuture, State)):
        return allow_failure(value)
    return spread(value if isinstance(value, allow_failure) else allow_failure(list(value)))
