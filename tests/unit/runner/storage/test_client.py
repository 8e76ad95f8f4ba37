"""Reading and writing under grants: patience, proof, and write-once, against a server that has bad days."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.runner.harness import Attempt
from tests.unit.runner.s3like import CUT, S3Like

from podtask_runner import protocol
from podtask_runner.errors import AlreadyStored, InputCorrupted, StoreUnavailable
from podtask_runner.protocol import Verdict
from podtask_runner.storage.client import Store
from podtask_runner.storage.http import Endpoints, Unreachable
from podtask_runner.storage.spool import digest, file_digest

DATA = b"payload " * 300_000


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def open_store(served: Attempt, time: Time) -> Iterator[Callable[..., Store]]:
    stores: list[Store] = []

    def make(reload: Any = None, **options: Any) -> Store:
        grants = served.grants(protocol.Code(source=""), **options)
        store = Store(grants, reload, clock=lambda: time.now, sleep=time.sleep, jitter=lambda: 0.5)
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()


def blob(server: S3Like, data: bytes, name: str = "in") -> protocol.Blob:
    server.objects[f"/{name}"] = data
    return protocol.Blob(digest(data), len(data), url=f"{server.url}/{name}")


def write(store: Store, data: bytes | Path) -> None:
    expected = digest(data) if isinstance(data, bytes) else file_digest(data)
    store.write(lambda grants: grants.result, data, expected, "the result")


class TestWriting:
    def test_bytes_and_files_arrive_whole(self, open_store: Any, server: S3Like, tmp_path: Path) -> None:
        path = tmp_path / "payload"
        path.write_bytes(DATA)
        write(open_store(), path)
        assert server.objects["/result"] == DATA

    def test_an_earlier_try_of_ours_is_success(self, open_store: Any, server: S3Like) -> None:
        server.objects["/result"] = DATA
        write(open_store(), DATA)
        assert server.count("GET", "/result") == 1

    def test_other_bytes_are_never_replaced(self, open_store: Any, server: S3Like) -> None:
        server.objects["/result"] = b'"first"'
        with pytest.raises(AlreadyStored) as caught:
            write(open_store(), DATA)
        assert server.objects["/result"] == b'"first"'
        assert (caught.value.digest, caught.value.size, caught.value.head) == (digest(b'"first"'), 7, b'"first"')

    def test_the_answer_to_a_successful_write_may_get_lost(self, open_store: Any, server: S3Like) -> None:
        def stored_but_silent() -> int:
            server.objects["/result"] = DATA
            return CUT

        server.answers = [stored_but_silent]
        write(open_store(), DATA)

    @pytest.mark.parametrize("status", [500, 503, 400, 409, 429, CUT])
    def test_what_may_pass_is_tried_again_with_growing_pauses(
        self, open_store: Any, server: S3Like, time: Time, status: int
    ) -> None:
        server.answers = [status] * 4
        write(open_store(), DATA)
        assert server.objects["/result"] == DATA
        assert time.slept == pytest.approx([0.1, 0.2, 0.4, *[0.5, 0.3][: len(time.slept) - 3]])

    def test_a_store_that_stays_away_is_given_up_after_its_time(
        self, open_store: Any, server: S3Like, time: Time
    ) -> None:
        server.answers = [503] * 1000
        with pytest.raises(StoreUnavailable, match="503"):
            write(open_store(store_timeout_seconds=30.0), DATA)
        assert 15.0 <= time.now <= 30.0

    def test_a_refusal_that_time_cannot_heal_is_not_waited_for(
        self, open_store: Any, server: S3Like, time: Time
    ) -> None:
        server.answers = [405] * 10
        with pytest.raises(StoreUnavailable, match="405"):
            write(open_store(), DATA)
        assert time.now < 1.0

    def test_in_a_hurry_it_gives_up_early(self, open_store: Any, server: S3Like, time: Time) -> None:
        server.answers = [503] * 1000
        store = open_store(store_timeout_seconds=600.0)
        store.hurry(5.0)
        with pytest.raises(StoreUnavailable):
            write(store, DATA)
        assert time.now <= 5.0

    @pytest.mark.parametrize("status", [403, 400])  # 400: ExpiredToken, of credentials that expired before the URL
    def test_expired_grants_are_read_again(self, open_store: Any, server: S3Like, served: Attempt, status: int) -> None:
        fresh = served.grants(protocol.Code(source=""), result=served.slot("renewed"))
        server.answers = [status]
        store = open_store(lambda: fresh)
        write(store, DATA)
        assert server.objects["/renewed"] == DATA
        assert store.grants is fresh

    def test_grants_that_are_being_replaced_are_read_again_later(
        self, open_store: Any, server: S3Like, served: Attempt
    ) -> None:
        fresh = [OSError("gone for a moment"), served.grants(protocol.Code(source=""), result=served.slot("renewed"))]

        def reload() -> protocol.Grants:
            found = fresh.pop(0)
            if isinstance(found, OSError):
                raise found
            return found

        server.answers = [403, 403]
        write(open_store(reload), DATA)
        assert server.objects["/renewed"] == DATA


class TestReading:
    def test_what_is_read_has_its_digest(self, open_store: Any, server: S3Like) -> None:
        assert open_store(inputs=blob(server, DATA)).read(lambda grants: grants.inputs, "inputs") == DATA

    def test_damage_on_the_way_is_read_again(self, open_store: Any, server: S3Like) -> None:
        store = open_store(inputs=blob(server, DATA))
        server.objects["/in"], good = DATA[:-1] + b"x", DATA

        def repair() -> None:
            server.objects["/in"] = good if server.count("GET", "/in") == 2 else server.objects["/in"]

        server.answers = [repair, repair]
        assert store.read(lambda grants: grants.inputs, "inputs") == DATA

    @pytest.mark.parametrize("found", [DATA[:-1] + b"x", DATA + b"x", DATA[:-1]], ids=["changed", "longer", "shorter"])
    def test_a_changed_object_is_reported(self, open_store: Any, server: S3Like, found: bytes) -> None:
        store = open_store(inputs=blob(server, DATA))
        server.objects["/in"] = found
        with pytest.raises(InputCorrupted, match="inputs"):
            store.read(lambda grants: grants.inputs, "inputs")

    def test_a_missing_object_is_reported_at_once(self, open_store: Any, server: S3Like, time: Time) -> None:
        store = open_store(inputs=replace(blob(server, DATA), url=f"{server.url}/gone"))
        with pytest.raises(InputCorrupted, match="not in the store any more"):
            store.read(lambda grants: grants.inputs, "inputs")
        assert time.now == 0.0

    @pytest.mark.parametrize("inline", ["not base64!", "AAAA"], ids=["not base64", "other bytes"])
    def test_inline_bytes_are_checked_too(self, open_store: Any, inline: str) -> None:
        store = open_store(inputs=protocol.Blob(digest(DATA), 3, inline=inline))
        with pytest.raises(InputCorrupted):
            store.read(lambda grants: grants.inputs, "inputs")

    def test_an_unknown_scheme_is_told(self, open_store: Any) -> None:
        store = open_store(inputs=protocol.Blob(digest(DATA), 3, url="ftp://somewhere/x"), store_timeout_seconds=0.1)
        with pytest.raises(StoreUnavailable, match="ftp"):
            store.read(lambda grants: grants.inputs, "inputs")


class TestWholeAttempts:
    def test_an_attempt_over_http_stores_result_and_outcome(self, served: Attempt, server: S3Like) -> None:
        ran = served.source("def main():\n    return [1, 2]")
        assert ran.exit_code == 0
        assert json.loads(server.objects["/result"]) == [1, 2]
        assert server.objects["/outcome"] == ran.termination

    def test_a_store_that_comes_back_costs_nothing_but_time(self, served: Attempt, server: S3Like) -> None:
        server.answers = [503, CUT, 500]
        assert served.source("def main():\n    return 1").outcome.outcome is Verdict.COMPLETED

    def test_a_store_that_stays_away_is_told_by_the_termination_message(self, served: Attempt, server: S3Like) -> None:
        server.answers = [503] * 1000
        ran = served.source("def main():\n    return 1", store_timeout_seconds=0.3)
        assert ran.outcome.outcome is Verdict.STORE_UNAVAILABLE
        assert ran.exit_code == 69
        assert server.objects == {}

    def test_inputs_that_cannot_be_read_do_not_start_the_task(self, served: Attempt, server: S3Like) -> None:
        server.answers = [503] * 4
        code = protocol.Code(shipped=blob(server, DATA))
        ran = served.run(served.grants(code, store_timeout_seconds=0.3))
        assert ran.outcome.outcome is Verdict.STORE_UNAVAILABLE


@pytest.mark.parametrize("second", [DATA, b"other"], ids=["the same bytes again", "other bytes"])
def test_file_urls_are_written_once(attempt: Attempt, second: bytes) -> None:
    store = Store(attempt.grants(protocol.Code(source="")))
    write(store, DATA)
    if second == DATA:
        write(store, second)
    else:
        with pytest.raises(AlreadyStored):
            write(store, second)
    assert attempt.path("result").read_bytes() == DATA
    assert [path.name for path in attempt.path("").iterdir()] == ["result"]
    assert store.read_back(lambda grants: grants.result) == DATA
    assert store.read_back(lambda grants: grants.error) is None


@pytest.mark.parametrize(
    ("spelled", "authorization"),
    [
        ("http://{}", None),
        ("{}", None),
        ("http://ada:p%40ss@{}", "Basic YWRhOnBAc3M="),
        ("ada:p%40ss@{}", "Basic YWRhOnBAc3M="),
    ],
)
def test_a_proxy_is_found_and_told_who_asks(
    monkeypatch: pytest.MonkeyPatch, spelled: str, authorization: str | None
) -> None:
    heard: list[str] = []

    def answer() -> None:
        connection, _ = proxy.accept()
        with connection:
            heard.extend(connection.recv(65536).decode().split("\r\n"))
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("https_proxy", spelled.format(f"127.0.0.1:{proxy.getsockname()[1]}"))
        proxy.settimeout(10)
        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unreachable):
            Endpoints(timeout=10).get("https://store.example/result", lambda _: None)
        proxy.close()
        thread.join()
    assert heard[0].startswith("CONNECT store.example:443 ")
    told = [line.partition(": ")[2] for line in heard if line.startswith("Proxy-Authorization: ")]
    assert told == ([authorization] if authorization else [])
