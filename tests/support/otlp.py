"""A receiver of OTLP by HTTP: what arrives is the real wire format, decoded by OpenTelemetry's own protobuf classes."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Received:
    """One span as it came over the wire."""

    service: str
    scope: str
    name: str
    trace: str
    id: str
    parent: str
    start: int
    end: int
    attributes: dict[str, Any]
    failed: bool
    description: str


@dataclass
class Receiver:
    """Holds spans by id, as a receiver does for which a span that comes twice is one span."""

    url: str
    spans: dict[str, Received] = field(default_factory=dict)
    batches: int = 0
    status: int = 200
    """What is answered."""
    files: dict[str, bytes] = field(default_factory=dict)
    """What is served by GET, beside."""
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, body: bytes) -> None:
        """A request came."""
        with self._changed:
            self.batches += 1
            if self.status == 200:
                self.spans.update({span.id: span for span in _decoded(body)})
            self._changed.notify_all()

    def until(self, true: Callable[[dict[str, Received]], bool], seconds: float = 60) -> list[Received]:
        """All spans once `true` holds, oldest first."""
        with self._changed:
            assert self._changed.wait_for(lambda: true(self.spans), seconds), self.tree()
            return sorted(self.spans.values(), key=lambda span: span.start)

    def named(self, name: str) -> list[Received]:
        """Those of a name, oldest first."""
        return sorted((span for span in self.spans.values() if span.name == name), key=lambda span: span.start)

    def path(self, span: Received) -> str:
        """Names from the outermost span that came to this one."""
        above = self.spans.get(span.parent)
        return span.name if above is None else f"{self.path(above)} > {span.name}"

    def tree(self) -> list[str]:
        """The paths of all spans, in order."""
        return sorted(self.path(span) for span in self.spans.values())


@contextmanager
def receiver(address: str = "127.0.0.1") -> Iterator[Receiver]:
    """One that listens while it lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            there.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(there.status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self) -> None:
            content = there.files[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Not into the tests' output."""

    server = ThreadingHTTPServer((address, 0), Handler)
    there = Receiver(f"http://{address}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="otlp-receiver")
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _decoded(body: bytes) -> Iterator[Received]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _attributes(resource.resource.attributes).get("service.name", "")
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Received(
                    service,
                    scope.scope.name,
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _attributes(span.attributes),
                    span.status.code == span.status.STATUS_CODE_ERROR,
                    span.status.message,
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
