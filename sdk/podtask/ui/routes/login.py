"""The way in: a link that works once opens a session, by a POST and not by being looked at."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from podtask.ui.access.guard import cookie_name, form
from podtask.ui.routes.desk import desk_of
from podtask.ui.routes.rendering import page

USED = "This link has been used, or is of another start. The terminal in which podtask ui runs shows a new one."


def ask(request: Request) -> Response:
    """The page that the link leads to."""
    secret = request.query_params.get("token", "")[:200]
    return page(request, "login.html", secret=secret, trouble="")


def enter(announce: Callable[[], object]) -> Callable[[Request], object]:
    """The POST of that page; `announce` prints the next link, for another browser."""

    async def posted(request: Request) -> Response:
        desk = desk_of(request)
        session = desk.sessions.open(form(await request.body()).get("token", ""))
        if session is None:
            return page(request, "login.html", 403, secret="", trouble=USED)
        announce()
        answer = RedirectResponse("/", 303)
        answer.set_cookie(cookie_name(desk.port), session.id, httponly=True, samesite="strict", path="/")
        return answer

    return posted


async def leave(request: Request) -> Response:
    """End the session."""
    desk = desk_of(request)
    desk.sessions.close(request.state.session)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(cookie_name(desk.port), httponly=True, samesite="strict", path="/")
    return answer
