"""Flow runs of this machine: what the backends `local` and `process` have recorded below PODTASK_HOME."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from podtask.backends.in_process.flow_records import files, read_one
from podtask.cli.common.exits import CommandFailed
from podtask.cli.common.session import Session, note
from podtask.cli.flows.flow_run import SeenFlow, bare
from podtask.cli.flows.select import chosen
from podtask.cli.flows.tree import Tree, inside
from podtask.inspection.task_run import SeenTaskRun
from podtask.kube.client import Object
from podtask.kube.errors import ClusterUnreachable

NAMED = 3
"""Names of files in one note."""


@contextmanager
def named(command: str) -> Iterator[None]:
    """A cluster that is not there comes with the way to this machine's flow runs: a first user has no others."""
    try:
        yield
    except ClusterUnreachable as no:
        raise CommandFailed(f"{no} Flow runs of this machine: {command}.") from no


def flow_runs(session: Session) -> list[Object]:
    """All of them, in no order. Files that are no records are named, and left out."""
    found, broken = [], []
    for path in files(session.settings.home):
        obj = read_one(path)
        if obj is not None:
            found.append(obj)
        elif path.exists():  # not cleaned away by another process meanwhile
            broken.append(path)
    if broken:
        names = ", ".join(path.name for path in sorted(broken)[:NAMED]) + ", …" * (len(broken) > NAMED)
        what = f"{len(broken)} file{'s' * (len(broken) != 1)}"
        note(f"podtask: {what} of {broken[0].parent} cannot be read as flow runs and may be removed: {names}")
    return found


def tree(session: Session, name: str) -> Tree:
    """One flow run with what is inside of it. Raises `CommandFailed`."""
    listed = [SeenFlow(obj) for obj in flow_runs(session)]
    top = chosen(listed, bare(name), "this machine's records", "podtask flows --local")
    flows = inside(top, listed)
    runs = [SeenTaskRun(run) for flow in flows for run in flow.obj.get("taskRuns") or ()]
    return Tree(top, tuple(flows), tuple(runs))
