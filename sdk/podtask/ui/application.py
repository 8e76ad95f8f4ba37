"""The application: which URL is answered by whom, and what becomes of errors. Behind the guard.

Before: `server`. Next on the road: `routes`.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from podtask.core.storage.base import StoreError
from podtask.errors import PodtaskError
from podtask.kube.errors import ClusterRefused
from podtask.ui.access.guard import Guard
from podtask.ui.routes import actions, login, logs, pages, selection, streams
from podtask.ui.routes.rendering import page
from podtask.ui.routes.ui_state import UiState

STATIC = Path(__file__).with_name("static")


def application(ui: UiState, announce: Callable[[], object]) -> ASGIApp:
    """The ASGI application; `announce` prints a new link."""
    flow, task = "/namespaces/{namespace}/flow-runs", "/namespaces/{namespace}/task-runs"
    routes = [
        Route("/", pages.start),
        Route("/login", login.ask),
        Route("/login", login.enter(announce), methods=["POST"]),
        Route("/logout", login.leave, methods=["POST"]),
        Route(flow, pages.flow_runs),
        Route(flow + "/{name}", pages.flow_run),
        Route(flow + "/{name}/retry", selection.ask),
        Route(flow + "/{name}/retry", selection.act, methods=["POST"]),
        Route(flow + "/{name}/{action}", actions.ask_flow_run),
        Route(flow + "/{name}/{action}", actions.act_flow_run, methods=["POST"]),
        Route(task, pages.task_runs),
        Route(task + "/{name}", pages.task_run),
        Route(task + "/{name}/yaml", pages.task_run_yaml),
        Route(task + "/{name}/log", logs.whole_log),
        Route(task + "/{name}/{action}", actions.ask),
        Route(task + "/{name}/{action}", actions.act, methods=["POST"]),
        Route("/namespaces/{namespace}/live/flow-runs/{name}", streams.flow_runs),
        Route("/namespaces/{namespace}/live/task-runs/{name}", streams.task_runs),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: _refused,
            PodtaskError: _failed,
            StoreError: _failed,
            Exception: _unforeseen,
        },
    )
    app.state.ui = ui
    return Guard(app, ui.login, ui.port, ui.hosts)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(request, error.status_code, error.detail)


def _failed(request: Request, error: Exception) -> Response:
    session = getattr(request.state, "session", None)
    if isinstance(error, ClusterRefused) and error.status == 401 and session is not None and session.viewer is not None:
        ui: UiState = request.app.state.ui  # the token's time is over
        ui.login.sessions.close(session)
        if request.headers.get("x-live"):  # a redirect would be followed without a word
            return PlainTextResponse("The token has ended.", 401, {"X-Ended": "yes"})
        return RedirectResponse("/login?ended=yes", 303)
    status = error.status if isinstance(error, ClusterRefused) and error.status in (401, 403, 404, 409) else 502
    return _answer(request, 403 if status == 401 else status, str(error))


def _unforeseen(request: Request, error: Exception) -> Response:
    return _answer(
        request, 500, f"{type(error).__name__}: {error}. This was not foreseen; podtask ui --debug shows where."
    )


def _answer(request: Request, status: int, text: str) -> Response:
    if "text/event-stream" in request.headers.get("accept", ""):
        return PlainTextResponse(text, status)
    return page(request, "error.html", status, title=HTTPStatus(status).phrase, text=text)
