"""Why a pod waits, from the kubelet's Events about it: mounts and networks are told nowhere else. Pure.

    pod waits, and says nothing ──> due ──> observer lists the Events ──> why ──> CloserLook ──> expectations

A list of Events is dear, because the API server reads all of the namespace: so it is asked for at times that double,
and the operator as a whole asks at most once in `APART`. Before: `status`. Beside: `waiting`, for what the pod says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from podtask.core.api.status import MESSAGE_LIMIT
from podtask.core.api.symptoms import NO_SCHEDULER, POD_EVENTS, POD_PROGRESS
from podtask.core.lifecycle.model import Pod, PodPhase, Policy, Why
from podtask.core.lifecycle.rules import REPORT_AFTER
from podtask_operator.pods import waiting
from podtask_operator.pods.fields import at, condition, text, when

APART: Final = timedelta(seconds=1)
"""Between two lists of Events, whichever pods they are about."""
EVENTS_READ: Final = 200
"""Of one pod. The kubelet counts what repeats."""
DEFAULT_SCHEDULER: Final = "default-scheduler"
GATED: Final = "SchedulingGated"


@dataclass(frozen=True, slots=True)
class CloserLook:
    """What was found when a pod was asked about last, and when to ask again."""

    attempt: int
    why: Why | None
    read_at: datetime | None
    """None: nobody has asked yet."""
    again_at: datetime


def due(last: CloserLook, pod: Pod, policy: Policy, now: datetime) -> bool:
    """Whether Events are to be read now: for a pod that waits, and last before it is given up."""
    if pod.phase is not PodPhase.WAITING or pod.waiting is not None:
        return False
    given_up_at = pod.scheduled_at and pod.scheduled_at + timedelta(seconds=policy.pending_timeout_seconds)
    if given_up_at is not None and now >= given_up_at:
        return last.read_at is None or last.read_at < given_up_at
    return now >= last.again_at


def looked(attempt: int, since: datetime, why: Why | None, now: datetime) -> CloserLook:
    """After a look: the next one is when the pod has waited twice as long."""
    return CloserLook(attempt, why, now, now + max(REPORT_AFTER, now - since))


def why(events: Iterable[Any]) -> Why | None:
    """The newest trouble, unless the kubelet has gone on since."""
    about = [event for event in events if text(at(event, "reason")) in (*POD_EVENTS, *POD_PROGRESS)]
    newest = max(about, key=_order, default=None)
    reason = text(at(newest, "reason")) or ""
    symptom = POD_EVENTS.get(reason)
    if symptom is None:
        return None
    message = " ".join((text(at(newest, "message")) or "no further message").split())
    return Why(symptom.reason, f"{reason}: {message}"[:MESSAGE_LIMIT], symptom.cure)


def overlooked(pod: Any) -> bool:
    """True where no scheduler has said a word about the pod. Of one that was gated the API server's word is left."""
    placed = text(at(pod, "spec", "nodeName")) is not None or waiting.gates(pod)
    return not placed and condition(pod, "PodScheduled").get("reason", GATED) == GATED


def why_overlooked(pod: Any) -> Why:
    """No scheduler has looked at it: a live pod names the one that should."""
    name = text(at(pod, "spec", "schedulerName")) or DEFAULT_SCHEDULER
    message = f"No scheduler has looked at the pod. Its schedulerName is '{name}'."
    symptom = NO_SCHEDULER[name == DEFAULT_SCHEDULER]
    return Why(symptom.reason, message[:MESSAGE_LIMIT], symptom.cure)


def _order(event: Mapping[str, Any]) -> tuple[str, str]:
    """When it happened last; the kubelet names its Events by the nanosecond of the first time."""
    times = (at(event, "series", "lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    moment = next((found for value in times if (found := when(value)) is not None), None)
    return "" if moment is None else moment.isoformat(), text(at(event, "metadata", "name")) or ""
