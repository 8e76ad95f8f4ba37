"""`podtask describe`: everything about one TaskRun on one page, ending with the one thing to do next.

The words are `podtask.inspection.description`'s; here they become lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import click

from podtask.cli.common import output, selection
from podtask.cli.common.exits import CommandFailed, Exit
from podtask.cli.common.options import latest, with_session
from podtask.cli.common.session import Session
from podtask.cli.flows import steer
from podtask.cli.flows.flow_run import is_flow
from podtask.cli.flows.picture import FORMS
from podtask.errors import PodtaskError
from podtask.inspection import description, log_sources
from podtask.inspection.description import Fields, Table
from podtask.inspection.next_step import next_step
from podtask.inspection.task_run import SeenTaskRun
from podtask.kube.client import Object
from podtask.kube.errors import ClusterRefused

LOG_LINES = 20
WIDTH = 13
"""Columns of the names of fields."""


@dataclass(frozen=True)
class TaskRunReading:
    """What was read for it."""

    run: SeenTaskRun
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
@click.option("-o", "--output", "form", type=click.Choice(FORMS), help="A picture of a flow run, for a report.")
@with_session
def describe(session: Session, name: str | None, *, latest: bool, here: bool, form: str | None) -> None:
    """Tell everything about one TaskRun or flow run, and what to do next."""
    if name is not None and (is_flow(name) or here):
        if latest:
            raise CommandFailed("flow/@latest is the newest flow run; leave -L out.", Exit.USAGE)
        steer.describe(session, name, here=here, form=form)
        return
    if here:
        raise CommandFailed("Which flow run? podtask flows --local shows which there are.", Exit.USAGE)
    if form is not None:
        raise CommandFailed(f"-o {form} draws a flow run: flow/NAME.", Exit.USAGE)
    run = selection.one(session, name, latest=latest)
    log, trouble = _log(session, run)
    output.out(text(TaskRunReading(run, session.now(), _events(session, run), log, trouble, session.where)))


def text(page: TaskRunReading) -> str:
    """The whole page."""
    run, now = page.run, page.now
    attempts = _table(description.attempts(run, now))
    parts = (
        _fields(description.identity(run, now)),
        _fields(description.outcome(run)),
        _table(description.conditions(run, now)),
        [*attempts, *(f"  {number}: {what}" for number, what in description.attempt_notes(run))],
        _table(description.events(page.events, now)),
        list(_log_lines(page)),
    )
    blocks = ["\n".join(lines) for lines in parts if lines]
    return "\n\n".join([*blocks, f"Next: {next_step(run, now, page.where)}"])


def _fields(pairs: Fields) -> list[str]:
    return [f"{name + ':':<{WIDTH}}{_coloured(value) if name == description.STATE else value}" for name, value in pairs]


def _coloured(state: str) -> str:
    word, blank, reason = state.partition(" ")
    return output.state(word) + blank + reason


def _table(table: Table) -> list[str]:
    return [f"{table.title}:", output.table(table.head, table.rows, indent="  ")] if table.rows else []


def _log_lines(page: TaskRunReading) -> Iterable[str]:
    if page.log:
        yield f"Log (the last {LOG_LINES} lines at most, attempt {page.run.status.attempts_total}):"
        yield from (f"  {line}" for line in page.log)
    elif page.log_trouble:
        yield from _fields([("Log", page.log_trouble)])


def _events(session: Session, run: SeenTaskRun) -> list[Object]:
    """Nobody is kept from the rest of the page by Events that may not be read."""
    newest = run.status.latest
    about = [run.uid, *([newest.pod_uid] if newest and newest.pod_uid else [])]
    try:
        return description.story(event for uid in about for event in session.cluster.events(run.namespace, uid))
    except ClusterRefused:
        return []


def _log(session: Session, run: SeenTaskRun) -> tuple[list[str], str | None]:
    number = run.status.attempts_total
    if not number:
        return [], None
    try:
        lines = log_sources.tail(session, run, number, LOG_LINES)
    except PodtaskError as error:
        return [], str(error)
    return [line.decode("utf-8", "replace") for line in lines], "The task printed nothing."
