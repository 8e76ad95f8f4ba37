"""The way in: a link that works once, or a token, opens a session, by a POST and not by being looked at."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from podtask.ui.access.guard import cookie_name, form
from podtask.ui.routes.rendering import page
from podtask.ui.routes.ui_state import ui_of

ENDED = "Your token has ended: the API server does not know it any more. Paste a new one to go on."


def ask(request: Request) -> Response:
    """The page that the link leads to."""
    asks_for = ui_of(request).login.asks_for
    secret = request.query_params.get("token", "")[:200] if asks_for == "link" else ""
    ended = asks_for == "token" and request.query_params.get("ended") == "yes"
    return page(request, "login.html", secret=secret, trouble=ENDED if ended else "", asks_for=asks_for)


def enter(announce: Callable[[], object]) -> Callable[[Request], object]:
    """The POST of that page; `announce` prints the next link, for another browser."""

    async def posted(request: Request) -> Response:
        ui = ui_of(request)
        login, secret = ui.login, form(await request.body()).get("token", "")
        session = await run_in_threadpool(login.enter, secret)
        if session is None:
            return page(request, "login.html", 403, secret="", trouble=login.trouble, asks_for=login.asks_for)
        announce()
        answer = RedirectResponse("/", 303)
        secure = request.headers.get("host", "") in ui.hosts
        name = cookie_name(ui.port)
        answer.set_cookie(name, session.id, httponly=True, samesite="strict", path="/", secure=secure)
        return answer

    return posted


async def leave(request: Request) -> Response:
    """End the session."""
    ui = ui_of(request)
    await run_in_threadpool(ui.login.sessions.close, request.state.session)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(cookie_name(ui.port), httponly=True, samesite="strict", path="/")
    return answer
