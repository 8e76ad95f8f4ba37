"""Flow runs that are not a day's work: no task, subflows, warm pods, all reused, cancelled, 200 tasks."""

from __future__ import annotations

from tests.unit.sdk.ui.live_api import LiveCluster
from tests.unit.sdk.ui.worlds import at, attempt, flow_run, task_run


def odd(cluster: LiveCluster) -> None:
    """All of them."""
    cluster.put(flow_run("empty-1", flow="empty", began=500, took=0.2, status={"result": "null"}))
    for fill in (subflows, warm, reused, cancelled, tasks):
        fill(cluster)


def subflows(cluster: LiveCluster) -> None:
    """A flow run with three below it: one ended well, one failed, one goes on."""
    cluster.put(flow_run("parent-1", "Running", flow="parent", began=500))
    cluster.put(task_run("prepare", flow="parent", flow_run="parent-1", created=499, attempts=[attempt(1, 495, 485)]))
    parent = {"parent": {"name": "parent-1", "uid": "uid-parent-1"}}
    for index, state in enumerate(("Completed", "Failed", "Running")):
        name, began = f"child-{index}", 480 - 50 * index
        counts = {} if state == "Running" else {"counts": {state: 1}}
        cluster.put(flow_run(name, state, flow="child", began=began, took=100, spec=parent, status=counts))
        tried = attempt(1, began - 10, None if state == "Running" else began - 90, state)
        cluster.put(task_run(f"{name}-step", state, task="step", flow="child", flow_run=name, created=began - 5,
                             attempts=[tried]))  # fmt: skip


def warm(cluster: LiveCluster) -> None:
    """Pods that were there already: over within a second, of which the API server keeps no parts."""
    cluster.put(flow_run("warm-1", flow="warm", began=100, took=2))
    for index in range(8):
        moment = 99 - index // 4
        claim = {"pool": "fast", "pod": f"fast-{index}"}
        tried = {**attempt(1, moment, moment), "recordedAt": at(moment), "claim": claim}
        cluster.put(task_run(f"quick-{index}", task="quick", flow="warm", flow_run="warm-1", created=moment,
                             attempts=[tried]))  # fmt: skip


def reused(cluster: LiveCluster) -> None:
    """Nothing was started."""
    cluster.put(flow_run("reused-1", flow="reused", began=100, took=1))
    for index in range(6):
        status = {"cache": {"outcome": "Hit", "sourceRun": f"old-{index}"}, "finishedAt": at(99)}
        needs = (f"reused-{index - 1}",) if index else ()
        cluster.put(task_run(f"reused-{index}", "Cached", flow="reused", flow_run="reused-1", created=99, needs=needs,
                             status=status))  # fmt: skip


def cancelled(cluster: LiveCluster) -> None:
    """By a person, while three of five task runs were not over."""
    message = {"message": "Cancelled: spec.cancel of the flow run is true."}
    cluster.put(flow_run("stopped-1", "Cancelled", flow="stopped", began=1000, took=100, spec={"cancel": True},
                         status=message))  # fmt: skip
    for index, state in enumerate(("Completed", "Completed", "Cancelled", "Cancelled", "Cancelled")):
        tried = [attempt(1, 990, 950, state)] if index < 4 else []
        cluster.put(task_run(f"part-{index}", state, task="part", flow="stopped", flow_run="stopped-1", created=999,
                             attempts=tried))  # fmt: skip


def tasks(cluster: LiveCluster, count: int = 200) -> None:
    """Very many tasks with one task run each."""
    cluster.put(flow_run("wide-1", flow="wide", began=2000, took=1500))
    for index in range(count):
        needs = tuple(f"task-{up:03}" for up in (index - 7, index - 13) if up >= 0)
        began = 1990 - 5 * index
        cluster.put(task_run(f"task-{index:03}", flow="wide", flow_run="wide-1", created=1999, needs=needs,
                             attempts=[attempt(1, began, began - 30)]))  # fmt: skip
