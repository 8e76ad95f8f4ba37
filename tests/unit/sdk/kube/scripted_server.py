"""An HTTP server of this machine that follows a script, and the official client that asks it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from podtask.kube.client import Api, RequestPatience

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Gives the next answer of the script, whatever is asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Any = self.server
        length = int(self.headers.get("Content-Length") or 0)
        server.asked.append((self.command, urlsplit(self.path).path, self.query, self.rfile.read(length)))
        server.script.pop(0)(self)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def log_message(self, *args: Any) -> None:
        """Not on stderr."""


def says(status: int, body: Any) -> Answer:
    def answer(handler: Handler) -> None:
        data = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def streams(*chunks: bytes, whole: bool = True) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.send_header("Connection", "close")  # so that the client does not take it for the next request
        handler.end_headers()
        for chunk in (*chunks, b"") if whole else chunks:
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        handler.close_connection = True

    return answer


def hangs_up(handler: Handler) -> None:
    handler.close_connection = True


class Scene:
    """A server with a script, and an `Api` whose pauses are only written down."""

    def __init__(self, port: int) -> None:
        from kubernetes import client

        settings = client.Configuration(host=f"http://127.0.0.1:{port}")
        settings.retries = False
        self.pauses: list[float] = []
        self.api = Api(client.ApiClient(settings), "team", RequestPatience(first=5, later=60), self.pauses.append)
        self.script: list[Answer] = []
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []


@contextmanager
def serving() -> Iterator[Scene]:
    """A server and its client."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Scene(server.server_address[1])
    server.script, server.asked = made.script, made.asked  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.api.close()
        server.shutdown()
        thread.join()
        server.server_close()
