"""What the other commands do with flow/NAME: describe, logs, wait, watch, cancel, retry, delete."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from podtask.cli.common import live_runs, output
from podtask.cli.common.exits import CommandFailed, Exit
from podtask.cli.common.session import Session, note, terminal
from podtask.cli.flows import local, page, picture, select
from podtask.cli.flows.flow_run import KIND_PREFIX, SeenFlow, clean
from podtask.cli.flows.tree import gathered, inside, selector, selectors
from podtask.core.api.names import FLOW_RUN_PLURAL, LABEL_RETRY_OF, FlowState
from podtask.core.api.resubmit import repeat
from podtask.inspection.task_run import KIND_PREFIX as TASK_RUN
from podtask.inspection.task_run import SeenTaskRun
from podtask.kube.errors import ClusterRefused

_EXITS = {
    FlowState.COMPLETED.value: Exit.DONE,
    FlowState.FAILED.value: Exit.RUN_FAILED,
    FlowState.CRASHED.value: Exit.RUN_CRASHED,
    FlowState.TIMED_OUT.value: Exit.RUN_TIMED_OUT,
    FlowState.CANCELLED.value: Exit.RUN_CANCELLED,
}
LOOK_SECONDS = 10.0
"""How often a watch of task runs asks whether the flow itself has ended."""
GONE_SECONDS = 60.0
PAUSE = 0.5


def describe(session: Session, name: str, *, here: bool, form: str | None = None) -> None:
    """Tell everything about one flow run, or draw it."""
    with local.named("podtask describe flow/NAME --local"):
        tree = local.tree(session, name) if here else gathered(session, select.one(session, name))
    if form is not None:
        output.out(picture.text(tree, session.now(), form))
        return
    output.out(page.text(page.FlowRunReading(tree, session.now(), session.where, here)))


def task_runs(session: Session, name: str) -> list[SeenTaskRun]:
    """All task runs of the flow run and its subflows, oldest first. Raises `CommandFailed` for none."""
    tree = gathered(session, select.one(session, name))
    if not tree.runs:
        raise CommandFailed(f"Flow run '{tree.top.title}' has no task runs.", Exit.NOT_FOUND)
    return list(tree.runs)


def cancel(session: Session, names: Iterable[str]) -> None:
    """Cancel flow runs: their unfinished task runs, those of subflows, and those that come later."""
    for name in names:
        flow = select.one(session, name)
        said = "cancelled"
        if flow.finished:
            said = f"has ended before ({flow.word})"
        else:
            select.api(session).patch(flow.namespace, flow.name, {"spec": {"cancel": True}})
        output.out(f"{KIND_PREFIX}{flow.name} {said}")


def delete(session: Session, names: Iterable[str]) -> None:
    """Delete flow runs with everything of them. TaskRuns first, in a few requests: the rest follows by its owner."""
    for name in names:
        tree = gathered(session, select.one(session, name))
        for part in selectors(tree.flows):
            try:
                session.cluster.remove_all(tree.top.namespace, part)
            except ClusterRefused as no:
                if no.status != 403:
                    raise  # without the right to delete many at once, the garbage collector does it, one by one
        try:
            select.api(session).delete(tree.top.namespace, tree.top.name, tree.top.uid)
        except ClusterRefused as no:
            if no.reason != "NotFound":
                raise
        output.out(f"{KIND_PREFIX}{tree.top.name} deleted, with {_many(len(tree.runs), 'task run')}")


def wait(session: Session, name: str, *, timeout: float | None, quiet: bool) -> Exit:
    """Wait for the end of a flow run; its exit status. Raises `CommandFailed`."""
    flow = select.one(session, name)
    deadline = None if timeout is None else time.monotonic() + timeout
    fields, said = f"metadata.name={flow.name}", False
    while not flow.finished:
        items, version = select.api(session).listed(flow.namespace, "", fields).all()
        flow = _same(flow, items)
        if flow.lost is not None and not said:
            said = True
            note(f"podtask: {flow.title}: {flow.lost}")
        left = None if deadline is None else deadline - time.monotonic()
        if flow.finished:
            break
        if left is not None and left <= 0:
            raise CommandFailed(f"Time is up; flow run '{flow.title}' goes on.", Exit.TIME_IS_UP)
        changes = session.cluster.changes(
            flow.namespace, "", version, fields, seconds=left, objects=items, plural=FLOW_RUN_PLURAL
        )
        for event in changes:
            flow = _same(flow, [event["object"]] if event["type"] != "DELETED" else [])
            if flow.finished or (flow.lost is not None and not said):
                break
    if not quiet:
        took = f" after {clean(flow.status['duration'])}" if flow.status.get("duration") else ""
        output.out(f"{flow.name} {output.state(flow.word)}{took}")
        if flow.word != FlowState.COMPLETED.value and flow.status.get("message"):
            note(f"podtask: {flow.title}: {clean(flow.status['message'])}")
    return _EXITS.get(flow.word, Exit.RUN_FAILED)


def watch(session: Session, name: str, *, plain: bool) -> Exit:
    """Show the task runs of a flow run as they change, until the flow has ended; its exit status."""
    tree = gathered(session, select.one(session, name))
    runs = {run.uid: run for run in tree.runs}
    flow, names = tree.top, {one.name for one in tree.flows}
    shown = live_runs.StateLines() if plain or not terminal() else live_runs.StateTable()
    with shown:
        shown.show(list(runs.values()), session.now())
        while not flow.finished:
            parts = list(selectors(tree.flows))
            labels = parts[0] if len(parts) == 1 else ""
            items, version = session.cluster.runs(flow.namespace, labels)
            runs |= {run.uid: run for run in map(SeenTaskRun, items) if run.flow_run in names}
            shown.show(list(runs.values()), session.now())
            for event in session.cluster.changes(flow.namespace, labels, version, seconds=LOOK_SECONDS, objects=items):
                run = SeenTaskRun(event["object"])
                if run.flow_run in names and event["type"] != "DELETED":
                    runs[run.uid] = run
                    shown.show(list(runs.values()), session.now())
            listed = [SeenFlow(item) for item in select.api(session).listed(flow.namespace, selector(flow)).all()[0]]
            flow = _same(flow, [one.obj for one in listed])
            tree = replace(tree, flows=tuple(inside(flow, listed)))
            names = {one.name for one in tree.flows}
        last = gathered(session, flow)
        shown.show(list(last.runs), session.now())
    output.out(f"{flow.name} {output.state(flow.word)}")
    return _EXITS.get(flow.word, Exit.RUN_FAILED)


def retry(session: Session, name: str) -> None:
    """Let a flow run go on: what did not succeed is deleted, what did is attached to again by the next driver."""
    tree = gathered(session, select.one(session, name))
    flow = tree.top
    if flow.parent:
        raise CommandFailed(
            f"'{flow.title}' is a subflow; retry the flow run around it: podtask retry flow/{flow.parent}"
        )
    if not flow.finished and flow.lost is None and not flow.spec.get("cancel"):
        raise CommandFailed(
            f"Flow run '{flow.title}' still runs. Cancel it first: podtask cancel flow/{flow.name}{session.where}"
        )
    failed = [run for run in tree.runs if run.finished and not run.state.succeeded]
    if flow.word == FlowState.COMPLETED.value and not failed:
        note(f"podtask: flow run '{flow.title}' has completed, so there is nothing to retry.")
        return
    _remove(session, failed)
    for one in tree.flows:
        if one.spec.get("cancel"):
            select.api(session).patch(one.namespace, one.name, {"spec": {"cancel": False}})
    kept = len(tree.runs) - len(failed)
    output.out(f"{KIND_PREFIX}{flow.name}: {_many(len(failed), 'task run')} deleted, {kept} kept")
    _start(session, flow)


def _start(session: Session, flow: SeenFlow) -> None:
    """The driver's TaskRun once more, under its name; or the command for the machine where the program is."""
    task_run = str(flow.driver.get("taskRun") or "")
    found = session.cluster.run(task_run) if task_run else None
    if found is None:
        where = f" The TaskRun {clean(task_run)} of its driver is gone." if task_run else ""
        note(f"Next: start the program again{where and ':'}{where} {page.again(flow, session.where)}")
        return
    driver = SeenTaskRun(found)
    if not driver.finished:
        note(f"podtask: its driver {driver.name} has not ended and goes on by itself.")
        return
    manifest = repeat(driver.obj)
    manifest["metadata"]["name"] = driver.name  # the id of the flow run is made of it
    del manifest["metadata"]["labels"][LABEL_RETRY_OF]
    _remove(session, [driver])
    session.cluster.create(manifest, driver.namespace)
    output.out(f"{TASK_RUN}{driver.name} created, drives {flow.name}")


def _remove(session: Session, runs: Sequence[SeenTaskRun]) -> None:
    """Delete TaskRuns and wait until they are gone: the next driver makes them anew under the same names."""
    for run in runs:
        try:
            session.cluster.remove(run.namespace, run.name)
        except ClusterRefused as no:
            if no.reason != "NotFound":
                raise
    deadline = time.monotonic() + GONE_SECONDS
    for run in runs:
        while (live := session.cluster.run(run.name, run.namespace)) is not None and live["metadata"]["uid"] == run.uid:
            if time.monotonic() > deadline:
                raise CommandFailed(f"TaskRun '{run.name}' is still there after {GONE_SECONDS:.0f} s; try again.")
            time.sleep(PAUSE)


def _same(flow: SeenFlow, items: Iterable[object]) -> SeenFlow:
    """The flow run as it is now. Raises `CommandFailed` where it is gone."""
    for item in items:
        if isinstance(item, dict) and item["metadata"].get("uid") == flow.uid:
            return SeenFlow(item)
    raise CommandFailed(f"Flow run '{flow.title}' was deleted before it ended.", Exit.NOT_FOUND)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
