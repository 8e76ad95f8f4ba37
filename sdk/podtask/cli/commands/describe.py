"""`podtask describe`: everything about one TaskRun on one page, ending with the one thing to do next.

Each part is a function from what was read to lines; a part that says nothing is left out. `nextstep` has the advice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import click

from podtask.cli.common import log_sources, output, selection
from podtask.cli.common.cluster import event_time
from podtask.cli.common.exits import CommandFailed, Exit
from podtask.cli.common.next_step import next_step
from podtask.cli.common.options import latest, with_session
from podtask.cli.common.session import Session
from podtask.cli.common.task_run import Seen, moment
from podtask.cli.flows import steer
from podtask.cli.flows.flow_run import is_flow
from podtask.core.api.status import Attempt
from podtask.errors import PodtaskError
from podtask.kube.bucket_access import human
from podtask.kube.client import Object
from podtask.kube.errors import ClusterRefused

LOG_LINES = 20
WIDTH = 13
"""Columns of the names of fields."""


@dataclass(frozen=True)
class Page:
    """What was read for it."""

    run: Seen
    now: datetime
    events: Sequence[Object]
    """Of the TaskRun, then of its newest pod."""
    log: Sequence[str]
    log_trouble: str | None
    where: str
    """Options that suggested commands need."""


@click.command()
@click.argument("name", required=False)
@latest
@click.option("--local", "here", is_flag=True, help="A flow run of this machine's backends: flow/NAME.")
@with_session
def describe(session: Session, name: str | None, *, latest: bool, here: bool) -> None:
    """Tell everything about one TaskRun or flow run, and what to do next."""
    if name is not None and (is_flow(name) or here):
        if latest:
            raise CommandFailed("flow/@latest is the newest flow run; leave -L out.", Exit.USAGE)
        steer.describe(session, name, here=here)
        return
    if here:
        raise CommandFailed("Which flow run? podtask flows --local shows which there are.", Exit.USAGE)
    run = selection.one(session, name, latest=latest)
    log, trouble = _log(session, run)
    output.out(text(Page(run, session.now(), _events(session, run), log, trouble, session.where)))


def text(page: Page) -> str:
    """The whole page."""
    blocks = ["\n".join(lines) for part in PARTS if (lines := list(part(page)))]
    return "\n\n".join([*blocks, f"Next: {next_step(page.run, page.now, page.where)}"])


def _head(page: Page) -> Iterable[str]:
    run, status = page.run, page.run.status
    reason = f" ({status.reason})" if status.reason and str(status.reason) != run.word else ""
    yield from _fields(
        ("Name", run.name),
        ("Namespace", run.namespace),
        ("Task", _task(run)),
        ("State", output.state(run.word) + reason),
        ("Message", status.message if not status.error else None),
        ("Flow", f"{run.flow}, run {run.flow_run}" if run.flow else None),
        ("Tags", ", ".join(run.tags)),
        ("Upstream", ", ".join(up["taskRun"] for up in run.spec.get("upstream") or ())),
        ("Waits for", ", ".join(up["taskRun"] for up in run.spec.get("waitFor") or ())),
        ("Created", _time(run.created_at, page.now)),
        ("Started", _time(status.started_at, page.now)),
        ("Finished", _time(status.finished_at, page.now)),
        ("Duration", run.raw.get("duration")),
    )


def _outcome(page: Page) -> Iterable[str]:
    status, spec = page.run.status, page.run.spec
    if status.result is not None:
        value = status.result.value
        shown = value if value is not None and len(value) <= 80 else f"{human(status.result.size)}"
        yield from _fields(("Result", f"{shown} ({status.result.serializer}, sha256 {status.result.digest[:12]}…)"))
    if status.error is not None:
        yield from _fields(("Error", f"{status.error.type}: {status.error.message}"), ("Cure", status.error.cure))
    if status.cache is not None:
        cache = page.run.raw.get("cache") or {}
        told = [str(cache.get("outcome", ""))]
        told += [f"of {cache['sourceRun']}"] if cache.get("sourceRun") else []
        told += [f"({cache['missReason']})"] if cache.get("missReason") else []
        yield from _fields(("Cache", " ".join(told)), ("Cache key", cache.get("key")))
    used = f"{status.retries_used} of {spec.get('retries', 0)} retries"
    yield from _fields(("Used", f"{used}, {status.disruptions_used} of {spec.get('maxDisruptions', 5)} disruptions"))


def _conditions(page: Page) -> Iterable[str]:
    found = page.run.raw.get("conditions") or []
    if found:
        rows = [
            (one["type"], one["status"], one["reason"], output.age(moment(one["lastTransitionTime"]), page.now))
            for one in found
        ]
        yield "Conditions:"
        yield output.table(("TYPE", "STATUS", "REASON", "SINCE"), rows, indent="  ")


def _attempts(page: Page) -> Iterable[str]:
    attempts = page.run.status.attempts
    if not attempts:
        return
    left_out = page.run.status.attempts_total - len(attempts)
    yield f"Attempts (the newest {len(attempts)} of {page.run.status.attempts_total}):" if left_out else "Attempts:"
    head = ("NO", "CAUSE", "OUTCOME", "REASON", "EXIT", "NODE", "STARTED", "RAN")
    yield output.table(head, [_attempt(attempt, page.now) for attempt in attempts], indent="  ")
    for attempt in attempts:
        if attempt.message and str(attempt.outcome) != "Completed":
            yield f"  {attempt.number}: {' '.join(part for part in (attempt.message, attempt.cure) if part)}"


def _attempt(attempt: Attempt, now: datetime) -> tuple[str, ...]:
    began, ended = attempt.started_at, attempt.finished_at
    return (
        str(attempt.number),
        str(attempt.cause),
        str(attempt.outcome or "(runs)"),
        str(attempt.reason or ""),
        "" if attempt.exit_code is None else str(attempt.exit_code),
        attempt.node or "",
        f"{output.age(began, now)} ago" if began else "",
        output.span(((ended or now) - began).total_seconds()) if began else "",
    )


def _story(page: Page) -> Iterable[str]:
    if page.events:
        yield "Events:"
        rows = [_event(event, page.now) for event in page.events]
        yield output.table(("AGE", "TYPE", "OBJECT", "REASON", "MESSAGE"), rows, indent="  ")


def _event(event: Object, now: datetime) -> tuple[str, ...]:
    when, about = event_time(event), event.get("involvedObject", {})
    kind = "pod" if about.get("kind") == "Pod" else "ptr"
    times = event.get("count") or 1
    message = " ".join(str(event.get("message", "")).split())
    return (
        output.age(moment(when), now) if when else "",
        str(event.get("type", "")),
        f"{kind}/{about.get('name', '')}",
        str(event.get("reason", "")),
        message + (f" ({times} times)" if times > 1 else ""),
    )


def _log_lines(page: Page) -> Iterable[str]:
    if page.log:
        yield f"Log (the last {LOG_LINES} lines at most, attempt {page.run.status.attempts_total}):"
        yield from (f"  {line}" for line in page.log)
    elif page.log_trouble:
        yield from _fields(("Log", page.log_trouble))


PARTS: tuple[Callable[[Page], Iterable[str]], ...] = (
    _head,
    _outcome,
    _conditions,
    _attempts,
    _story,
    _log_lines,
)


def _fields(*pairs: tuple[str, str | None]) -> Iterable[str]:
    return (f"{name + ':':<{WIDTH}}{value}" for name, value in pairs if value)


def _task(run: Seen) -> str:
    task = run.spec.get("task") or {}
    if task.get("source"):
        how = f"source, function {task.get('function', 'main')}"
    else:
        how = task.get("entrypoint") or f"shipped code, Python {task.get('python', '?')}"
    return f"{run.task} ({how})"


def _time(when: datetime | None, now: datetime) -> str | None:
    return None if when is None else f"{when:%Y-%m-%d %H:%M:%S} UTC ({output.age(when, now)} ago)"


def _events(session: Session, run: Seen) -> list[Object]:
    """Nobody is kept from the rest of the page by Events that may not be read."""
    newest = run.status.latest
    about = [run.uid, *([newest.pod_uid] if newest and newest.pod_uid else [])]
    try:
        found = [event for uid in about for event in session.cluster.events(run.namespace, uid)]
    except ClusterRefused:
        return []
    return sorted(found, key=_place)


def _place(event: Object) -> tuple[bool, str, bool, str]:
    """The TaskRun's story, then the pod's, each in its order.

    Operator and kubelet tell whole seconds, and name Events by the nanosecond; the scheduler, whose Event is a pod's
    first, has more digits in its time and none in the name.
    """
    of_pod = event.get("involvedObject", {}).get("kind") == "Pod"
    name = str(event.get("metadata", {}).get("name", ""))
    return of_pod, event_time(event)[:19], not event.get("eventTime"), name


def _log(session: Session, run: Seen) -> tuple[list[str], str | None]:
    number = run.status.attempts_total
    if not number:
        return [], None
    try:
        lines = log_sources.tail(session, run, number, LOG_LINES)
    except PodtaskError as error:
        return [], str(error)
    return [line.decode("utf-8", "replace") for line in lines], "The task printed nothing."
