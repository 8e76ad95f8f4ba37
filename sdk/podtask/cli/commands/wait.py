"""`podtask wait`: until runs have ended; the exit status is their outcome. Used by `submit --wait` as well."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from podtask.cli.common import output, selection
from podtask.cli.common.exits import CommandEnded, CommandFailed, Exit, outcome
from podtask.cli.common.options import DURATION, several, with_session
from podtask.cli.common.session import Session, note
from podtask.cli.flows import steer
from podtask.cli.flows.select import alone
from podtask.inspection.next_step import next_step
from podtask.inspection.task_run import SeenTaskRun

Take = Callable[[SeenTaskRun], None]


@click.command()
@several
@click.option("--timeout", type=DURATION, help="Give up after so long (30s, 10m): exit status 4; the runs go on.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing; the exit status tells.")
@with_session
def wait(
    session: Session,
    *,
    meant: selection.Meant,
    timeout: float | None,
    quiet: bool,
) -> None:
    """Wait for the end of TaskRuns; the exit status is their outcome."""
    if (flow := alone(meant.names, *meant.others)) is not None:
        raise CommandEnded(steer.wait(session, flow, timeout=timeout, quiet=quiet))
    runs = selection.several(session, meant)
    raise CommandEnded(until_ended(session, runs, timeout=timeout, quiet=quiet))


def until_ended(
    session: Session, runs: list[SeenTaskRun], *, timeout: float | None = None, quiet: bool = False
) -> Exit:
    """Follow the runs to their ends, and tell each; the exit status. Raises `CommandFailed`."""
    deadline = None if timeout is None else time.monotonic() + timeout
    waiting = {run.uid: run for run in runs}
    ended: dict[str, SeenTaskRun] = {}

    def take(run: SeenTaskRun) -> None:
        if run.uid in waiting and run.finished:
            ended[run.uid] = run
            del waiting[run.uid]
            if not quiet:
                _tell(session, run)

    for run in runs:
        take(run)
    for namespace in dict.fromkeys(run.namespace for run in runs):
        _follow(session, namespace, waiting, take, deadline)
    return outcome(ended[run.uid].state for run in runs)


def _follow(
    session: Session, namespace: str, all_waiting: dict[str, SeenTaskRun], take: Take, deadline: float | None
) -> None:
    """Until those of this namespace have ended."""
    while mine := {uid: run for uid, run in all_waiting.items() if run.namespace == namespace}:
        only = f"metadata.name={next(iter(mine.values())).name}" if len(mine) == 1 else ""
        items, version = session.cluster.runs_without_payloads(namespace, "", only)
        for item in items:
            take(SeenTaskRun(item))
        there = {item["metadata"]["uid"] for item in items}
        _still_there([run for uid, run in mine.items() if uid not in there])
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise _time_is_up(mine)
        waiting = {uid: run for uid, run in mine.items() if uid in all_waiting}
        _changes(session, namespace, waiting, take, version, only, left)


def _changes(
    session: Session,
    namespace: str,
    waiting: dict[str, SeenTaskRun],
    take: Take,
    version: str,
    only: str,
    left: float | None,
) -> None:
    if not waiting:
        return
    known = [run.obj for run in waiting.values()]
    for event in session.cluster.changes(namespace, "", version, only, seconds=left, objects=known):
        run = SeenTaskRun(event["object"])
        take(run)
        if event["type"] == "DELETED" and run.uid in waiting and not run.finished:
            _still_there([run])
        if run.finished:
            waiting.pop(run.uid, None)
        if not waiting:
            return


def _still_there(gone: list[SeenTaskRun]) -> None:
    if gone:
        raise CommandFailed(f"TaskRun '{gone[0].name}' was deleted before it ended.", Exit.NOT_FOUND)


def _time_is_up(waiting: dict[str, SeenTaskRun]) -> CommandFailed:
    names = ", ".join(sorted(run.name for run in waiting.values())[:5])
    more = f" and {len(waiting) - 5} more" if len(waiting) > 5 else ""
    return CommandFailed(f"Time is up; still not ended: {names}{more}.", Exit.TIME_IS_UP)


def _tell(session: Session, run: SeenTaskRun) -> None:
    took = f" after {run.raw['duration']}" if run.raw.get("duration") else ""
    output.out(f"{run.name} {output.state(run.word)}{took}")
    if not run.state.succeeded:
        why = f"{run.status.error.type}: {run.status.error.message}" if run.status.error else run.status.message
        if why:
            note(f"podtask: {run.name}: {why}")
        note(f"Next: {next_step(run, session.now(), session.where)}")
