"""A log of 200 MB: its end is a few reads of the bucket, and all of it passes without ever being in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from podtask.core.storage import ObjectInfo
from podtask.core.storage.layout import Bucket
from podtask.inspection import log_sources
from podtask.inspection.task_run import SeenTaskRun

LINE = b"%08d " + b"x" * 4086 + b"\n"
PIECE, PIECES = 256 * 1024, 800
PER_PIECE = PIECE // len(LINE % 0)


class LongLog:
    """A bucket that makes the pieces as they are read."""

    def __init__(self) -> None:
        self.reads = 0

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for number in range(PIECES):
            yield ObjectInfo(f"{prefix}{number:06}", PIECE, "etag", 0.0)

    def get(self, key: str) -> bytes:
        self.reads += 1
        first = int(key[-6:]) * PER_PIECE
        return b"".join(LINE % number for number in range(first, first + PER_PIECE))


@pytest.fixture
def store() -> LongLog:
    return LongLog()


@pytest.fixture
def reader(store: LongLog) -> Any:
    access = SimpleNamespace(open=lambda *_: (store, Bucket("p", "team", "uid-of-team")))
    return SimpleNamespace(bucket=lambda _: access, note=print)


@pytest.fixture
def run() -> SeenTaskRun:
    attempt = {"number": 1, "cause": "First", "outcome": "Completed", "finishedAt": "2026-01-02T03:04:05Z"}
    return SeenTaskRun(
        {
            "metadata": {"name": "long", "namespace": "team", "uid": "uid-of-long"},
            "spec": {},
            "status": {"state": "Completed", "attemptsTotal": 1, "attempts": [attempt]},
        }
    )


def peak(work: Any) -> int:
    """Bytes that the work had at its worst moment."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_its_end_is_read_without_the_rest(store: LongLog, reader: Any, run: SeenTaskRun) -> None:
    lines = log_sources.tail(reader, run, 1, 500)
    assert lines == [(LINE % number).rstrip() for number in range(PIECES * PER_PIECE - 500, PIECES * PER_PIECE)]
    assert store.reads == -(-501 // PER_PIECE)


def test_all_of_it_passes_in_little_memory(store: LongLog, reader: Any, run: SeenTaskRun) -> None:
    counts = []
    used = peak(lambda: counts.append(sum(1 for _ in log_sources.read(reader, run, 1))))
    assert counts == [PIECES * PER_PIECE]
    assert store.reads == PIECES
    assert used < 4 * 1024 * 1024
