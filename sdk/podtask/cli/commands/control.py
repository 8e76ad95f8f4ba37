"""`podtask cancel`, `suspend`, `resume`, `delete`: what a person may change about a TaskRun. A line for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import click

from podtask.cli.common import output, selection
from podtask.cli.common.exits import CommandFailed, Exit
from podtask.cli.common.options import several, with_session
from podtask.cli.common.session import Session
from podtask.cli.flows import steer
from podtask.cli.flows.select import split
from podtask.inspection.task_run import KIND_PREFIX, SeenTaskRun
from podtask.kube.errors import ClusterRefused

Act = Callable[[Session, SeenTaskRun], str]
"""Does it, and says in a word what was done."""


OnFlows = Callable[[Session, list[str]], None]


def _command(name: str, act: Act, text: str, *, certain: bool = False, flows: OnFlows | None = None) -> click.Command:
    """A command that does one thing to the TaskRuns it is given; `certain`: it cannot be undone.

    `flows`: what it does to flow runs.
    """

    @several
    @with_session
    def run(session: Session, *, meant: selection.Meant) -> None:
        named, rest = split(meant.names)
        if named and flows is None:
            raise CommandFailed(f"podtask {name} takes TaskRuns; of a flow run: --flow-run ID.", Exit.USAGE)
        if named and flows is not None:
            flows(session, named)
            meant = replace(meant, names=tuple(rest))
            if not rest and not any(meant.others):
                return
        found = selection.several(session, meant, certain=certain)
        for one in found:
            output.out(f"{KIND_PREFIX}{one.name} {act(session, one)}")

    return click.command(name, help=text)(run)


def _cancel(session: Session, run: SeenTaskRun) -> str:
    if run.finished:
        return f"has ended before ({run.word})"
    session.cluster.change(run.namespace, run.name, cancel=True)
    return "cancelled"


def _suspend(session: Session, run: SeenTaskRun) -> str:
    return _suspended(session, run, wanted=True)


def _resume(session: Session, run: SeenTaskRun) -> str:
    return _suspended(session, run, wanted=False)


def _suspended(session: Session, run: SeenTaskRun, *, wanted: bool) -> str:
    if run.finished:
        return f"has ended before ({run.word})"
    if bool(run.spec.get("suspend")) is wanted:
        return "was suspended already" if wanted else "was not suspended"
    session.cluster.change(run.namespace, run.name, suspend=wanted)
    if not wanted:
        return "resumed"
    running = run.status.running
    return f"suspended; attempt {running.number} runs on" if running else "suspended"


def _delete(session: Session, run: SeenTaskRun) -> str:
    try:
        session.cluster.remove(run.namespace, run.name)
    except ClusterRefused as no:
        if no.reason != "NotFound":
            raise
        return "was gone already"
    return "deleted"


cancel = _command(
    "cancel", _cancel, "End TaskRuns: stop the pod, start nothing more.", certain=True, flows=steer.cancel
)
suspend = _command("suspend", _suspend, "Start no more pods for TaskRuns; what runs, runs on.")
resume = _command("resume", _resume, "Let suspended TaskRuns go on.")
delete = _command("delete", _delete, "Delete TaskRuns together with their pods.", certain=True, flows=steer.delete)
