"""Retry what a filter of a flow run's page shows and what did not succeed: a page that names them, a POST that does it.

The form carries the names, so what failed meanwhile is not repeated with them. Before: `pages`. Next: `repeating`.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from podtask.core.api.names import PLURAL
from podtask.ui.access.guard import form
from podtask.ui.access.viewer import Viewer
from podtask.ui.environment import path
from podtask.ui.routes.rendering import page
from podtask.ui.routes.repeating import repeated
from podtask.ui.routes.ui_state import allowed, flow_run_of, is_object, namespace_of, on_cluster
from podtask.ui.view import listing
from podtask.ui.view.briefs import Brief
from podtask.ui.view.listing import Query
from podtask.ui.view.states import group

SELECTED = 100
"""TaskRuns at once, at most: each is a request, and a person waits."""
PATIENCE_SECONDS = 10.0


def repeatable(briefs: Iterable[Brief], everything: Iterable[Brief]) -> list[Brief]:
    """What ended without success and was not repeated: of a repeat that failed, the last one counts."""
    repeated_already = {one.retry_of for one in everything}
    return [one for one in briefs if group(one.state) in ("failed", "stopped") and one.name not in repeated_already]


def offered(viewer: Viewer, namespace: str, chosen: Iterable[Brief], everything: Iterable[Brief]) -> int:
    """How many a button would repeat; 0: there is none."""
    count = len(repeatable(chosen, everything)[:SELECTED])
    return count if count and viewer.may(namespace, "create", PLURAL) else 0


def ask(request: Request) -> Response:
    """Are you sure?"""
    viewer, namespace, name = on_cluster(request), namespace_of(request), flow_run_of(request)
    query = Query.of(request.query_params.multi_items())
    runs = viewer.indexes.flow_run(namespace, name)
    runs.progress(PATIENCE_SECONDS)
    all_of_them = repeatable(listing.task_runs(runs.rows(), query), runs.rows())
    chosen = all_of_them[:SELECTED]
    back = path(namespace, "flow-runs", name) + query.url()
    if not chosen:
        text = "No task run of this flow run that the filter shows has ended without success, or all were repeated."
        raise HTTPException(404, text)
    return page(
        request,
        "selection.html",
        namespace=namespace,
        tab="flow-runs",
        flow_run=name,
        chosen=chosen,
        left_out=len(all_of_them) - len(chosen),
        names=",".join(one.name for one in chosen),
        back=back,
    )


async def act(request: Request) -> Response:
    """Yes."""
    names = form(await request.body()).get("runs", "").split(",")
    return await run_in_threadpool(_repeat, request, names)


def _repeat(request: Request, names: list[str]) -> Response:
    viewer, namespace, name = on_cluster(request), namespace_of(request), flow_run_of(request)
    if len(names) > SELECTED or not all(map(is_object, names)):
        raise HTTPException(400, "This form names no task runs. Go back, reload, and try again.")
    allowed(viewer, namespace, "create", PLURAL)
    found = [run for one in dict.fromkeys(names) if (run := viewer.task_run(namespace, one)) is not None]
    chosen = [run for run in found if run.flow_run == name and run.finished and not run.state.succeeded]
    if not chosen:
        raise HTTPException(409, "None of these task runs is there any more, or none ended without success.")
    repeated(viewer, chosen)
    return RedirectResponse(path(namespace, "flow-runs", name), 303)
