"""`podtask retry`: run finished TaskRuns once more, under new names. The manifest is `podtask.core.api.resubmit`'s.

A run that ended NotReady needs other upstreams than those that failed: they are repeated with it, first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import click

from podtask.cli.commands.submit import stay
from podtask.cli.common import output, selection
from podtask.cli.common.exits import CommandFailed, Exit
from podtask.cli.common.options import DURATION, several, with_session
from podtask.cli.common.session import Session, note
from podtask.cli.flows import steer
from podtask.cli.flows.select import alone
from podtask.inspection.repeats import manifests, with_upstreams
from podtask.inspection.task_run import KIND_PREFIX, SeenTaskRun


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
    if (flow := alone(meant.names, *meant.others)) is not None:
        if wait or logs:
            raise CommandFailed(f"Wait for it afterwards: podtask wait {flow}", Exit.USAGE)
        steer.retry(session, flow)
        return
    found = selection.several(session, meant)
    chosen = found if meant.by_name else [run for run in found if run.finished and not run.state.succeeded]
    if not chosen:
        note("podtask: none of them ended without success, so there is nothing to retry.")
        return
    taken = {str(item["metadata"]["name"]) for item in session.cluster.metadata_of_runs(session.namespace)}
    made = _repeated(session, with_upstreams(chosen, _reader(session, taken)), taken)
    stay(session, made, wait=wait, logs=logs, timeout=timeout)


def _reader(session: Session, names: set[str]) -> Callable[[str], SeenTaskRun | None]:
    """Reads a TaskRun of the namespace by its name; each once."""

    @cache
    def read(name: str) -> SeenTaskRun | None:
        found = session.cluster.run(name) if name in names else None
        return None if found is None else SeenTaskRun(found)

    return read


def _repeated(session: Session, runs: list[SeenTaskRun], taken: set[str]) -> list[SeenTaskRun]:
    """All manifests are made before the first POST: where one run cannot be repeated, none is."""
    made = []
    for run, manifest in zip(runs, manifests(runs, taken), strict=True):
        made.append(SeenTaskRun(session.cluster.create(manifest, run.namespace)))
        output.out(f"{KIND_PREFIX}{made[-1].name} created, repeats {run.name}")
    return made
