"""A scripted API server for each test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from tests.unit.sdk.kube.scripted_server import Handler, Scene


@pytest.fixture
def scene() -> Iterator[Scene]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Scene(server.server_address[1])
    server.script, server.asked = made.script, made.asked  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.api.close()
    server.shutdown()
    thread.join()
    server.server_close()
