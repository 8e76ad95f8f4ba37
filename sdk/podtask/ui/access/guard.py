"""In front of every request: the Host header, the session, the headers of every answer.

    /healthz                    200   for the kubelet, which asks by the pod's address
    Host is not ours            400   another name points to 127.0.0.1 (DNS rebinding)
    POST from another origin    403
    no session                  303 to /login; a stream or a fragment 401
    POST without form token     403

Pure ASGI, so that streams pass through unbuffered.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from podtask.errors import PodtaskError
from podtask.ui.access.logins import Login
from podtask.ui.access.sessions import WebSession, same

OPEN = ("/login", "/static/")
"""What may be seen without a session: the way in, and how it looks."""
FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
FORM_LIMIT = 16 * 1024
"""Bytes of a form."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """The ASGI application behind these checks."""

    def __init__(self, app: ASGIApp, login: Login, port: int, hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._login = login
        self._behind_tls = set(hosts)
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")} | self._behind_tls
        self._cookie = cookie_name(port)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._sending(scope, send)
        if scope["path"] == "/healthz":
            await PlainTextResponse("ok")(scope, receive, answer)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self._hosts:
            text = f"This page is served as {' or '.join(sorted(self._hosts))} only. Open it by that address."
            await PlainTextResponse(text, 400)(scope, receive, answer)
            return
        if scope["method"] not in ("GET", "HEAD") and headers.get("origin") not in (None, self._origin(host)):
            await PlainTextResponse("A form of another site may change nothing here.", 403)(scope, receive, answer)
            return
        if self._login.asks_for == "token" and headers.get("authorization"):
            session = await self._sent_along(headers["authorization"])  # a cookie may be that of another person
        else:
            session = self._login.sessions.find(cookie_parser(headers.get("cookie", "")).get(self._cookie, ""))
        scope.setdefault("state", {})["session"] = session
        if scope["path"].startswith(OPEN):
            received = receive if scope["method"] in ("GET", "HEAD") else _again(await _body(receive))
            await self._app(scope, received, answer)
        elif session is None:
            await _way_in(headers)(scope, receive, answer)
        elif scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, answer)
        else:
            body = await _body(receive)
            if not same(form(body).get(FORM_TOKEN, ""), session.form_token):
                text = "This form is not from this page, or from an older session. Go back, reload, and try again."
                await PlainTextResponse(text, 403)(scope, receive, answer)
                return
            await self._app(scope, _again(body), answer)

    def _origin(self, host: str) -> str:
        return f"https://{host}" if host in self._behind_tls else f"http://{host}"

    async def _sent_along(self, authorization: str) -> WebSession | None:
        try:
            return await run_in_threadpool(self._login.sent_along, authorization)
        except PodtaskError:  # nobody answers: then nobody is known
            return None

    def _sending(self, scope: Scope, send: Send) -> Send:
        static = scope["path"].startswith("/static/")

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers["Cache-Control"] = "no-cache" if static else "no-store"
            await send(message)

        return sending


def cookie_name(port: int) -> str:
    """The name of the session's cookie."""
    return f"podtask-ui-{port}"


def form(body: bytes) -> dict[str, str]:
    """The fields of a form; of several of a name the last."""
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=32)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}


def _way_in(headers: Headers) -> PlainTextResponse | RedirectResponse:
    if headers.get("x-live") or "text/event-stream" in headers.get("accept", ""):
        return PlainTextResponse("The session has ended.", 401)
    return RedirectResponse("/login", 303)


async def _body(receive: Receive) -> bytes:
    """The whole body of a request, b"" where it is too long."""
    data, more = b"", True
    while more:
        message = await receive()
        data += message.get("body", b"") if len(data) <= FORM_LIMIT else b""
        more = bool(message.get("more_body"))
    return data if len(data) <= FORM_LIMIT else b""


def _again(body: bytes) -> Receive:
    first: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return first.pop() if first else {"type": "http.disconnect"}

    return receive
