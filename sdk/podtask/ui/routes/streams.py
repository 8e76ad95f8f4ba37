"""The stream of a tab: what it looks at, and the log it follows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from podtask.inspection import log_sources
from podtask.ui.live.reflector import Reflector
from podtask.ui.routes.logs import TAIL
from podtask.ui.routes.ui_state import attempt_of, flow_run_of, namespace_of, on_cluster, task_run_of, ui_of, viewer_of

ALL = "all"


def flow_runs(request: Request) -> Response:
    """Of the list, or of one flow run."""
    namespace, indexes = namespace_of(request), viewer_of(request).indexes
    if request.path_params["name"] == ALL:
        return _stream(request, (indexes.flow_runs(namespace), indexes.task_runs(namespace)))
    subflows = "subflows" in request.query_params
    return _stream(request, indexes.flow_run_page(namespace, flow_run_of(request), subflows=subflows))


def task_runs(request: Request) -> Response:
    """Of the list, or of one task run and the log of an attempt that goes on."""
    namespace, indexes = namespace_of(request), viewer_of(request).indexes
    if request.path_params["name"] == ALL:
        return _stream(request, (indexes.task_runs(namespace),))
    name = task_run_of(request)
    looked_at = indexes.task_run_page(namespace, name)
    if "attempt" not in request.query_params:
        return _stream(request, looked_at)
    viewer = on_cluster(request)
    run = viewer.task_run(namespace, name)
    number = attempt_of(request, run.status.attempts_total) if run else 0
    if run is None or not number:
        return _stream(request, looked_at)
    return _stream(request, looked_at, partial(log_sources.follow, viewer, run, number, TAIL))


def _stream(request: Request, looked_at: Sequence[Reflector[Any]], log: Any = None) -> Response:
    answer = ui_of(request).streams.response(looked_at, log)
    if answer is None:
        raise HTTPException(503, "Too many tabs are open.")
    return answer
