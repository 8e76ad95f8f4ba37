"""A store for tests that behaves like S3 under the runner's grants: PUT once, GET, POST of logs; and its bad days."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[["_Handler"], bool]


class S3Like:
    """`objects` by path. `answers` are asked first, once each: a status instead of the truth, or a cut connection."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.seen: list[tuple[str, str]] = []
        self.answers: list[int | Callable[[], int | None]] = []
        self.replaceable: set[str] = set()
        """Paths whose URLs are signed without the condition: another PUT takes the place of the first."""
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.store = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def count(self, method: str, path: str) -> int:
        return self.seen.count((method, path))


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has read enough hangs up; whatever else goes wrong here is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_PUT(self) -> None:
        body = self._body()
        if self._bad_day():
            return
        objects = self.server.store.objects
        if self.path in self.server.store.replaceable:
            objects[self.path] = body
            self._answer(200)
        elif self.headers.get("If-None-Match") != "*":
            self._answer(403)
        elif self.path in objects:
            self._answer(412)
        else:
            objects[self.path] = body
            self._answer(200)

    def do_GET(self) -> None:
        if self._bad_day():
            return
        found = self.server.store.objects.get(self.path)
        self._answer(404 if found is None else 200, found or b"")

    def do_POST(self) -> None:
        body = self._body()
        if self._bad_day():
            return
        boundary = b"--" + self.headers["Content-Type"].partition("boundary=")[2].encode()
        fields: dict[str, bytes] = {}
        for part in body.split(boundary)[1:-1]:
            head, _, value = part[2:-2].partition(b"\r\n\r\n")
            fields[head.split(b'name="')[1].split(b'"')[0].decode()] = value
        if "policy" not in fields:
            self._answer(403)
            return
        self.server.store.objects["/" + fields["key"].decode()] = fields["file"]
        self._answer(204)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _bad_day(self) -> bool:
        store = self.server.store
        store.seen.append((self.command, self.path))
        if not store.answers:
            return False
        answer = store.answers.pop(0)
        status = answer() if callable(answer) else answer
        if status is None:
            return False
        if status == CUT:
            self.close_connection = True
        else:
            self._answer(status)
        return True

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


CUT = 0
"""Instead of a status: close the connection without a word."""
