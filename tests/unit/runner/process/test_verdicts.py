"""The rules by which an ended child becomes a verdict, without any child."""

from __future__ import annotations

import signal

import pytest

from podtask_runner.attempt.report import Phase
from podtask_runner.process.verdicts import ChildExit, judge
from podtask_runner.protocol import Error, Outcome, Result, Verdict

DONE = Outcome(Verdict.COMPLETED, result=Result("d", 1, "json"))
FAILED = Outcome(Verdict.FAILED, error=Error("ValueError", "no"))
EXITED = Outcome(Verdict.CRASHED, error=Error("SystemExit", "sys.exit(1)"))


@pytest.mark.parametrize(
    ("ended", "verdict", "kind"),
    [
        pytest.param(ChildExit(DONE), Verdict.COMPLETED, None, id="a report is believed"),
        pytest.param(
            ChildExit(DONE, signum=signal.SIGSEGV),
            Verdict.COMPLETED,
            None,
            id="a crash after the report changes nothing",
        ),
        pytest.param(ChildExit(DONE, interrupted=True), Verdict.COMPLETED, None, id="finished work wins over SIGTERM"),
        pytest.param(
            ChildExit(FAILED, interrupted=True),
            Verdict.INTERRUPTED,
            "Interrupted",
            id="a failure after SIGTERM is an interruption",
        ),
        pytest.param(
            ChildExit(EXITED, interrupted=True),
            Verdict.INTERRUPTED,
            "Interrupted",
            id="SystemExit after SIGTERM is an interruption",
        ),
        pytest.param(
            ChildExit(None, signum=signal.SIGTERM, interrupted=True),
            Verdict.INTERRUPTED,
            "Interrupted",
            id="death by our SIGTERM",
        ),
        pytest.param(
            ChildExit(None, signum=signal.SIGTERM),
            Verdict.CRASHED,
            "SIGTERM",
            id="death by a SIGTERM that was not for us",
        ),
        pytest.param(
            ChildExit(DONE, timed_out=2.0), Verdict.TIMED_OUT, "TimedOut", id="a result after the limit is too late"
        ),
        pytest.param(
            ChildExit(None, timed_out=2.0, phase=Phase.RUN), Verdict.TIMED_OUT, "TimedOut", id="the limit was reached"
        ),
        pytest.param(
            ChildExit(None, timed_out=2.0, phase=Phase.FETCH),
            Verdict.STORE_UNAVAILABLE,
            "StoreUnavailable",
            id="the limit passed while waiting for the store",
        ),
        pytest.param(
            ChildExit(None, signum=signal.SIGKILL, out_of_memory=True),
            Verdict.CRASHED,
            "OutOfMemory",
            id="killed for memory",
        ),
        pytest.param(ChildExit(None, signum=signal.SIGKILL), Verdict.CRASHED, "SIGKILL", id="killed by somebody"),
        pytest.param(ChildExit(None, signum=63), Verdict.CRASHED, "signal 63", id="a signal without a name"),
        pytest.param(ChildExit(None, exit_code=3), Verdict.CRASHED, "Exit", id="an exit without a report"),
    ],
)
def test_judge(ended: ChildExit, verdict: Verdict, kind: str | None) -> None:
    outcome = judge(ended)
    assert outcome.outcome is verdict
    assert (outcome.error.type if outcome.error is not None else None) == kind
    without = outcome.error is FAILED.error or outcome.outcome is Verdict.INTERRUPTED
    assert outcome.error is None or without or outcome.error.cure
