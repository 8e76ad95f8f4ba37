"""How long a pod is waited for, and how it is ended when that time is over. Pure.

Asked by: `podtask.core.lifecycle.rules`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from podtask.core.api.names import Reason
from podtask.core.api.reasons import cure_of
from podtask.core.api.status import Attempt, ErrorInfo, Status
from podtask.core.lifecycle import deadline
from podtask.core.lifecycle.delays import later
from podtask.core.lifecycle.judge import judge
from podtask.core.lifecycle.model import Decision, DeletePod, Observed, Pod, PodPhase, Presence, Stop, Why
from podtask.core.lifecycle.transitions import settle


def stop(attempt: Attempt, pod: Pod, status: Status) -> Decision:
    """End the pod, once: a container that runs is stopped and its pod kept, one that never started is deleted."""
    verb = Stop if pod.phase is PodPhase.RUNNING else DeletePod
    effects = () if pod.stopping else (verb(attempt.number, pod.uid),)
    known = replace(status.latest or attempt, pod_uid=pod.uid, node=pod.node)
    return Decision(status.with_latest(known), effects)


def was_there(seen: Observed, attempt: Attempt) -> bool:
    """True where the attempt's pod existed, as its UID or a stored outcome show."""
    return bool(attempt.pod_uid or seen.known_uid or seen.stored)


def give_up(seen: Observed, attempt: Attempt, why: Why, now: datetime) -> Decision:
    """Its pod could not be created within the pending timeout."""
    gone, late = replace(seen, presence=Presence.ABSENT), marked(attempt, why)
    return settle(gone, late, judge(gone, late), now)


def alarms(seen: Observed, status: Status, now: datetime) -> list[datetime]:
    """Times that matter whichever rule answered: the run's deadline, and the end of patience with a lost node."""
    over = None if status.suspended_at is not None else deadline.ends_at(seen.policy, status, now)
    alive = seen.pod is not None and seen.pod.phase is not PodPhase.ENDED
    return [moment for moment in (over, force_at(seen) if alive else None) if moment is not None and moment > now]


def force_at(seen: Observed) -> datetime | None:
    """When a pod that should be gone is removed by force; None without that policy, or while nothing asked it to go."""
    if seen.pod is None or seen.pod.gone_by is None or seen.policy.force_after_seconds is None:
        return None
    return later(seen.pod.gone_by, seen.policy.force_after_seconds)


def start_by(seen: Observed, since: datetime | None) -> datetime | None:
    """When the pending timeout ends; None while its clock has not begun."""
    return since and later(since, seen.policy.pending_timeout_seconds)


def overdue(seen: Observed, since: datetime | None, now: datetime) -> bool:
    """True once the pending timeout has ended."""
    latest = start_by(seen, since)
    return latest is not None and now >= latest


def marked(attempt: Attempt, why: Why) -> Attempt:
    """The attempt with its pending timeout noted before its pod is removed, so that a restart judges it alike."""
    if attempt.reason is Reason.PENDING_TIMEOUT:
        return attempt
    return replace(
        attempt,
        reason=Reason.PENDING_TIMEOUT,
        message=f"It did not start in time: {why.message}",
        cure=why.cure or cure_of(why.reason) or cure_of(Reason.PENDING_TIMEOUT),
        held_up_by=why.reason,
    )


def error_of(why: Why) -> ErrorInfo:
    """What ended the run before any attempt, as its error."""
    return ErrorInfo(str(why.reason), why.message, cure=why.cure)
