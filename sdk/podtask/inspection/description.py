"""Everything that is said about one TaskRun, part by part: names and values, and tables of words. Pure.

The command prints the parts as text, the page as HTML. A part that has nothing to say is empty.
Before: `task_run`. Beside: `next_step` has the advice at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from podtask.core.api.status import Attempt
from podtask.inspection.cluster import event_time
from podtask.inspection.durations import age, span
from podtask.inspection.seen import moment
from podtask.inspection.task_run import SeenTaskRun
from podtask.kube.bucket_access import human
from podtask.kube.client import Object

Fields = list[tuple[str, str]]
"""Names and values, those without a value left out."""
STATE = "State"
"""The name of the field that a printer may colour."""


@dataclass(frozen=True)
class Table:
    """Rows of words under a head."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def identity(run: SeenTaskRun, now: datetime) -> Fields:
    """What it is, and how it stands."""
    status = run.status
    reason = f" ({status.reason})" if status.reason and str(status.reason) != run.word else ""
    return _filled(
        ("Name", run.name),
        ("Namespace", run.namespace),
        ("Task", task_text(run)),
        (STATE, run.word + reason),
        ("Message", status.message if not status.error else None),
        ("Cure", status.cure if not status.finished else None),
        ("Flow", f"{run.flow}, run {run.flow_run}" if run.flow else None),
        ("Tags", ", ".join(run.tags)),
        ("Upstream", ", ".join(_needed(run, run.upstream))),
        ("Waits for", ", ".join(_needed(run, run.waits_for))),
        ("Created", time_text(run.created_at, now)),
        ("Started", time_text(status.started_at, now)),
        ("Finished", time_text(status.finished_at, now)),
        ("Duration", run.raw.get("duration")),
    )


def outcome(run: SeenTaskRun) -> Fields:
    """What came of it: result, error, cache, and what of its budgets is used."""
    return [*result(run), *error(run), *cache(run), *_filled(("Used", used(run)))]


def result(run: SeenTaskRun) -> Fields:
    """Its value where JSON carries it and it is short, else its size; how it is written; its digest."""
    info = run.status.result
    if info is None:
        return []
    shown = info.value if info.value is not None and len(info.value) <= 80 else f"{human(info.size)}"
    return [("Result", f"{shown} ({info.serializer}, sha256 {info.digest[:12]}…)")]


def error(run: SeenTaskRun) -> Fields:
    """Type, message and cure."""
    info = run.status.error
    return [] if info is None else _filled(("Error", f"{info.type}: {info.message}"), ("Cure", info.cure))


def cache(run: SeenTaskRun) -> Fields:
    """Whether a result was reused, of which run, and why not."""
    if run.status.cache is None:
        return []
    raw = run.raw.get("cache") or {}
    words = [str(raw.get("outcome", ""))]
    words += [f"of {raw['sourceRun']}"] if raw.get("sourceRun") else []
    words += [f"({raw['missReason']})"] if raw.get("missReason") else []
    return _filled(("Cache", " ".join(words)), ("Cache key", raw.get("key")))


def used(run: SeenTaskRun) -> str:
    """What of its budgets is used."""
    most = run.spec.get("maxDisruptions")  # absent: the chart says how many
    allowed = "" if most is None else f" of {most}"
    return f"{retries_used(run)}, {run.status.disruptions_used}{allowed} disruptions"


def retries_used(run: SeenTaskRun) -> str:
    """What of its retries is used."""
    return f"{run.status.retries_used} of {run.spec.get('retries', 0)} retries"


def conditions(run: SeenTaskRun, now: datetime) -> Table:
    """`status.conditions`."""
    rows = [
        (one["type"], one["status"], one["reason"], age(moment(one["lastTransitionTime"]), now))
        for one in run.raw.get("conditions") or ()
    ]
    return Table("Conditions", ("TYPE", "STATUS", "REASON", "SINCE"), rows)


def attempts(run: SeenTaskRun, now: datetime) -> Table:
    """A row for each attempt that the status still has. A warm pod waited already, in a WarmPool."""
    kept, total = run.status.attempts, run.status.attempts_total
    title = f"Attempts (the newest {len(kept)} of {total})" if total > len(kept) else "Attempts"
    head = ("NO", "CAUSE", "OUTCOME", "REASON", "EXIT", "POD", "NODE", "STARTED", "RAN")
    return Table(title, head, [_attempt(attempt, now) for attempt in kept])


def attempt_notes(run: SeenTaskRun) -> list[tuple[int, str]]:
    """What happened to the attempts that did not complete, and the cure, by number."""
    return [
        (attempt.number, " ".join(part for part in (attempt.message, attempt.cure) if part))
        for attempt in run.status.attempts
        if attempt.message and str(attempt.outcome) != "Completed"
    ]


def events(objects: Sequence[Object], now: datetime) -> Table:
    """Events of a TaskRun and its pod."""
    return Table("Events", ("AGE", "TYPE", "OBJECT", "REASON", "MESSAGE"), [_event(event, now) for event in objects])


def event_order(event: Object) -> tuple[bool, str, bool, str]:
    """The TaskRun's story, then the pod's, each in its order.

    Operator and kubelet tell whole seconds, and name Events by the nanosecond; the scheduler, whose Event is a pod's
    first, has more digits in its time and none in the name.
    """
    of_pod = event.get("involvedObject", {}).get("kind") == "Pod"
    name = str(event.get("metadata", {}).get("name", ""))
    return of_pod, event_time(event)[:19], not event.get("eventTime"), name


def task_text(run: SeenTaskRun) -> str:
    """The task's name, and how its code gets into the pod."""
    task = run.spec.get("task") or {}
    if task.get("source"):
        how = f"source, function {task.get('function', 'main')}"
    else:
        how = task.get("entrypoint") or f"shipped code, Python {task.get('python', '?')}"
    return f"{run.task} ({how})"


def time_text(when: datetime | None, now: datetime) -> str | None:
    """A time, and how long ago it was."""
    return None if when is None else f"{when:%Y-%m-%d %H:%M:%S} UTC ({age(when, now)} ago)"


def _attempt(attempt: Attempt, now: datetime) -> tuple[str, ...]:
    began, ended = attempt.started_at, attempt.finished_at
    return (
        str(attempt.number),
        str(attempt.cause),
        str(attempt.outcome or "(runs)"),
        str(attempt.reason or ""),
        "" if attempt.exit_code is None else str(attempt.exit_code),
        "new" if attempt.claim is None else "warm",
        attempt.node or "",
        f"{age(began, now)} ago" if began else "",
        span(((ended or now) - began).total_seconds()) if began else "",
    )


def _event(event: Object, now: datetime) -> tuple[str, ...]:
    when, about = event_time(event), event.get("involvedObject", {})
    kind = "pod" if about.get("kind") == "Pod" else "ptr"
    times = event.get("count") or 1
    message = " ".join(str(event.get("message", "")).split())
    return (
        age(moment(when), now) if when else "",
        str(event.get("type", "")),
        f"{kind}/{about.get('name', '')}",
        str(event.get("reason", "")),
        message + (f" ({times} times)" if times > 1 else ""),
    )


def _needed(run: SeenTaskRun, names: Sequence[str]) -> list[str]:
    """The names; those whose failure keeps nothing from starting are marked."""
    must = set(run.must_complete)
    return [name if name in must else f"{name} (may fail)" for name in names]


def _filled(*pairs: tuple[str, str | None]) -> Fields:
    return [(name, value) for name, value in pairs if value]


def story(objects: Iterable[Object]) -> list[Object]:
    """Events in the order in which things happened."""
    return sorted(objects, key=event_order)
