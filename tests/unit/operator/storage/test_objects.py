"""The operator reads what pods and users wrote: no more of it than one of ours can have, whatever they called it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.builders import run_object

from podtask.core import clock
from podtask.core.cache.entry import POINTER_LIMIT
from podtask.core.storage import StoreUnavailable
from podtask.core.storage.layout import Bucket
from podtask.core.storage.memory import MemoryStore
from podtask_operator.storage.fenced import Fenced
from podtask_operator.storage.objects import CHUNKS_READ, LAST_CHUNK, OUTCOME_LIMIT, Objects, last_number
from podtask_operator.task_runs.parse import TaskRun
from podtask_runner.protocol import Outcome, Verdict, dump_outcome

RUN = TaskRun.parse(run_object())
KEYS = Bucket("prefix", RUN.namespace).attempt(RUN.uid, 1)
SAID = dump_outcome(Outcome(Verdict.CRASHED))


class Watched(MemoryStore):
    """Knows how much was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[int | None] = []

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        self.limits.append(limit)
        return super().get(key, limit=limit)


@pytest.fixture
def store() -> Watched:
    return Watched()


def test_an_outcome_of_any_size_is_read_up_to_a_bound_and_not_believed_beyond(store: Watched) -> None:
    objects = Objects(store, "prefix")
    store.put(KEYS.outcome, SAID + b" " * (OUTCOME_LIMIT - len(SAID)))
    assert asyncio.run(objects.outcome(RUN, 1)) == Outcome(Verdict.CRASHED)
    store.put(KEYS.outcome, SAID + b" " * OUTCOME_LIMIT)
    assert asyncio.run(objects.outcome(RUN, 1)) is None
    assert store.limits == [OUTCOME_LIMIT + 1] * 2


def test_a_cache_pointer_of_any_size_is_read_up_to_a_bound_and_dropped(store: Watched) -> None:
    store.put(Bucket("prefix", RUN.namespace).cache("k"), b" " * (POINTER_LIMIT + 1))
    found = asyncio.run(Objects(store, "prefix").lookup(RUN.namespace, "k", clock.now()))
    assert found.dropped
    assert set(store.limits) == {POINTER_LIMIT + 1}


POINTER = Bucket("prefix", RUN.namespace).cache("k")


class Overtaken(MemoryStore):
    """Another entry is written right after the first look at the one that is odd."""

    looks = 0

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        found = super().get(key, limit=limit)
        if key == POINTER:
            self.looks += 1
            if self.looks == 1:
                self.put(key, b"a newer entry")
        return found


def test_an_entry_that_took_the_place_of_the_odd_one_is_not_dropped() -> None:
    store = Overtaken()
    store.put(POINTER, b"odd")
    assert asyncio.run(Objects(store, "prefix").lookup(RUN.namespace, "k", clock.now())).entry is None
    assert store.get(POINTER) == b"a newer entry"


def test_an_odd_entry_that_is_gone_by_itself_is_a_miss() -> None:
    class Vanishing(Overtaken):
        def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
            if self.looks == 1:
                self.delete(key)
                return ""
            return super().put(key, data, if_absent=if_absent)

    store = Vanishing()
    store.put(POINTER, b"odd")
    assert asyncio.run(Objects(store, "prefix").lookup(RUN.namespace, "k", clock.now())).entry is None
    assert list(store.list("")) == []


ODD = [
    {"producer": {"taskRun": "r", "uid": "u", "attempt": 10**300}},
    {"serializer": "x" * 5000},
    {"value": "1" * 100_000},
    {"producer": {"taskRun": "r" * 5000, "uid": "u", "attempt": 1}},
    {"expiresAt": "9999-12-31T23:59:59-14:00"},
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: next(iter(odd)))
def test_whatever_is_odd_about_an_entry_is_a_miss_and_never_a_status_that_is_refused(
    store: Watched, odd: dict[str, Any]
) -> None:
    etag = store.put(Bucket("prefix", RUN.namespace).attempt("u", 1).result, b"1")
    entry = {
        "v": 1, "key": "k", "digest": "ab" * 32, "size": 1, "etag": etag, "serializer": "json",
        "producer": {"taskRun": "r", "uid": "u", "attempt": 1}, "createdAt": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    objects = Objects(store, "prefix")
    store.put(POINTER, json.dumps(entry).encode())
    assert asyncio.run(objects.lookup(RUN.namespace, "k", clock.now())).result is not None
    store.put(POINTER, json.dumps({**entry, **odd}).encode())
    found = asyncio.run(objects.lookup(RUN.namespace, "k", clock.now()))
    assert found.entry is None
    assert found.dropped


def test_who_may_have_lost_the_lease_reads_and_does_not_write(store: Watched, tmp_path: Path) -> None:
    fence = [True]
    fenced = Fenced(store, lambda: fence[0])
    (tmp_path / "file").write_bytes(b"3")
    fenced.put("a", b"1")
    fence[0] = False
    writes: list[Callable[[], object]] = [
        lambda: fenced.put("a", b"2"),
        lambda: fenced.put("b", b"2", if_absent=True),
        lambda: fenced.put_file("c", tmp_path / "file"),
        lambda: fenced.delete("a"),
    ]
    for write in writes:
        with pytest.raises(StoreUnavailable, match="Lease"):
            write()
    assert [info.key for info in fenced.list("")] == ["a"]
    assert fenced.get("a") == b"1"
    assert fenced.head("b") is None
    fenced.download("a", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"1"


@pytest.mark.parametrize("name", ["a.b", "a/b", "x", "0000001", "000003", "900000"])
def test_the_end_of_a_log_is_that_of_the_runners_chunks_whatever_else_a_pod_stored_there(
    store: Watched, name: str
) -> None:
    store.put(KEYS.chunk(1), b"printed")
    store.put(KEYS.log + name, b"something else")
    assert asyncio.run(Objects(store, "prefix").end_of_log(RUN, 1)) == b"printed"
    assert None not in store.limits


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 1000, 999_997, LAST_CHUNK, LAST_CHUNK + 1, 10**9])
def test_the_last_chunk_is_found_by_few_questions_however_many_there_are(count: int) -> None:
    asked: list[int] = []

    def exists(number: int) -> bool:
        asked.append(number)
        return number <= count

    assert last_number(exists) == min(count, LAST_CHUNK)
    assert len(asked) <= 41
    assert max(asked, default=0) <= LAST_CHUNK


def test_a_log_of_crumbs_is_read_to_a_bound(store: Watched) -> None:
    for number in range(1, 2 * CHUNKS_READ):
        store.put(KEYS.chunk(number), b"" if number % 2 else b"x")
    assert asyncio.run(Objects(store, "prefix").end_of_log(RUN, 1)) == b"x" * (CHUNKS_READ // 2)
    assert len(store.limits) == CHUNKS_READ
