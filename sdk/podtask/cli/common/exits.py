"""From whatever goes wrong to one sentence on stderr and an exit status. The statuses are part of the interface.

    0   done; of `wait`, `submit --wait`: the run has succeeded
    1   it could not be done; the sentence says why, and what to do
    2   the command line is wrong
    3   there is no such thing
    4   time is up, and the run goes on
    10  the run has Failed      11  Crashed     12  TimedOut    13  Cancelled   14  NotReady
    130 interrupted by Ctrl-C

Raised by every command, caught in `app`.
"""

from __future__ import annotations

import enum
import sys
import traceback
from collections.abc import Iterable

from podtask.core.api.names import State
from podtask.errors import PodtaskError
from podtask.support.terminal_text import visible


class Exit(enum.IntEnum):
    """Exit statuses."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    TIME_IS_UP = 4
    RUN_FAILED = 10
    RUN_CRASHED = 11
    RUN_TIMED_OUT = 12
    RUN_CANCELLED = 13
    RUN_NOT_READY = 14
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """As `--help` and the documentation have it."""
        return _MEANINGS[self]

    @property
    def of_a_run(self) -> bool:
        """True where it tells how a run ended."""
        return self in _OUTCOMES.values()


_MEANINGS = {
    Exit.DONE: "done",
    Exit.FAILED: "it could not be done",
    Exit.USAGE: "wrong command line",
    Exit.NOT_FOUND: "not found",
    Exit.TIME_IS_UP: "time is up",
    Exit.RUN_FAILED: "Failed",
    Exit.RUN_CRASHED: "Crashed",
    Exit.RUN_TIMED_OUT: "TimedOut",
    Exit.RUN_CANCELLED: "Cancelled",
    Exit.RUN_NOT_READY: "NotReady",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
}
_OUTCOMES = {
    State.FAILED: Exit.RUN_FAILED,
    State.CRASHED: Exit.RUN_CRASHED,
    State.TIMED_OUT: Exit.RUN_TIMED_OUT,
    State.CANCELLED: Exit.RUN_CANCELLED,
    State.NOT_READY: Exit.RUN_NOT_READY,
}


class CommandFailed(PodtaskError):
    """A command cannot do what it was asked; the text says why and what to do."""

    def __init__(self, text: str, status: Exit = Exit.FAILED) -> None:
        super().__init__(text)
        self.status = status


class CommandEnded(Exception):
    """The command is done, and this is its exit status; everything has been said."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def outcome(states: Iterable[State]) -> Exit:
    """The exit status for runs that ended so: the first that did not succeed decides."""
    return next((_OUTCOMES[state] for state in states if not state.succeeded), Exit.DONE)


def left(ended: SystemExit) -> int:
    """The exit status of a program that left by `sys.exit`, as Python's own: nothing is 0; a text is printed, and 1."""
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or Exit.DONE
    sys.stderr.write(f"{ended.code}\n")
    return Exit.FAILED


def told(error: BaseException, *, debug: bool) -> int:
    """Say on stderr what happened; the exit status."""
    if isinstance(error, CommandEnded):
        return error.status
    if isinstance(error, KeyboardInterrupt):
        sys.stderr.write("\n")
        return Exit.INTERRUPTED
    if debug:
        traceback.print_exception(error)
    sys.stderr.write(f"podtask: {visible(sentence(error))}\n")
    return error.status if isinstance(error, CommandFailed) else Exit.FAILED


def sentence(error: BaseException) -> str:
    """The error's own words; for one that nobody foresaw, what to do with it."""
    from podtask.core.storage.base import StoreError

    if isinstance(error, (PodtaskError, StoreError)):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return f"{type(error).__name__}: {error}. This was not foreseen; --debug shows where it happened."
