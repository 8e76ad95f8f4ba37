"""What people and machines read off a status: conditions, texts, the Events of a transition. Pure and derived."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime

from podtask.core.api.names import CONDITION_FINISHED, CONDITION_SUCCEEDED, Ended, State
from podtask.core.api.status import Status, Wire, doc
from podtask.core.lifecycle.model import Policy


@dataclass(frozen=True)
class Condition(Wire):
    """A Kubernetes condition (API conventions: list-map by type, True / False / Unknown, CamelCase reason)."""

    type: str = field(metadata=doc("Succeeded or Finished."))
    status: str = field(metadata=doc("True, False or Unknown."))
    reason: str = field(metadata=doc("One CamelCase word."))
    message: str = field(metadata=doc("A sentence for people."))
    last_transition_time: datetime = field(metadata=doc("When the status last changed."))


@dataclass(frozen=True)
class StatusView(Status):
    """`TaskRun.status` as it is written: what is known, and what is derived from it."""

    conditions: tuple[Condition, ...] = field(default=(), metadata=doc("Succeeded and Finished."))
    attempt: str | None = field(default=None, metadata=doc("The user attempt that counts now, of how many: 2/4."))
    duration: str | None = field(default=None, metadata=doc("Time from the first attempt to the end."))
    observed_generation: int = field(default=0, metadata=doc("metadata.generation of the spec this status is about."))


def rendered(status: Status, policy: Policy, created_at: datetime, generation: int) -> StatusView:
    """The status with everything derived from it."""
    known = {f.name: getattr(status, f.name) for f in fields(Status)}
    return StatusView(
        **known,
        conditions=conditions(status, created_at),
        attempt=attempt_text(status, policy),
        duration=duration_text(status),
        observed_generation=generation,
    )


@dataclass(frozen=True)
class Event:
    """One line of the story that `kubectl describe` tells; `type` is Normal or Warning."""

    type: str
    reason: str
    message: str


def conditions(status: Status, created_at: datetime) -> tuple[Condition, ...]:
    """`Succeeded` (Unknown while active) and `Finished`: True at every end, so that `kubectl wait` can return."""
    since = status.finished_at or created_at
    reason = str(status.reason or status.state)
    message = status.message or ""
    verdict = "Unknown" if not status.finished else "True" if status.state.succeeded else "False"
    done = "True" if status.finished else "False"
    return (
        Condition(CONDITION_SUCCEEDED, verdict, reason, message, since),
        Condition(CONDITION_FINISHED, done, str(status.state), message, since),
    )


def attempt_text(status: Status, policy: Policy) -> str | None:
    """`"2/4"`: the user attempt that counts now, of how many; None before the first."""
    return f"{status.retries_used + 1}/{policy.retries + 1}" if status.attempts_total else None


def duration_text(status: Status) -> str | None:
    """Time from the first attempt to the end, as kubectl writes ages: `"7s"`, `"3m10s"`, `"2h5m"`."""
    if status.started_at is None or status.finished_at is None:
        return None
    return span_text((status.finished_at - status.started_at).total_seconds())


def span_text(seconds: float) -> str:
    """A time span as kubectl writes ages."""
    whole = max(0, int(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours}h{minutes}m"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def events(before: Status, after: Status) -> tuple[Event, ...]:
    """What a person wants to see of one transition; nothing for what `kubectl get` shows anyway."""
    told = []
    known = {attempt.number: attempt for attempt in before.attempts}
    for attempt in after.attempts:
        was = known.get(attempt.number)
        if was is None:
            more = f", with {attempt.memory} of memory" if attempt.memory else ""
            told.append(Event("Normal", "AttemptStarted", f"Attempt {attempt.number} ({attempt.cause}){more}."))
        if attempt.judged and attempt.outcome is not Ended.COMPLETED and not (was and was.judged):
            text = f"Attempt {attempt.number}: {attempt.message}"
            told.append(Event("Warning", f"Attempt{attempt.outcome}", text))
    if after.finished and not before.finished:
        kind = "Normal" if after.state.succeeded else "Warning"
        told.append(Event(kind, str(after.state), after.message or str(after.state)))
    elif after.state is State.PENDING and after.reason not in (None, before.reason) and after.message:
        told.append(Event("Normal", str(after.reason), after.message))
    return tuple(told)
