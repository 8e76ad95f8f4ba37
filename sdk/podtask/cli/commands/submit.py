"""`podtask submit -f FILE`: create TaskRuns, and stay with them if asked to."""

from __future__ import annotations

import sys

import click

from podtask.cli.commands.logs import Form, follow_run
from podtask.cli.commands.wait import until_ended
from podtask.cli.commands.watch import follow
from podtask.cli.common import manifest_files
from podtask.cli.common import output as printers
from podtask.cli.common.exits import CommandEnded, CommandFailed, Exit
from podtask.cli.common.options import DURATION, with_session
from podtask.cli.common.session import Session, terminal
from podtask.inspection.task_run import KIND_PREFIX, SeenTaskRun
from podtask.kube.client import Object
from podtask.kube.errors import ClusterRefused
from podtask.support.terminal_text import visible_log


@click.command()
@click.option("-f", "--filename", "path", required=True, help="File with TaskRuns in YAML or JSON; - is stdin.")
@click.option("--name", help="Another name than the file's, for a file with one TaskRun.")
@click.option("--wait", is_flag=True, help="Wait for the end; the exit status is the outcome.")
@click.option("--watch", is_flag=True, help="Show what happens, then as --wait.")
@click.option("--logs", is_flag=True, help="Print what the tasks print, then as --wait.")
@click.option("--timeout", type=DURATION, help="With --wait: give up after so long; the runs go on.")
@click.option("-o", "--output", type=click.Choice(["json", "yaml", "name"]), help="Form of the output.")
@with_session
def submit(
    session: Session,
    *,
    path: str,
    name: str | None,
    wait: bool,
    watch: bool,
    logs: bool,
    timeout: float | None,
    output: str | None,
) -> None:
    """Create the TaskRuns of a YAML file."""
    found = manifest_files.read(path)
    if name is not None:
        if len(found) != 1:
            raise CommandFailed(f"--name is for one TaskRun, and {path} holds {len(found)}.", Exit.USAGE)
        found[0]["metadata"] = {**found[0]["metadata"], "name": name}
    runs = []
    for manifest in found:
        runs.append(create(session, manifest))
        if output is None:
            printers.out(f"{KIND_PREFIX}{runs[-1].name} created")
    if output is not None:
        printers.out(printers.objects(runs, output, one=True))
    if watch:
        raise CommandEnded(follow(session, runs, plain=not terminal()))
    stay(session, runs, wait=wait, logs=logs, timeout=timeout)


def stay(session: Session, runs: list[SeenTaskRun], *, wait: bool, logs: bool, timeout: float | None = None) -> None:
    """What --logs and --wait ask for; ends with the outcome as exit status."""
    if logs:
        form = Form(prefix=len(runs) > 1)
        for run in runs:
            for line in follow_run(session, run, form, first=True):
                sys.stdout.buffer.write(visible_log(line) if sys.stdout.isatty() else line)
                sys.stdout.buffer.flush()
    if wait or logs:
        raise CommandEnded(until_ended(session, runs, timeout=timeout))


def create(session: Session, manifest: Object) -> SeenTaskRun:
    """POST it. A name that is taken is refused, never replaced."""
    meta = manifest["metadata"]
    namespace = str(meta.get("namespace") or session.namespace)
    if session.given_namespace not in (None, namespace):
        raise CommandFailed(
            f"TaskRun '{meta.get('name')}' names namespace '{namespace}', and -n says '{session.given_namespace}'; "
            f"leave one of them out.",
            Exit.USAGE,
        )
    try:
        return SeenTaskRun(session.cluster.create(manifest, namespace))
    except ClusterRefused as no:
        if no.reason != "AlreadyExists":
            raise
        raise CommandFailed(
            f"There is a TaskRun '{meta['name']}' in namespace '{namespace}' already, and what has run is never "
            f"replaced: give it another --name, use metadata.generateName, or delete the old one."
        ) from no
