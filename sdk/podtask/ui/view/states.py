"""States as words and shapes: a colour never says anything that these two do not. Pure.

Every state belongs to one group, and a group has one shape and one colour. A word of a newer operator is `waiting`.
"""

from __future__ import annotations

from collections.abc import Mapping

from podtask.core.api.names import State

GROUPS: Mapping[str, tuple[State, ...]] = {
    "failed": (State.FAILED, State.CRASHED, State.TIMED_OUT, State.NOT_READY),
    "running": (State.RUNNING, State.RETRYING),
    "delayed": (State.AWAITING_RETRY,),
    "waiting": (State.PENDING,),
    "stopped": (State.CANCELLED,),
    "done": (State.COMPLETED, State.CACHED),
}
"""Group -> its states, in the order in which a person wants to see them."""
_GROUP_OF = {str(state): group for group, states in GROUPS.items() for state in states}
WORDS: Mapping[str, str] = {
    State.AWAITING_RETRY: "Awaiting retry",
    State.TIMED_OUT: "Timed out",
    State.NOT_READY: "Not ready",
}
"""States of which the word is two."""
ORDER = [str(state) for states in GROUPS.values() for state in states]


def group(state: str) -> str:
    """The group of a state: failed, running, delayed, waiting, stopped or done."""
    return _GROUP_OF.get(state, "waiting")


def word(state: str) -> str:
    """The state as a person reads it."""
    return WORDS.get(state, state)


def ended(state: str) -> bool:
    """True where nothing follows."""
    return group(state) in ("failed", "stopped", "done")


def rank(state: str) -> int:
    """The place of a state in an enumeration: what went wrong first, what went well last."""
    return ORDER.index(state) if state in ORDER else len(ORDER)


def in_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Counts by state, without zeros, in the order of a summary."""
    return sorted(((state, count) for state, count in counts.items() if count), key=lambda one: (rank(one[0]), one[0]))
