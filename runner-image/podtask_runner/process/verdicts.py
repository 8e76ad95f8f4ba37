"""From how the child ended to one `Outcome`: pure, the first rule that answers wins.

Between `podtask_runner.process.supervisor` (which watched the child) and `podtask_runner.process.delivery` (which
stores).
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from podtask_runner.attempt.report import Phase
from podtask_runner.errors import ToldToStop
from podtask_runner.names import OUT_OF_MEMORY
from podtask_runner.protocol import Error, Outcome, Verdict


@dataclass(frozen=True)
class ChildExit:
    """What the supervisor saw of the child. `signum` 0: it exited by itself."""

    report: Outcome | None
    exit_code: int = 0
    signum: int = 0
    phase: Phase | None = None
    timed_out: float | None = None
    """The limit in seconds, when the supervisor enforced it."""
    interrupted: bool = False
    """SIGTERM reached the supervisor before the child had reported."""
    out_of_memory: bool = False
    """The kernel counted an OOM kill in this cgroup meanwhile."""
    stderr_tail: str = ""
    """What faulthandler wrote."""


def judge(ended: ChildExit) -> Outcome:
    """The outcome of the attempt."""
    return next(outcome for rule in _RULES if (outcome := rule(ended)) is not None)


def _timed_out(ended: ChildExit) -> Outcome | None:
    """Our own limit. Waiting for the store is the store's fault, not the task's."""
    if ended.timed_out is None:
        return None
    if ended.phase is Phase.FETCH:
        message = f"The inputs could not be read within the task's {ended.timed_out:g} s."
        return _outcome(Verdict.STORE_UNAVAILABLE, "StoreUnavailable", message, "Check the store's endpoint.")
    doing = "while its code was loaded" if ended.phase is Phase.LOAD else "while it ran"
    message = f"The attempt exceeded timeoutSeconds ({ended.timed_out:g} s) {doing}."
    outcome = _outcome(Verdict.TIMED_OUT, "TimedOut", message, "Raise timeoutSeconds, or make the task faster.")
    return _with_timings(replace(outcome, error=_retryable(outcome.error)), ended)


def _interrupted(ended: ChildExit) -> Outcome | None:
    """SIGTERM from outside, whatever user code made of it, unless it finished its work."""
    if not ended.interrupted or (ended.report is not None and ended.report.outcome is Verdict.COMPLETED):
        return None
    said = ended.report.error if ended.report is not None else None
    became = f" The task ended with {said.type}: {said.message}" if said and not _obeyed(said) else ""
    message = f"The pod was told to stop (SIGTERM) before the task had finished.{became}"
    # Without a cure: who stopped it, and whether it is tried again, is not known in here.
    outcome = Outcome(Verdict.INTERRUPTED, error=Error("Interrupted", message, retryable=False))
    return _with_timings(replace(outcome, error=_retryable(outcome.error)), ended)


def _obeyed(error: Error) -> bool:
    return error.type.rpartition(".")[2] == ToldToStop.__name__


def _reported(ended: ChildExit) -> Outcome | None:
    return ended.report


def _out_of_memory(ended: ChildExit) -> Outcome | None:
    if ended.signum != signal.SIGKILL or not ended.out_of_memory:
        return None
    message = "The kernel killed the task because the container's memory limit was reached."
    return _crashed(ended, OUT_OF_MEMORY, message, "Raise spec.resources.limits.memory, or set spec.onOutOfMemory.")


def _killed(ended: ChildExit) -> Outcome | None:
    if not ended.signum:
        return None
    name = _signal_name(ended.signum)
    message = f"The interpreter was killed by {name}{_DURING.get(ended.phase, '')}."
    return _crashed(ended, name, message, _CURES.get(ended.signum, "Find out who sends this signal to the task."))


def _left(ended: ChildExit) -> Outcome:
    message = f"The interpreter exited with code {ended.exit_code} and without a result{_DURING.get(ended.phase, '')}."
    return _crashed(ended, "Exit", message, "Something called os._exit or ended the process; return from the task.")


_RULES: Final[tuple[Callable[[ChildExit], Outcome | None], ...]] = (
    _timed_out,
    _interrupted,
    _reported,
    _out_of_memory,
    _killed,
    _left,
)

_DURING: Final = {
    None: " while it started",
    Phase.FETCH: " while its inputs were read",
    Phase.LOAD: " while its code and arguments were loaded",
    Phase.RUN: " while the task ran",
}

_NATIVE: Final = (
    "A native extension failed; the traceback shows where Python called it. Check its version and this image."
)
_CURES: Final[dict[int, str]] = {
    signal.SIGSEGV: _NATIVE,
    signal.SIGBUS: _NATIVE,
    signal.SIGILL: "A package was built for another processor. Use an image for this node's architecture.",
    signal.SIGFPE: _NATIVE,
    signal.SIGABRT: _NATIVE,
    signal.SIGKILL: "Usually memory: raise spec.resources.limits.memory. Otherwise somebody killed it inside the pod.",
}


def _crashed(ended: ChildExit, kind: str, message: str, cure: str) -> Outcome:
    outcome = _outcome(Verdict.CRASHED, kind, f"Execution was interrupted. {message}", cure)
    if ended.stderr_tail and outcome.error is not None:
        return replace(outcome, error=replace(outcome.error, traceback=ended.stderr_tail[:2048]))
    return outcome


def _outcome(verdict: Verdict, kind: str, message: str, cure: str) -> Outcome:
    return Outcome(verdict, error=Error(kind, message, retryable=False, cure=cure))


def _retryable(error: Error | None) -> Error | None:
    return replace(error, retryable=True) if error is not None else None


def _with_timings(outcome: Outcome, ended: ChildExit) -> Outcome:
    return replace(outcome, timings=ended.report.timings) if ended.report is not None else outcome


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
