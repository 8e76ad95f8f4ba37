"""Flow runs of this machine: what the backends `local` and `process` have recorded below PODTASK_HOME."""

from __future__ import annotations

from podtask.backends.in_process.flow_records import read_all
from podtask.cli.common.session import Session
from podtask.cli.flows.flow_run import SeenFlow, bare
from podtask.cli.flows.select import chosen
from podtask.cli.flows.tree import Tree, inside
from podtask.inspection.task_run import Seen
from podtask.kube.client import Object


def flow_runs(session: Session) -> list[Object]:
    """All of them, in no order."""
    return read_all(session.settings.home)


def tree(session: Session, name: str) -> Tree:
    """One flow run with what is inside of it. Raises `CommandFailed`."""
    listed = [SeenFlow(obj) for obj in flow_runs(session)]
    top = chosen(listed, bare(name), "this machine's records", "podtask flows --local")
    flows = inside(top, listed)
    runs = [Seen(run) for flow in flows for run in flow.obj.get("taskRuns") or ()]
    return Tree(top, tuple(flows), tuple(runs))
