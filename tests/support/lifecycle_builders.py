"""What a decision may depend on, in the words of the tests; times are seconds after T0."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from podtask.core.api.names import Cause, Ended, Reason, State
from podtask.core.api.status import Attempt, ResolvedInput, ResultInfo, Status
from podtask.core.lifecycle.failed_inputs import failed_input
from podtask.core.lifecycle.model import Observed, Pod, PodPhase, Policy, Presence, Refusal, Upstream, Why
from podtask_runner.protocol import Error, Outcome, Result, Verdict

T0 = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
DIGEST = "ab" * 32
OTHER_DIGEST = "cd" * 32
UID = "0d3b1c5e-1111-4222-8333-444455556666"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def seen(status: Status | None = None, *, policy: Policy | None = None, **more: Any) -> Observed:
    """A run created at T0. A `pod` among `more` is seen, unless `presence` says something else."""
    if "presence" not in more and more.get("pod") is not None:
        more["presence"] = Presence.SEEN
    return Observed(UID, T0, policy or Policy(), status or Status(), **more)


def attempt(number: int = 1, **more: Any) -> Attempt:
    """An attempt recorded at T0 that is not judged."""
    return Attempt(number, **{"recorded_at": T0, **more})


def ended(number: int = 1, outcome: Ended = Ended.FAILED, reason: Reason = Reason.EXCEPTION, **more: Any) -> Attempt:
    """An attempt that ended 10 s after T0."""
    return attempt(number, **{"outcome": outcome, "reason": reason, "finished_at": at(10), "message": "boom", **more})


def status(*attempts: Attempt, **more: Any) -> Status:
    """The status of a run with these attempts."""
    total = attempts[-1].number if attempts else 0
    return Status(**{"attempts": attempts, "attempts_total": total, "started_at": T0 if attempts else None, **more})


def running(**more: Any) -> Status:
    """Attempt 1 is recorded and nothing else happened."""
    return status(attempt(**more), reason=Reason.SCHEDULING)


def awaiting(seconds: float, **more: Any) -> Status:
    """Attempt 1 failed at 10 s; attempt 2 is due at `seconds`."""
    known = {"state": State.AWAITING_RETRY, "reason": Reason.EXCEPTION, "message": "boom", "retries_used": 1}
    return status(ended(), **{**known, "next_attempt_at": at(seconds), **more})


def pod(phase: PodPhase = PodPhase.RUNNING, **more: Any) -> Pod:
    """A pod; one that runs or ended was started 1 s after T0."""
    started = None if phase is PodPhase.WAITING else at(1)
    return Pod("pod-1", phase, **{"node": "node-a", "started_at": started, **more})


def waiting(**more: Any) -> Pod:
    return pod(PodPhase.WAITING, **more)


def over(said: Verdict | Outcome | None = None, **more: Any) -> Pod:
    """A pod that ended; with the runner's word, if it had one."""
    outcome = said_(said) if isinstance(said, Verdict) else said
    return pod(PodPhase.ENDED, **{"outcome": outcome, "exit_code": 0 if outcome else 137, **more})


def said_(verdict: Verdict, **error: Any) -> Outcome:
    """What the runner says of such an end."""
    if verdict is Verdict.COMPLETED:
        return Outcome(verdict, Result(DIGEST, 5, "json", contentHash="h1:" + DIGEST, value="42"))
    return Outcome(verdict, error=Error(**{"type": "ValueError", "message": "boom", **error}))


def refusal(*, final: bool = False, retry_at: float = 20, reason: Reason = Reason.QUOTA) -> Refusal:
    return Refusal(Why(reason, "exceeded quota: pods", "Raise the quota."), final=final, retry_at=at(retry_at))


def upstream(name: str = "up", state: State | None = State.COMPLETED, **more: Any) -> Upstream:
    """A run this one needs; `state` None: there is none of that name."""
    if state is None:
        return Upstream(name, exists=False, **more)
    done = state.succeeded
    result = ResolvedInput(name, f"uid-{name}", 1, DIGEST) if done else None
    return Upstream(name, True, state.finished, done, str(state), **{"result": result, **more})


def failed_upstream(name: str = "up", state: State = State.FAILED, **more: Any) -> Upstream:
    """One that failed and may."""
    ended = Status(state=state, message="boom", attempts_total=1, finished_at=at(5))
    return upstream(name, state, may_fail=True, result=failed_input(name, f"uid-{name}", ended), **more)


HIT = ResultInfo(DIGEST, 5, "json", value="42", attempt=1, source_uid="uid-of-earlier")


def with_policy(observed: Observed, **changes: Any) -> Observed:
    return replace(observed, policy=replace(observed.policy, **changes))


__all__ = [
    "DIGEST", "HIT", "OTHER_DIGEST", "T0", "UID", "Cause", "at", "attempt", "awaiting", "ended", "failed_upstream",
    "over", "pod", "refusal", "running", "said_", "seen", "status", "upstream", "waiting", "with_policy",
]  # fmt: skip
