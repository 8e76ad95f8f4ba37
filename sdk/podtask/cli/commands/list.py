"""`podtask list`: a table of TaskRuns, newest first, and with --watch a line for each change. Columns as kubectl's."""

from __future__ import annotations

from dataclasses import dataclass

import click

from podtask.cli.common import output as printers
from podtask.cli.common import selection
from podtask.cli.common.exits import CommandFailed, Exit
from podtask.cli.common.options import DURATION, with_session
from podtask.cli.common.selection import Filter
from podtask.cli.common.session import Session, note
from podtask.inspection.durations import age
from podtask.inspection.task_run import SeenTaskRun, bare, newest_first

COLUMNS = ("NAME", "STATE", "ATTEMPT", "CACHE", "DURATION", "AGE")
WIDE = ("REASON", "NODE", "TASK", "FLOW", "FLOWRUN", "TAGS")


@dataclass(frozen=True)
class Shape:
    """Which columns, and whether they have names."""

    wide: bool = False
    namespace: bool = False
    header: bool = True

    @property
    def head(self) -> tuple[str, ...]:
        """Names of the columns."""
        return (*(("NAMESPACE",) if self.namespace else ()), *COLUMNS, *(WIDE if self.wide else ()))

    def row(self, run: SeenTaskRun, age: str) -> tuple[str, ...]:
        """One TaskRun."""
        cells = [*([run.namespace] if self.namespace else []), run.name, printers.state(run.word)]
        cells += [run.raw.get("attempt", ""), (run.raw.get("cache") or {}).get("outcome", "")]
        cells += [run.raw.get("duration", ""), age]
        if self.wide:
            latest = run.status.latest
            node = latest.node if latest and latest.node else ""
            cells += [str(run.status.reason or ""), node, run.task, run.flow, run.flow_run, ",".join(run.tags)]
        return tuple(cells)


@click.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("-A", "--all-namespaces", is_flag=True, help="In all namespaces.")
@click.option("-l", "--selector", default="", help="Only with these labels, as in kubectl: a=b,c!=d.")
@click.option("--state", "words", multiple=True, help="Only in these states: failed,running. May be repeated.")
@click.option("--flow", default="", help="Only of this flow.")
@click.option("--flow-run", default="", help="Only of this flow run.")
@click.option("--tag", "tags", multiple=True, help="Only with this tag. Repeated: with all of them.")
@click.option("--since", type=DURATION, help="Only younger than that: 30m, 2h, 1d.")
@click.option("--older-than", type=DURATION, help="Only older than that.")
@click.option("-o", "--output", type=click.Choice(["wide", "json", "yaml", "name"]), help="Form of the output.")
@click.option("--no-headers", is_flag=True, help="Without the line of column names.")
@click.option("-w", "--watch", is_flag=True, help="Afterwards a line for each change, until Ctrl-C.")
@with_session
def list_runs(
    session: Session,
    names: tuple[str, ...],
    *,
    all_namespaces: bool,
    selector: str,
    words: tuple[str, ...],
    flow: str,
    flow_run: str,
    tags: tuple[str, ...],
    since: float | None,
    older_than: float | None,
    output: str | None,
    no_headers: bool,
    watch: bool,
) -> None:
    """List TaskRuns, newest first."""
    if watch and output in ("json", "yaml", "name"):
        raise CommandFailed(f"--watch prints lines of a table; it cannot be -o {output}.", Exit.USAGE)
    namespace = "" if all_namespaces else session.namespace
    wanted = tuple(bare(name) for name in names)
    asked = Filter(selector, selection.states(words), flow, flow_run, tags, since, older_than, wanted)
    read = session.cluster.runs if output in ("json", "yaml") else session.cluster.runs_without_payloads
    items, version = read(namespace, asked.selector, "" if watch else asked.fields)
    now = session.now()
    runs = newest_first([run for run in map(SeenTaskRun, items) if asked.takes(run, now)])
    _all_there(session, wanted, runs)
    shape = Shape(wide=output == "wide", namespace=all_namespaces, header=not no_headers)
    if output in ("json", "yaml", "name"):
        text = printers.objects(runs, output, one=bool(names))
        if text:
            printers.out(text)
    elif runs:
        rows = [shape.row(run, age(run.created_at, now)) for run in runs]
        printers.out(printers.table(shape.head, rows, header=shape.header))
    else:
        where = "any namespace" if all_namespaces else f"namespace '{namespace}'"
        note(f"No TaskRuns found in {where}.")
    if watch:
        _changes(session, namespace, asked, version, shape, {run.uid: run for run in runs})


def _all_there(session: Session, wanted: tuple[str, ...], runs: list[SeenTaskRun]) -> None:
    """Every name that was given has been found."""
    for name in wanted:
        if name not in {run.name for run in runs}:
            text = f"There is no TaskRun '{name}' in namespace '{session.namespace}' that this would show."
            raise CommandFailed(text, Exit.NOT_FOUND)


def _changes(
    session: Session, namespace: str, asked: Filter, version: str, shape: Shape, shown: dict[str, SeenTaskRun]
) -> None:
    """A line for each TaskRun whose row changes; the columns are as wide as they were."""
    rows = {uid: shape.row(run, "") for uid, run in shown.items()}
    widths = [
        max(len(click.unstyle(cell)) for cell in column) for column in zip(shape.head, *rows.values(), strict=True)
    ]
    for event in session.cluster.changes(namespace, asked.selector, version):
        run = SeenTaskRun(event["object"])
        row = shape.row(run, "")
        if event["type"] == "DELETED" or not asked.takes(run, session.now()) or rows.get(run.uid) == row:
            continue
        rows[run.uid] = row
        cells = shape.row(run, age(run.created_at, session.now()))
        widths = [max(width, len(click.unstyle(cell))) for width, cell in zip(widths, cells, strict=True)]
        printers.out(printers.padded(cells, widths))
