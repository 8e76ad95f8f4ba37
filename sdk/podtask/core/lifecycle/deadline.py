"""The clock of `spec.deadlineSeconds`: from the record of the first attempt to the end. Pure.

As a Job's `activeDeadlineSeconds` it begins with the start, not with the creation: waiting for upstreams, for an
identical run or for the first slot is not counted. It stands still while the run is suspended and nothing of it runs.
Retry delays, waiting for a node, and waiting for a slot between attempts are counted.
Asked by: `rules`, `transitions`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from podtask.core.api.names import Reason
from podtask.core.api.reasons import cure_of
from podtask.core.api.status import ErrorInfo, Status
from podtask.core.lifecycle.delays import later
from podtask.core.lifecycle.model import Policy, Why


def ends_at(policy: Policy, status: Status, now: datetime) -> datetime | None:
    """When the run's time is over; None where it has no deadline, or its clock has not begun."""
    if policy.deadline_seconds is None or status.started_at is None:
        return None
    stood = (status.suspended_seconds or 0.0) + _standing(status, now)
    return later(status.started_at, policy.deadline_seconds + stood)


def passed(policy: Policy, status: Status, now: datetime) -> bool:
    """True once the run's time is over."""
    end = ends_at(policy, status, now)
    return end is not None and now >= end


def pause(policy: Policy, status: Status, now: datetime) -> Status:
    """The clock stands still from now on, if there is one that runs."""
    if policy.deadline_seconds is None or status.started_at is None or status.suspended_at is not None:
        return status
    return replace(status, suspended_at=now)


def resume(status: Status, now: datetime) -> Status:
    """The clock runs again."""
    if status.suspended_at is None:
        return status
    stood = (status.suspended_seconds or 0.0) + _standing(status, now)
    return replace(status, suspended_at=None, suspended_seconds=stood)


def why(policy: Policy) -> Why:
    """What is said of a run whose time is over."""
    seconds = "" if policy.deadline_seconds is None else f" of {policy.deadline_seconds:g} s"
    return Why(
        Reason.DEADLINE_EXCEEDED,
        f"The run was not done within its deadline{seconds}.",
        cure_of(Reason.DEADLINE_EXCEEDED),
    )


def error(policy: Policy, attempt: int | None = None) -> ErrorInfo:
    """The same as the run's error."""
    said = why(policy)
    return ErrorInfo("TimeoutError", said.message, attempt=attempt, cure=said.cure)


def _standing(status: Status, now: datetime) -> float:
    """Seconds since the clock was stopped; a clock that was set back meanwhile gives none."""
    return 0.0 if status.suspended_at is None else max(timedelta(0), now - status.suspended_at).total_seconds()
