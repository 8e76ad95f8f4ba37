"""The pages for reading: flow runs, a flow run, task runs, a task run, its YAML.

Next on the road: `podtask.ui.view`, then the templates.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from podtask.core import clock
from podtask.core.api.names import FLOW_RUN_PLURAL, PLURAL
from podtask.inspection.manifest_text import manifest, yaml_text
from podtask.inspection.task_run import SeenTaskRun
from podtask.ui.access.viewer import Viewer
from podtask.ui.environment import path
from podtask.ui.live.stream import version_of
from podtask.ui.routes.logs import log_of
from podtask.ui.routes.rendering import page
from podtask.ui.routes.selection import offered
from podtask.ui.routes.ui_state import (
    flow_run_of,
    is_namespace,
    namespace_of,
    on_cluster,
    still_known,
    task_run_of,
    viewer_of,
)
from podtask.ui.view import listing
from podtask.ui.view.flow_run_facts import flow_run_facts
from podtask.ui.view.flow_runs import FlowRunRow, flow_run_brief, row, rows, unrecorded
from podtask.ui.view.graph import graph, too_many
from podtask.ui.view.listing import Query
from podtask.ui.view.states import in_order
from podtask.ui.view.task_run import task_run_page
from podtask.ui.view.timeline import timeline

PATIENCE_SECONDS = 0.6
"""So long a page waits for the whole list; then it shows what is there, and says so."""
YAML_LIMIT = 512 * 1024
"""Characters."""


def start(request: Request) -> Response:
    """`/`, and the form that changes the namespace."""
    wanted = request.query_params.get("namespace", "").strip()
    namespace = wanted if is_namespace(wanted) else viewer_of(request).namespace
    return RedirectResponse(path(namespace, "flow-runs"), 303)


def flow_runs(request: Request) -> Response:
    """All flow runs of a namespace, newest first."""
    namespace, query = namespace_of(request), Query.of(request.query_params.multi_items())
    indexes = viewer_of(request).indexes
    recorded, runs = indexes.flow_runs(namespace), indexes.task_runs(namespace)
    version = version_of((recorded, runs))
    state = still_known(request, recorded.progress(PATIENCE_SECONDS), runs.progress(PATIENCE_SECONDS))
    every = rows(recorded.rows(), runs.rows())
    chosen = listing.flow_runs(every, query)
    loose = sum(1 for one in runs.rows() if not one.flow_run)
    return page(
        request,
        "flow_runs.html",
        namespace=namespace,
        tab="flow-runs",
        query=query,
        page=listing.page(chosen, query.page),
        counts=in_order(listing.counted(every, lambda one: one.word)),
        everything=len(every),
        loose=loose,
        progress=state,
        live=path(namespace, "live", "flow-runs", "all"),
        version=version,
    )


def flow_run(request: Request) -> Response:
    """One flow run: summary, timeline, graph, table."""
    namespace, name = namespace_of(request), flow_run_of(request)
    query = Query.of(request.query_params.multi_items())
    viewer, now = viewer_of(request), clock.now().timestamp()
    runs = viewer.indexes.flow_run(namespace, name)
    children = _children(viewer, namespace, name)
    version = version_of(viewer.indexes.flow_run_page(namespace, name, subflows=bool(children)))
    found = viewer.flow_run(namespace, name)
    (progress,) = still_known(request, runs.progress(PATIENCE_SECONDS))
    briefs = list(runs.rows())
    if found is None and not briefs and progress.complete and not progress.trouble:
        place, why = _place(viewer, namespace)
        text = f"There is no flow run '{name}' {place}. {why}"
        raise HTTPException(404, text)
    head = row(flow_run_brief(found), briefs) if found else unrecorded(briefs) if briefs else _unknown(name)
    chosen = listing.task_runs(briefs, query)
    shown = listing.page(chosen, query.page)
    picture = graph(briefs, chosen if query.filters else ())
    return page(
        request,
        "flow_run.html",
        namespace=namespace,
        tab="flow-runs",
        head=head,
        facts=flow_run_facts(found, viewer.where(namespace)) if found else None,
        query=query,
        page=shown,
        tasks=Counter(one.task for one in briefs),
        first_failed=_first_failed(briefs),
        timeline=timeline(chosen, shown.rows, now),
        graph=picture,
        no_graph="" if picture else too_many(briefs),
        children=children,
        progress=(progress,),
        disruptions=sum(one.disruptions for one in briefs),
        retries=sum(one.retries for one in briefs),
        actions=_flow_run_actions(viewer, namespace, head),
        repeats=offered(viewer, namespace, chosen, briefs),
        where=viewer.where(namespace),
        live=path(namespace, "live", "flow-runs", name) + ("?subflows=yes" if children else ""),
        version=version,
    )


def task_runs(request: Request) -> Response:
    """All TaskRuns of a namespace, in a flow run or not."""
    namespace, query = namespace_of(request), Query.of(request.query_params.multi_items())
    runs = viewer_of(request).indexes.task_runs(namespace)
    version = version_of((runs,))
    (progress,) = still_known(request, runs.progress(PATIENCE_SECONDS))
    every = runs.rows()
    chosen = listing.newest(listing.task_runs(every, query))
    return page(
        request,
        "task_runs.html",
        namespace=namespace,
        tab="task-runs",
        query=query,
        page=listing.page(chosen, query.page),
        counts=in_order(listing.counted(every, lambda one: one.state)),
        everything=len(every),
        progress=(progress,),
        live=path(namespace, "live", "task-runs", "all"),
        version=version,
    )


def task_run(request: Request) -> Response:
    """One task run."""
    namespace, name = namespace_of(request), task_run_of(request)
    viewer, now = viewer_of(request), clock.now()
    version = version_of(viewer.indexes.task_run_page(namespace, name))
    run = read(viewer, namespace, name)
    log = None if viewer.local else log_of(request, on_cluster(request), run)
    return page(
        request,
        "task_run.html",
        namespace=namespace,
        tab="task-runs",
        run=task_run_page(run, viewer.events(run), now, viewer.where(namespace), local=viewer.local),
        log=log,
        actions=_task_run_actions(viewer, run),
        live=path(namespace, "live", "task-runs", name) + (f"?attempt={log.attempt}" if log and log.follow else ""),
        version=version,
    )


def task_run_yaml(request: Request) -> Response:
    """The object, as the API server has it."""
    run = read(on_cluster(request), namespace_of(request), task_run_of(request))
    text = yaml_text(manifest(run.obj))
    left_out = max(0, len(text) - YAML_LIMIT)
    return page(
        request,
        "yaml.html",
        namespace=run.namespace,
        tab="task-runs",
        name=run.name,
        text=text[:YAML_LIMIT],
        left_out=left_out,
    )


def read(viewer: Viewer, namespace: str, name: str) -> SeenTaskRun:
    """The TaskRun. Raises 404 where there is none."""
    run = viewer.task_run(namespace, name)
    if run is None:
        place, why = _place(viewer, namespace)
        text = f"There is no TaskRun '{name}' {place}. {why}"
        raise HTTPException(404, text)
    return run


def _place(viewer: Viewer, namespace: str) -> tuple[str, str]:
    """Where something is missing, and why it may be."""
    if viewer.local:
        return f"in the records of {viewer.context}", "Its flow still runs, or newer flow runs have taken its place."
    return f"in namespace '{namespace}'", "It was deleted, or its time to live is over."


def _unknown(name: str) -> FlowRunRow:
    """Nothing is known yet: the list is being read, or may not be."""
    return FlowRunRow(name, name, "", "Pending", clock.now().timestamp(), None, [])


def _first_failed(briefs: list[Any]) -> Any:
    failed = [one for one in briefs if one.group == "failed"]
    at_all = [one for one in failed if one.state != "NotReady"] or failed
    return min(at_all, key=lambda one: one.finished or float("inf"), default=None)


def _children(viewer: Viewer, namespace: str, name: str) -> list[FlowRunRow]:
    recorded = viewer.indexes.flow_runs(namespace)
    recorded.progress(PATIENCE_SECONDS)
    return rows((one for one in recorded.rows() if one.parent == name), ())


def _task_run_actions(viewer: Viewer, run: SeenTaskRun) -> list[str]:
    may = {verb: viewer.may(run.namespace, verb, PLURAL) for verb in ("patch", "create", "delete")}
    offered = []
    if may["patch"] and not run.finished:
        offered += ["cancel", "resume" if run.spec.get("suspend") else "suspend"]
    if may["create"] and run.finished:
        offered.append("retry")
    return [*offered, *(["delete"] if may["delete"] else [])]


def _flow_run_actions(viewer: Viewer, namespace: str, head: FlowRunRow) -> list[str]:
    if not head.recorded:
        return []
    may = {verb: viewer.may(namespace, verb, FLOW_RUN_PLURAL) for verb in ("patch", "delete")}
    unfinished = head.over < head.total or head.word in ("Running", "DriverLost")
    cancel = ["cancel"] if may["patch"] and unfinished and not head.cancel else []
    return [*cancel, *(["delete"] if may["delete"] else [])]
