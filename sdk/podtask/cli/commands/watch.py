"""`podtask watch`: TaskRuns as they change: a table that redraws itself in a terminal, a line per change elsewhere.

Up to FEW runs have a line each, more are counted by task name. The state is a word, so that lines can be searched.
Ends when all that were asked for have ended; the exit status is their outcome. Before: `selection`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from podtask.cli.common import output, selection
from podtask.cli.common.exits import CommandFailed, Ended, Exit, outcome
from podtask.cli.common.options import several, with_session
from podtask.cli.common.session import Session, terminal
from podtask.core.api.names import State
from podtask.inspection.durations import span
from podtask.inspection.task_run import Seen

if TYPE_CHECKING:
    from rich.console import RenderableType

FEW = 50
"""So many TaskRuns have a line each."""
HEAD = ("NAME", "TASK", "STATE", "ATTEMPT", "RAN", "MESSAGE")
COUNTED = ("TASK", "RUNS", "DONE", "STATES")
LONGEST = 60
PER_SECOND = 4


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
    found = selection.several(session, meant)
    raise Ended(follow(session, found, meant.selector, joins=not meant.by_name, plain=plain or not terminal()))


def follow(session: Session, found: list[Seen], labels: str = "", *, joins: bool = False, plain: bool = True) -> Exit:
    """Show the runs until all have ended; the exit status. `joins`: so do runs with these labels that come later."""
    runs = {run.uid: run for run in found}
    shown = Lines() if plain else Table()
    with shown:
        shown.show(list(runs.values()), session.now())
        for run in _changes(session, found, labels, runs, joins=joins):
            runs[run.uid] = run
            shown.show(list(runs.values()), session.now())
    return outcome(run.state for run in runs.values())


def _changes(session: Session, found: list[Seen], labels: str, runs: dict[str, Seen], *, joins: bool) -> Iterable[Seen]:
    """Newer versions of the runs, until none is unfinished."""
    if all(run.finished for run in runs.values()):
        return
    namespace = found[0].namespace
    fields = f"metadata.name={found[0].name}" if len(found) == 1 and not joins else ""
    items, version = session.cluster.runs(namespace, labels, fields)
    there = {item["metadata"]["uid"] for item in items}
    _not_deleted([run for uid, run in runs.items() if uid not in there and not run.finished])
    for item in items:
        if item["metadata"]["uid"] in runs or joins:
            yield Seen(item)
    if all(run.finished for run in runs.values()):
        return
    for event in session.cluster.changes(namespace, labels, version, fields, known=items):
        run = Seen(event["object"])
        if run.uid not in runs and not joins:
            continue
        if event["type"] == "DELETED" and not run.finished:
            _not_deleted([run])
        yield run
        if all(one.finished for one in runs.values()):
            return


def _not_deleted(gone: list[Seen]) -> None:
    if gone:
        raise CommandFailed(f"TaskRun '{gone[0].name}' was deleted before it ended.", Exit.NOT_FOUND)


class Lines:
    """A line per change of state; of many runs, counts by task name whenever they change."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def __enter__(self) -> None:
        """Nothing to open."""

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def show(self, runs: list[Seen], now: datetime) -> None:  # noqa: ARG002 - as `Table.show`
        """Tell what is new."""
        news = (
            {run.uid: f"{run.name} {_what(run)}" for run in runs}
            if len(runs) <= FEW
            else {
                task: f"{task}: {' of '.join((done, total))} done, {states}"
                for task, total, done, states in counts(runs)
            }
        )
        for key, line in news.items():
            if self._told.get(key) != line:
                output.out(line)
        self._told = {**self._told, **news}


class Table:
    """A table at the end of the terminal, redrawn; what is there at the end stays."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            console=Console(highlight=False, soft_wrap=True), refresh_per_second=PER_SECOND, vertical_overflow="crop"
        )

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, runs: list[Seen], now: datetime) -> None:
        """Draw them."""
        self._live.update(_drawn(runs, now))


def _drawn(runs: list[Seen], now: datetime) -> RenderableType:
    from rich.text import Text

    if len(runs) > FEW:
        text = output.table(COUNTED, counts(runs))
    else:
        text = output.table(HEAD, [row(run, now) for run in runs])
    return Text.from_ansi(text, no_wrap=True, overflow="ellipsis")


def row(run: Seen, now: datetime) -> tuple[str, ...]:
    """One TaskRun."""
    began = run.status.started_at
    ran = span(((run.status.finished_at or now) - began).total_seconds()) if began else ""
    return run.name, run.task, output.state(run.word), str(run.raw.get("attempt", "")), ran, _why(run)


def counts(runs: Iterable[Seen]) -> list[tuple[str, str, str, str]]:
    """By task name, in the order of their first runs: how many, how many have ended, how many are in which state."""
    by_task: dict[str, list[Seen]] = {}
    for run in runs:
        by_task.setdefault(run.task, []).append(run)
    order = [word.value for word in State]
    rows = []
    for task, members in by_task.items():
        words = Counter(run.word for run in members)
        known = sorted(words, key=lambda word: order.index(word) if word in order else len(order))
        states = ", ".join(f"{words[word]} {output.state(word)}" for word in known)
        rows.append((task, str(len(members)), str(sum(run.finished for run in members)), states))
    return rows


def _what(run: Seen) -> str:
    why = _why(run)
    return f"{output.state(run.word)}{': ' if why else ''}{why}"


def _why(run: Seen) -> str:
    """Why it waits, or did not succeed."""
    if run.state in (State.RUNNING, State.RETRYING) or run.state.succeeded:
        return ""
    text = " ".join((run.status.message or str(run.status.reason or "")).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
