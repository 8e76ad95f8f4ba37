"""What a task prints: in the pod's log as it comes, and in chunks in the store."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.runner.harness import Attempt
from tests.unit.runner.s3like import S3Like

from podtask_runner import protocol
from podtask_runner.process import log_shipping
from podtask_runner.storage.client import Store
from podtask_runner.storage.http import Endpoints


def post(url: str, **changes: Any) -> protocol.LogPost:
    fields = {"prefix": "log/", "max_bytes": 1 << 20, "fields": {"policy": "p"}, **changes}
    return protocol.LogPost(url, **fields)


def chunks(server: S3Like) -> list[bytes]:
    return [data for path, data in sorted(server.objects.items()) if path.startswith("/log/")]


def test_prints_reach_the_pods_log_and_the_store(served: Attempt, server: S3Like) -> None:
    source = (
        "import sys, subprocess\ndef main():\n    print('out ü')\n    print('err', file=sys.stderr)\n"
        "    subprocess.run(['echo', 'from below'])"
    )
    ran = served.source(source, logs=post(server.url))
    assert ran.stdout == "out ü\nerr\nfrom below\n"
    assert b"".join(chunks(server)).decode() == ran.stdout
    assert list(server.objects)[-1] == "/outcome", "the log is there when the outcome says that the attempt ended"


@pytest.mark.parametrize("kept", [True, False], ids=["with a grant for logs", "without one"])
def test_both_streams_arrive_in_the_order_of_writing(served: Attempt, server: S3Like, kept: bool) -> None:
    source = (
        "import os, sys, subprocess\ndef main():\n    for n in range(300):\n"
        "        print('out', n)\n        print('err', n, file=sys.stderr)\n"
        "    print('half a line', end=' ')\n    os.write(2, b'')\n    sys.stderr.write('and its rest\\n')\n"
        "    subprocess.run(['sh', '-c', 'for n in 1 2 3; do echo below $n; echo beside $n >&2; done'])\n"
        "    raise ValueError('the end')"
    )
    ran = served.source(source, logs=post(server.url) if kept else None)
    wanted = [f"{stream} {n}" for n in range(300) for stream in ("out", "err")]
    wanted += ["half a line and its rest", *(f"{where} {n}" for n in (1, 2, 3) for where in ("below", "beside"))]
    lines = ran.stdout.splitlines()
    assert lines[: len(wanted)] == wanted
    assert lines[len(wanted)] == "Traceback (most recent call last):"
    assert lines[-2:] == ["ValueError: the end", "podtask: Failed: the end"]
    assert not kept or b"".join(chunks(server)).decode() == ran.stdout


def test_without_a_grant_for_logs_prints_reach_the_pods_log_alone(served: Attempt, server: S3Like) -> None:
    ran = served.source("def main():\n    print('out')")
    assert ran.stdout == "out\n"
    assert chunks(server) == []


def test_the_process_backend_keeps_its_chunks_as_files(attempt: Attempt) -> None:
    attempt.source("def main():\n    print('out')", logs=post(f"file://{attempt.root}"))
    assert (attempt.root / "log" / "000001").read_text() == "out\n"


def test_the_log_of_a_killed_task_ends_with_the_verdict(served: Attempt, server: S3Like) -> None:
    source = "import os, signal\ndef main():\n    print('last words')\n    os.kill(os.getpid(), signal.SIGKILL)"
    ran = served.source(source, logs=post(server.url))
    kept = b"".join(chunks(server)).decode()
    assert kept.startswith("last words\npodtask: Crashed: ")
    assert ran.stdout == kept


def test_a_large_output_is_cut_into_chunks_and_put_together_again(served: Attempt, server: S3Like) -> None:
    source = "def main():\n    for n in range(60_000):\n        print(f'line {n:09d}')"
    ran = served.source(source, logs=post(server.url, max_bytes=100_000))
    assert b"".join(chunks(server)).decode() == ran.stdout
    assert max(map(len, chunks(server))) <= 100_000
    assert len(ran.stdout) == 60_000 * 15


def test_a_store_that_refuses_logs_does_not_hold_up_the_outcome_for_long(served: Attempt, server: S3Like) -> None:
    ran = served.source("def main():\n    print('out')\n    return 1", logs=post(server.url, fields={}))
    assert ran.exit_code == 0
    assert chunks(server) == []


@pytest.mark.parametrize("status", [403, 400])
def test_an_expired_grant_for_logs_is_read_again(served: Attempt, server: S3Like, status: int) -> None:
    """The task is not at its end yet, and what it prints must not wait for that: the memory for it is bounded."""
    grants = served.grants(protocol.Code(source=""), logs=post(server.url))
    store = Store(grants, lambda: replace(grants, logs=post(server.url, prefix="log/renewed")))
    shipper = log_shipping.Shipper(lambda: store.grants.logs or post(""), store.renew, flush_seconds=0.01)
    arrived = threading.Event()
    server.answers = [status, arrived.set]
    shipper.start()
    shipper.write(b"out")
    assert arrived.wait(30)
    shipper.finish()
    shipper.join()
    assert list(server.objects) == ["/log/renewed000001"]


def test_sigterm_posts_what_there_is(served: Attempt, server: S3Like) -> None:
    source = (
        "import signal, threading\ndef main():\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    print('ready', flush=True)\n    threading.Event().wait()"
    )
    arrived = threading.Event()

    def arrive() -> None:
        arrived.set()

    server.answers = [arrive]
    with served.started(served.grants(protocol.Code(source=source), logs=post(server.url))) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert arrived.wait(30)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)


class TestShipper:
    @pytest.fixture
    def posted(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes]]:
        found: list[tuple[str, bytes]] = []

        def take(self: Endpoints, url: str, fields: Any, key: str, body: bytes) -> int:
            found.append((key, body))
            return 204

        monkeypatch.setattr(Endpoints, "post", take)
        return found

    @pytest.fixture
    def ship(self) -> Callable[..., log_shipping.Shipper]:
        return lambda **changes: log_shipping.Shipper(lambda: post("http://store", **changes), flush_seconds=1000.0)

    def test_small_output_waits_for_the_end(self, posted: Any, ship: Any) -> None:
        shipper = ship()
        shipper.start()
        shipper.write(b"a")
        shipper.write(b"b")
        shipper.finish()
        shipper.join()
        assert posted == [("log/000001", b"ab")]

    def test_memory_is_bounded_and_the_log_says_what_it_lacks(self, posted: Any, ship: Any) -> None:
        shipper = ship()
        for _ in range(2 * log_shipping.MEMORY_LIMIT // 65536):
            shipper.write(b"x" * 65536)
        shipper.start()
        shipper.finish()
        shipper.join()
        body = b"".join(part for _, part in posted)
        assert len(body) < log_shipping.MEMORY_LIMIT + 200
        assert f"{log_shipping.MEMORY_LIMIT} bytes of output are not in this log".encode() in body

    def test_nothing_printed_posts_nothing(self, posted: Any, ship: Any) -> None:
        shipper = ship()
        shipper.start()
        shipper.finish()
        shipper.join()
        assert posted == []


def test_a_reader_that_goes_away_does_not_stop_the_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(descriptor: int, data: object) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", gone)
    log_shipping.say(b"nobody listens")


def test_a_process_that_was_left_behind_and_prints_without_end_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tee = log_shipping.Tee(log_shipping.Shipper(lambda: post("http://store")))
    behind = os.dup(tee._write)
    monkeypatch.setattr(tee.shipper, "start", lambda: None)
    tee.supervisor_side()
    copied: list[bytes] = []

    def copy(data: bytes) -> None:
        copied.append(data)
        assert len(copied) < 10, "it is copied for ever"
        if data != b"closing":
            os.write(behind, b"more")  # whoever prints is quicker than the pod's log

    monkeypatch.setattr(log_shipping, "say", copy)
    os.write(behind, b"last words")
    tee.drain(b"closing")
    os.close(behind)
    assert copied == [b"last words", b"closing"]
