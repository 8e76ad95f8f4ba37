"""The stores under test: memory, a folder, S3 by moto, and (marked `cluster`) the S3 server of `dev/`."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest

from podtask.core.storage import S3Settings, Store, parse_store_url
from podtask.core.storage.directory import DirectoryStore
from podtask.core.storage.memory import MemoryStore
from podtask.core.storage.s3 import CallPatience, S3Signer, S3Store

BASE = f"tests/{secrets.token_hex(8)}"
ANYONE = boto3.Session(
    "access", "secret", region_name="us-east-1"
)  # one for all: making clients is slow the first time


@dataclass
class Bucket:
    """A bucket and credentials for it."""

    settings: S3Settings
    session: boto3.Session

    @cached_property
    def store(self) -> S3Store:
        return S3Store(self.settings, session=self.session)

    @cached_property
    def signer(self) -> S3Signer:
        return S3Signer(self.settings, session=self.session)


@pytest.fixture(scope="session")
def moto_bucket() -> Iterator[Bucket]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        settings = S3Settings("bucket", endpoint_url=f"http://{host}:{port}")
        ANYONE.client("s3", endpoint_url=settings.endpoint_url).create_bucket(Bucket="bucket")
        yield Bucket(settings, ANYONE)
    finally:
        server.stop()


@pytest.fixture(scope="session")
def real_bucket() -> Iterator[Bucket]:
    def variable(name: str) -> str:
        if not os.environ.get(name):
            pytest.fail(f'{name} is not set. Start the cluster and its S3 server: eval "$(dev/cluster env)"')
        return os.environ[name]

    settings = parse_store_url(variable("PODTASK_STORE"), variable("PODTASK_S3_ENDPOINT_URL"))
    session = boto3.Session(variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"), region_name="us-east-1")
    bucket = Bucket(settings, session)
    yield bucket
    for info in list(bucket.store.list(BASE)):
        bucket.store.delete(info.key)


BUCKETS = ["moto", pytest.param("real", marks=pytest.mark.cluster)]


@pytest.fixture(params=BUCKETS)
def bucket(request: pytest.FixtureRequest) -> Bucket:
    return request.getfixturevalue(f"{request.param}_bucket")


@pytest.fixture(params=["memory", "directory", *BUCKETS])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "directory":
        return DirectoryStore(tmp_path / "store")
    return request.getfixturevalue(f"{request.param}_bucket").store


@pytest.fixture
def at() -> Callable[[str], str]:
    """Full keys from short ones: every test has its own part of a bucket."""
    part = secrets.token_hex(8)
    return lambda key: f"{BASE}/{part}/{key}"


@dataclass
class Scripted:
    """A tiny HTTP server that gives the answers it is told, the last one for ever, and counts the requests."""

    url: str
    answers: list[Callable[[BaseHTTPRequestHandler], None]]
    requests: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)
    released: threading.Event = field(default_factory=threading.Event)
    """Set at the end of the test: lets a handler go that says nothing."""

    def met(self, count: int) -> list[str]:
        """The requests, once there are so many: a client that lost patience is ahead of the server's threads."""
        with self.came:
            self.came.wait_for(lambda: len(self.requests) >= count, 30)
            return list(self.requests)

    def store(self, **patience: float) -> S3Store:
        settings = S3Settings("bucket", endpoint_url=self.url)
        return S3Store(settings, session=ANYONE, patience=CallPatience(**patience), sleep=lambda _: None)  # type: ignore[arg-type]


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore tries again at once."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))


@pytest.fixture
def scripted(no_waiting: None) -> Iterator[Scripted]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            script.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            with script.came:
                script.requests.append(f"{self.command} {self.path}")
                script.came.notify_all()
            (script.answers.pop(0) if len(script.answers) > 1 else script.answers[0])(self)

        do_GET = do_HEAD = do_PUT = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A handler that resets its connection is part of the script."""

    server = Server(("127.0.0.1", 0), Handler)
    script = Scripted(f"http://127.0.0.1:{server.server_address[1]}", [])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield script
    script.released.set()
    server.shutdown()
    thread.join()
    server.server_close()
