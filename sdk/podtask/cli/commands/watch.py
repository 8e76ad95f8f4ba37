"""`podtask watch`: TaskRuns as they change: a table that redraws itself in a terminal, a line per change elsewhere.

Up to FEW runs have a line each, more are counted by task name. The state is a word, so that lines can be searched.
Ends when all that were asked for have ended; the exit status is their outcome. Before: `selection`.
"""

from __future__ import annotations

from collections.abc import Iterable

import click

from podtask.cli.common import selection
from podtask.cli.common.exits import CommandEnded, CommandFailed, Exit, outcome
from podtask.cli.common.live_runs import StateLines, StateTable
from podtask.cli.common.options import several, with_session
from podtask.cli.common.session import Session, terminal
from podtask.cli.flows.select import alone
from podtask.inspection.task_run import SeenTaskRun


@click.command()
@several
@click.option("--plain", is_flag=True, help="A line per change in a terminal, too.")
@with_session
def watch(
    session: Session,
    *,
    meant: selection.Meant,
    plain: bool,
) -> None:
    """Watch TaskRuns until they have ended; the exit status is their outcome."""
    if (flow := alone(meant.names, *meant.others)) is not None:
        from podtask.cli.flows import steer  # which shows its task runs as this module does

        raise CommandEnded(steer.watch(session, flow, plain=plain))
    found = selection.several(session, meant)
    raise CommandEnded(follow(session, found, meant.selector, joins=not meant.by_name, plain=plain or not terminal()))


def follow(
    session: Session, chosen: list[SeenTaskRun], labels: str = "", *, joins: bool = False, plain: bool = True
) -> Exit:
    """Show the runs until all have ended; the exit status. `joins`: so do runs with these labels that come later."""
    runs = {run.uid: run for run in chosen}
    shown = StateLines() if plain else StateTable()
    with shown:
        shown.show(list(runs.values()), session.now())
        for run in _changes(session, chosen, labels, runs, joins=joins):
            runs[run.uid] = run
            shown.show(list(runs.values()), session.now())
    return outcome(run.state for run in runs.values())


def _changes(
    session: Session, chosen: list[SeenTaskRun], labels: str, runs: dict[str, SeenTaskRun], *, joins: bool
) -> Iterable[SeenTaskRun]:
    """Newer versions of the runs, until none is unfinished."""
    if all(run.finished for run in runs.values()):
        return
    namespace = chosen[0].namespace
    fields = f"metadata.name={chosen[0].name}" if len(chosen) == 1 and not joins else ""
    items, version = session.cluster.runs_without_payloads(namespace, labels, fields)
    there = {item["metadata"]["uid"] for item in items}
    _not_deleted([run for uid, run in runs.items() if uid not in there and not run.finished])
    for item in items:
        if item["metadata"]["uid"] in runs or joins:
            yield SeenTaskRun(item)
    if all(run.finished for run in runs.values()):
        return
    for event in session.cluster.changes(namespace, labels, version, fields, objects=items):
        run = SeenTaskRun(event["object"])
        if run.uid not in runs and not joins:
            continue
        if event["type"] == "DELETED" and not run.finished:
            _not_deleted([run])
        yield run
        if all(one.finished for one in runs.values()):
            return


def _not_deleted(gone: list[SeenTaskRun]) -> None:
    if gone:
        raise CommandFailed(f"TaskRun '{gone[0].name}' was deleted before it ended.", Exit.NOT_FOUND)
