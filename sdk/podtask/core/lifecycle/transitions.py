"""What a judgement, an end and a new attempt write: the only places where a status moves on. Pure.

Asked by: `podtask.core.lifecycle.rules`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from podtask.core.api.names import CacheOutcome, Cause, Ended, Reason, State
from podtask.core.api.reasons import Budget
from podtask.core.api.status import MESSAGE_LIMIT, Attempt, CacheInfo, ErrorInfo, Status
from podtask.core.lifecycle import deadline
from podtask.core.lifecycle.delays import LONGEST, disruption_delay, later, user_delay
from podtask.core.lifecycle.failed_inputs import resolved
from podtask.core.lifecycle.judge import Judgement
from podtask.core.lifecycle.model import Decision, Launch, Observed, Publish, Why
from podtask.core.lifecycle.sanitize import timings


def record(seen: Observed, status: Status, now: datetime) -> Status:
    """One more attempt in the status. It is written before its pod is created, and its number is used once."""
    latest = status.latest
    cause, growth, kills = _cause(seen, latest), seen.policy.on_out_of_memory, status.out_of_memory_used
    memory = growth.text(kills) if growth is not None and kills else None
    idle = seen.idle if memory is None else None
    attempt = Attempt(status.attempts_total + 1, cause, recorded_at=now, claim=idle, memory=memory)
    first = latest is None
    return replace(
        deadline.resume(status.with_new(attempt), now),
        state=State.RETRYING if cause in (Cause.RETRY, Cause.OUT_OF_MEMORY) else State.PENDING,
        reason=Reason.SCHEDULING if seen.worker_queue is None else seen.worker_queue.reason,
        message=None if seen.worker_queue is None else seen.worker_queue.message,
        next_attempt_at=None,
        started_at=status.started_at or now,
        inputs=resolved(seen.upstreams) if first else status.inputs,
        cache=_looked_up(seen) if first else status.cache,
        spec_digest=seen.spec_digest if first else status.spec_digest,
    )


def _cause(seen: Observed, latest: Attempt | None) -> Cause:
    """Why there is one more attempt."""
    if latest is None:
        return Cause.FIRST
    if latest.outcome is Ended.OUT_OF_MEMORY and seen.policy.on_out_of_memory is not None:
        return Cause.OUT_OF_MEMORY
    return Cause.DISRUPTION if latest.outcome is Ended.DISRUPTION else Cause.RETRY


def end(seen: Observed, now: datetime, state: State, why: Why, error: ErrorInfo | None = None) -> Decision:
    """The run ends here; from now on its status never changes."""
    status = replace(
        seen.status,
        state=state,
        reason=why.reason,
        message=why.message,
        error=error,
        next_attempt_at=None,
        finished_at=now,
    )
    return Decision(status)


def settle(seen: Observed, attempt: Attempt, judged: Judgement, now: datetime) -> Decision:
    """Write the judgement on the attempt; then the end of the run, or the plan for the next attempt."""
    closed = _closed(seen, attempt, judged, now)
    before = replace(seen, status=seen.status.with_latest(closed))
    if judged.result is not None:
        return _completed(before, judged, now)
    delay = None if seen.cancelled or seen.deleting else _another(before, judged)
    if delay is None:
        return end(before, now, judged.state, judged.why, _error(judged))
    suspend = seen.policy.suspend  # then the deadline's clock stands still from now on
    if deadline.passed(before.policy, before.status, now if suspend else now + delay):
        return _out_of_time(before, judged, now)
    status = replace(
        deadline.pause(before.policy, before.status, now) if suspend else before.status,
        state=State.AWAITING_RETRY,
        reason=judged.why.reason,
        message=judged.why.message,
        retries_used=before.status.retries_used + (judged.budget is Budget.RETRY),
        disruptions_used=before.status.disruptions_used + (judged.budget is Budget.DISRUPTION),
        out_of_memory_used=before.status.out_of_memory_used + (judged.budget is Budget.MEMORY),
        next_attempt_at=now + delay,
    )
    if delay > timedelta(0) or suspend or seen.reports_at_once or any(limit.full for limit in seen.limits):
        return Decision(status, again_at=now if suspend else status.next_attempt_at)
    again = record(seen, status, now)  # without a delay the judgement and the next record are one write
    return Decision(again, (Launch(again.attempts_total),))


def _out_of_time(before: Observed, judged: Judgement, now: datetime) -> Decision:
    """Another attempt would be allowed and would start after the deadline: there is none, and the wait ends here."""
    policy = before.policy
    if deadline.passed(policy, before.status, now):
        error = judged.error or deadline.error(policy, before.status.attempts_total)
        return end(before, now, State.TIMED_OUT, deadline.why(policy), error)
    text = (
        f"{judged.why.message} No further attempt: it would start after deadlineSeconds ({policy.deadline_seconds:g})."
    )
    return end(before, now, judged.state, replace(judged.why, message=text), _error(judged))


def _completed(before: Observed, judged: Judgement, now: datetime) -> Decision:
    """The end with a result; where caching was asked for, its pointer is published before the status says so."""
    status, policy, info = replace(before.status, result=judged.result), before.policy.cache, before.status.cache
    if policy is None or judged.result is None or info is None or info.key is None:
        return end(replace(before, status=status), now, judged.state, judged.why)
    if judged.uncached is not None:
        missed = " ".join(filter(None, (info.miss_reason, f"Not published: {judged.uncached}.")))
        status = replace(status, cache=replace(info, miss_reason=_short(missed)))
        return end(replace(before, status=status), now, judged.state, judged.why)
    seconds = policy.expiration_seconds
    expires = None if seconds is None else later(now, seconds)
    status = replace(status, cache=replace(info, expires_at=expires))
    publish = Publish(info.key, judged.result, expires)
    return replace(end(replace(before, status=status), now, judged.state, judged.why), effects=(publish,))


def _another(before: Observed, judged: Judgement) -> timedelta | None:
    """The delay before one more attempt, or None when its budget is used up."""
    status, policy = before.status, before.policy
    if judged.budget is Budget.RETRY and status.retries_used < policy.retries:
        return user_delay(policy, status.retries_used + 1, before.uid, judged.delay)
    if judged.budget is Budget.DISRUPTION and status.disruptions_used < policy.max_disruptions:
        return disruption_delay(status.disruptions_used + 1)
    if judged.budget is Budget.MEMORY:  # asked for by `judge` only while there is more to give
        return timedelta(0)
    return disruption_delay(max(1, _lost_in_a_row(status))) if judged.budget is Budget.FREE else None


def _lost_in_a_row(status: Status) -> int:
    """What costs nothing must not spin either."""
    others = (k for k, attempt in enumerate(reversed(status.attempts)) if attempt.reason is not Reason.LOST)
    return next(others, len(status.attempts))


def _closed(seen: Observed, attempt: Attempt, judged: Judgement, now: datetime) -> Attempt:
    pod, succeeded = seen.pod, judged.result is not None
    return replace(
        attempt,
        pod_uid=pod.uid if pod else attempt.pod_uid or seen.known_uid,
        node=pod.node if pod else attempt.node,
        started_at=(pod.started_at if pod else None) or attempt.started_at or _began(seen, attempt, judged, now),
        exit_code=pod.exit_code if pod else None,
        finished_at=now,
        outcome=judged.ended,
        reason=judged.why.reason,
        message=None if succeeded else judged.why.message,
        cure=judged.why.cure,
    )


def _began(seen: Observed, attempt: Attempt, judged: Judgement, now: datetime) -> datetime | None:
    """When an attempt began that has stored its result before any watch told of its start: so long ago as it ran."""
    if judged.result is None or seen.stored is None or seen.pod is None:
        return None
    seconds = timings(seen.stored)
    took = sum(seconds.get(phase, 0.0) for phase in ("load", "run", "store"))
    began = now - timedelta(seconds=min(took, LONGEST.total_seconds()))
    return began if attempt.recorded_at is None else max(began, attempt.recorded_at)


def _looked_up(seen: Observed) -> CacheInfo | None:
    """What the cache lookup before the first attempt found; None when no caching was asked for."""
    view = seen.cache
    if view is None:
        return None
    if view.key is None:
        return CacheInfo(outcome=CacheOutcome.OFF, miss_reason=_short(view.off_reason))
    missed = _short(view.miss_reason)
    return CacheInfo(view.key, CacheOutcome.MISS, miss_reason=missed, compared_with=view.compared_with)


def within_limits(status: Status) -> Status:
    """The status with no text longer than the API server takes; what does not fit would stop the run for ever."""
    latest, error = status.latest, status.error
    if latest is not None and _too_long(latest.message, latest.cure):
        status = status.with_latest(replace(latest, message=_short(latest.message), cure=_short(latest.cure)))
    if error is not None and _too_long(error.message, error.cure):
        status = replace(status, error=replace(error, message=error.message[:MESSAGE_LIMIT], cure=_short(error.cure)))
    if not _too_long(status.message, status.cure):
        return status
    return replace(status, message=_short(status.message), cure=_short(status.cure))


def _too_long(*texts: str | None) -> bool:
    return any(text is not None and len(text) > MESSAGE_LIMIT for text in texts)


def _short(text: str | None) -> str | None:
    return text and text[:MESSAGE_LIMIT]


def _error(judged: Judgement) -> ErrorInfo:
    return judged.error or ErrorInfo(str(judged.why.reason), judged.why.message, cure=judged.why.cure)
