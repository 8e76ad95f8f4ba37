"""Datagrams that say an outcome is stored: what they name is looked at, so often and no more; the rest is dropped."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from tests.support.builders import run_object

from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.events.doorbell import APART, LONGEST, PER_SECOND, Doorbell
from podtask_operator.task_runs.key import Key
from podtask_runner.process import doorbell as sender
from podtask_runner.protocol import Code, Grants, Put, Slot

KEY = Key("team", "hello")
RINGS = {"ns": "team", "run": "hello", "uid": "uid-1", "attempt": 1}


class Bell:
    """A doorbell with one running attempt, and a clock turned by hand."""

    def __init__(self, runs: int = 1) -> None:
        self.cluster, self.woken, self.now = ClusterCache(), [], 100.0
        for number in range(1, runs + 1):
            name = "hello" if number == 1 else f"hello-{number}"
            attempts = [{"number": 1, "cause": "First", "recordedAt": "2026-01-02T03:04:05Z"}]
            status = {"state": "Running", "attempts": attempts, "attemptsTotal": 1}
            self.cluster.put_run(run_object(name=name, metadata={"uid": f"uid-{number}"}, status=status))
        self.bell = Doorbell(self.cluster, self.wake, lambda: self.now)
        self.hear: Callable[[], object] = lambda: None

    def wake(self, key: Key) -> None:
        self.woken.append(key)
        self.hear()

    @property
    def rang(self) -> int | None:
        """The attempt to look at."""
        return self.cluster.expectations.of(KEY, "uid-1").expected.rang

    def hears(self, data: bytes) -> list[Key]:
        self.bell.datagram_received(data, ("10.0.0.9", 1))
        woken, self.woken[:] = list(self.woken), []
        return woken


def grants(doorbell: str | None) -> Grants:
    slot = Slot(Put("u", {}), "u")
    return Grants("team", "hello", "uid-1", 1, Code(source="x"), slot, slot, slot, doorbell=doorbell)


def ring(**changes: Any) -> bytes:
    return json.dumps({**RINGS, **changes}).encode()


def test_the_run_of_the_named_attempt_is_looked_at() -> None:
    bell = Bell()
    assert bell.hears(ring()) == [KEY]
    assert bell.rang == 1


@pytest.mark.parametrize(
    "data",
    {
        "another object of the name": ring(uid="uid-2"),
        "an attempt that does not run": ring(attempt=2),
        "an unknown run": ring(run="nobody"),
        "another namespace": ring(ns="other"),
        "no JSON": b"\xff\xfe",
        "no object": b"[1]",
        "a field missing": b'{"ns": "team"}',
        "a flag for a number": ring(attempt=True),
        "a list for a name": ring(run=["hello"]),
        "nothing": b"",
        "nested too deeply": b"[" * LONGEST,
        "too long": ring(more="x" * LONGEST),
    }.items(),
    ids=lambda item: item[0],
)
def test_everything_else_is_dropped(data: tuple[str, bytes]) -> None:
    bell = Bell()
    assert bell.hears(data[1]) == []
    assert bell.rang is None


def test_one_attempt_causes_one_look_a_second() -> None:
    bell = Bell()
    assert [bell.hears(ring()), bell.hears(ring())] == [[KEY], []]
    bell.now += APART
    assert bell.hears(ring()) == [KEY]


def test_all_together_cause_no_more_than_the_bound_in_one_second() -> None:
    bell = Bell(PER_SECOND + 1)
    names = ["hello", *(f"hello-{number}" for number in range(2, PER_SECOND + 2))]
    woken = [bell.hears(ring(run=name, uid=f"uid-{number}")) for number, name in enumerate(names, 1)]
    assert sum(map(len, woken)) == PER_SECOND
    assert woken[-1] == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_the_runner_sends_is_what_the_operator_hears(host: str) -> None:
    async def body() -> None:
        bell, stop, heard = Bell(), asyncio.Event(), asyncio.Event()
        bell.hear = heard.set
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
        serving = asyncio.create_task(bell.bell.serve(host, port, stop))
        await asyncio.sleep(0)
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        while not heard.is_set():  # until it listens
            sender.ring(grants(where))
            bell.now += APART
            await asyncio.sleep(0)
        stop.set()
        await serving
        assert set(bell.woken) == {KEY}

    asyncio.run(asyncio.wait_for(body(), 30))


@pytest.mark.parametrize(
    "where", [None, "", "nonsense", "operator:81", "10.0.0.1:", "127.0.0.1:99999999", ":81", "[::1"]
)
def test_an_address_that_cannot_be_sent_to_does_not_disturb_the_runner(where: str | None) -> None:
    sender.ring(grants(where))


def test_an_attempt_that_has_started_needs_no_look_and_does_not_silence_its_end() -> None:
    bell = Bell()
    expectations = bell.cluster.expectations.of(KEY, "uid-1")
    expectations.claim_written(1, "the claim", datetime(2026, 1, 2, tzinfo=timezone.utc))
    assert bell.hears(sender.message(grants(None), started=True)) == []
    assert expectations.expected.claim is not None
    assert expectations.expected.claim.started
    assert bell.hears(ring()) == [KEY]
