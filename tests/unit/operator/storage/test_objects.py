"""The operator reads what pods and users wrote: no more of it than one of ours can have, whatever they called it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.support.builders import run_object

from podtask.core import clock
from podtask.core.cache.entry import POINTER_LIMIT
from podtask.core.storage.base import ObjectInfo
from podtask.core.storage.layout import Bucket
from podtask.core.storage.memory import MemoryStore
from podtask_operator.storage.objects import OUTCOME_LIMIT, Objects
from podtask_operator.task_runs.parse import TaskRun
from podtask_runner.protocol import Outcome, Verdict, dump_outcome

RUN = TaskRun.parse(run_object())
KEYS = Bucket("prefix", RUN.namespace).attempt(RUN.uid, 1)
SAID = dump_outcome(Outcome(Verdict.CRASHED))


class Watched(MemoryStore):
    """Knows how much was asked for, and lists what is not stored."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[int | None] = []
        self.odd: list[ObjectInfo] = []

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        self.limits.append(limit)
        return super().get(key, limit=limit)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return iter(sorted([*super().list(prefix), *self.odd], key=lambda info: info.key))


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
    assert store.limits == [POINTER_LIMIT + 1]


@pytest.mark.parametrize("name", ["..", "a/b", "000001\n", "x", "0000001"])
def test_the_end_of_a_log_is_that_of_the_runners_chunks_whatever_else_a_pod_stored_there(
    store: Watched, name: str
) -> None:
    store.put(KEYS.log + "000001", b"printed")
    store.odd = [ObjectInfo(KEYS.log + name, 10, "e", 0.0)]
    assert asyncio.run(Objects(store, "prefix").end_of_log(RUN, 1)) == b"printed"
    assert None not in store.limits
