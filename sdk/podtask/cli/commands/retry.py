"""`podtask retry`: run finished TaskRuns once more, under new names. The manifest is `podtask.core.api.resubmit`'s.

A run that ended NotReady needs other upstreams than those that failed: they are repeated with it, first.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import click

from podtask.cli.commands.submit import stay
from podtask.cli.common import output, selection
from podtask.cli.common.exits import CommandFailed
from podtask.cli.common.options import DURATION, several, with_session
from podtask.cli.common.session import Session, note
from podtask.core.api.names import State
from podtask.core.api.resubmit import NotFinished, repeat
from podtask.inspection.task_run import KIND_PREFIX, Seen


@click.command()
@several
@click.option("--wait", is_flag=True, help="Wait for the end; the exit status is the outcome.")
@click.option("--logs", is_flag=True, help="Print what the tasks print, then as --wait.")
@click.option("--timeout", type=DURATION, help="With --wait: give up after so long; the runs go on.")
@with_session
def retry(
    session: Session,
    *,
    meant: selection.Meant,
    wait: bool,
    logs: bool,
    timeout: float | None,
) -> None:
    """Run finished TaskRuns again under new names; of many, those that did not succeed."""
    found = selection.several(session, meant)
    chosen = found if meant.by_name else [run for run in found if run.finished and not run.state.succeeded]
    if not chosen:
        note("podtask: none of them ended without success, so there is nothing to retry.")
        return
    known = {run.name: run for run in _all(session)}
    made = _repeated(session, _with_upstreams(chosen, known), set(known))
    stay(session, made, wait=wait, logs=logs, timeout=timeout)


def _all(session: Session) -> list[Seen]:
    return [Seen(item) for item in session.cluster.runs(session.namespace)[0]]


def _with_upstreams(chosen: list[Seen], known: dict[str, Seen]) -> list[Seen]:
    """With the runs behind the upstreams that kept them from starting; each once, upstreams first."""
    repeated, queue = {run.name: run for run in chosen}, list(chosen)
    while queue:
        run = queue.pop()
        behind = needs(run) if run.state is State.NOT_READY else []
        for name in behind:
            upstream = known.get(name)
            if upstream is not None and name not in repeated and upstream.finished and not upstream.state.succeeded:
                repeated[name] = upstream
                queue.append(upstream)
    order = TopologicalSorter({name: [up for up in needs(run) if up in repeated] for name, run in repeated.items()})
    try:
        return [repeated[name] for name in order.static_order()]
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise CommandFailed(
            f"These TaskRuns wait for each other: {circle}. Delete them, and submit them anew."
        ) from error


def needs(run: Seen) -> list[str]:
    """Names of the TaskRuns that it needs or waits for."""
    return [up["taskRun"] for part in ("upstream", "waitFor") for up in run.spec.get(part) or ()]


def _repeated(session: Session, runs: list[Seen], taken: set[str]) -> list[Seen]:
    """All manifests are made before the first POST: where one run cannot be repeated, none is."""
    names: dict[str, str] = {}
    manifests = []
    for run in runs:
        try:
            manifest = repeat(run.obj, taken=taken | set(names.values()), upstreams=names)
        except NotFinished as not_yet:
            raise CommandFailed(str(not_yet)) from not_yet
        names[run.name] = manifest["metadata"]["name"]
        manifests.append(manifest)
    made = []
    for run, manifest in zip(runs, manifests, strict=True):
        made.append(Seen(session.cluster.create(manifest, run.namespace)))
        output.out(f"{KIND_PREFIX}{made[-1].name} created, repeats {run.name}")
    return made
