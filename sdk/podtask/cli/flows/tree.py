"""A flow run with its subflows and task runs, and what is to be read off them. Pure but for `gathered`.

The critical path is the chain of task runs that decided when the flow run ended: from the run that ended last, back
over whichever upstream ended last. The first failure is the earliest end that is the task's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from podtask.cli.common.session import Session
from podtask.cli.flows.flow_run import SeenFlow
from podtask.cli.flows.select import api
from podtask.core.api.names import LABEL_FLOW_RUN, LABEL_ROOT_FLOW_RUN, State
from podtask.inspection.task_run import SeenTaskRun

AT_ONCE = 100
"""Flow runs in one label selector."""
_CAUSES = frozenset({State.FAILED, State.CRASHED, State.TIMED_OUT})


@dataclass(frozen=True)
class Tree:
    """One flow run, all that are inside of it, and their task runs."""

    top: SeenFlow
    flows: tuple[SeenFlow, ...]
    """The top and its subflows."""
    runs: tuple[SeenTaskRun, ...]
    """Oldest first."""

    def children(self, name: str) -> list[SeenFlow]:
        """Subflows of a flow run, oldest first."""
        return sorted((one for one in self.flows if one.parent == name), key=lambda one: (one.created_at, one.name))

    def of(self, name: str) -> list[SeenTaskRun]:
        """Task runs of one flow run."""
        return [run for run in self.runs if run.flow_run == name]


def gathered(session: Session, top: SeenFlow) -> Tree:
    """The tree as the cluster has it now."""
    flow_runs = [SeenFlow(item) for item in api(session).listed(top.namespace, selector(top)).all()[0]]
    flows = inside(top, flow_runs)
    runs = [SeenTaskRun(item) for part in selectors(flows) for item in session.cluster.runs(top.namespace, part)[0]]
    return Tree(top, tuple(flows), tuple(sorted(runs, key=lambda run: (run.created_at, run.name))))


def selector(top: SeenFlow) -> str:
    """The FlowRuns of the tree that it is a part of."""
    return f"{LABEL_ROOT_FLOW_RUN}={top.labels.get(LABEL_ROOT_FLOW_RUN, top.name)}"


def selectors(flows: Iterable[SeenFlow]) -> Iterator[str]:
    """Label selectors that find the task runs of these flow runs."""
    names = [flow.name for flow in flows]
    for start in range(0, len(names), AT_ONCE):
        part = names[start : start + AT_ONCE]
        yield f"{LABEL_FLOW_RUN}={part[0]}" if len(part) == 1 else f"{LABEL_FLOW_RUN} in ({','.join(part)})"


def inside(top: SeenFlow, flow_runs: Iterable[SeenFlow]) -> list[SeenFlow]:
    """The top and those below it; the `parent` of a FlowRun is what somebody wrote, so a circle ends."""
    by_parent: dict[str, list[SeenFlow]] = {}
    for flow in flow_runs:
        by_parent.setdefault(flow.parent, []).append(flow)
    found, names, todo = [top], {top.name}, [top.name]
    while todo:
        for flow in by_parent.get(todo.pop(), ()):
            if flow.name not in names:
                names.add(flow.name)
                found.append(flow)
                todo.append(flow.name)
    return found


def critical_path(runs: Iterable[SeenTaskRun]) -> list[SeenTaskRun]:
    """The chain that decided the end, first to last; empty while nothing has ended."""
    ended = {run.name: run for run in runs if run.status.finished_at is not None}
    if not ended:
        return []
    needed = {name for run in ended.values() for name in needs(run)}
    path, met = [], set[str]()
    at = max(ended.values(), key=lambda run: (_end(run)[0], run.name not in needed, run.name))
    while True:
        path.append(at)
        met.add(at.name)
        before = [ended[name] for name in needs(at) if name in ended and name not in met]
        if not before:
            return path[::-1]
        at = max(before, key=_end)


def needs(run: SeenTaskRun) -> list[str]:
    """Names of the TaskRuns that it needs or waits for."""
    return [str(up.get("taskRun")) for part in ("upstream", "waitFor") for up in run.spec.get(part) or ()]


def first_failure(runs: Iterable[SeenTaskRun]) -> SeenTaskRun | None:
    """The run whose failure was the first."""
    failed = [run for run in runs if run.finished and run.state in _CAUSES]
    return min(failed, key=_end, default=None)


def seconds(run: SeenTaskRun, now: datetime) -> float | None:
    """How long it has taken so far."""
    began = run.status.started_at
    return None if began is None else ((run.status.finished_at or now) - began).total_seconds()


def _end(run: SeenTaskRun) -> tuple[float, str]:
    ended = run.status.finished_at
    return (ended.timestamp() if ended is not None else 0.0, run.name)
