"""Why a miss was one, told by the operator: kept in memory and in the bucket, and nothing of it for a hit."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import Any

import pytest
from tests.support.builders import run_object

from podtask.core.api.status import ResultInfo
from podtask.core.cache.entry import Components
from podtask.core.cache.explain import Compared
from podtask.core.lifecycle.model import Publish
from podtask.core.storage import StoreUnavailable
from podtask.core.storage.memory import MemoryStore
from podtask_operator.storage.objects import Objects
from podtask_operator.task_runs.cache_key import Composed
from podtask_operator.task_runs.parse import TaskRun

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
DIGEST = "a" * 64


class Bucket(MemoryStore):
    """Writes down what is asked of it: `get recent`, `put cache`."""

    def __init__(self) -> None:
        super().__init__(fault=self._note)
        self.asked: list[str] = []
        self.broken = False

    def _note(self, verb: str, key: str, when: str) -> None:
        if when == "before":
            self.asked.append(f"{verb} {key.split('/')[2]}")
            if self.broken and "/recent/" in key:
                raise StoreUnavailable("down")


def composed(**arguments: int) -> Composed:
    values = {name: f"h1:{value}" for name, value in arguments.items()}
    return Composed("k1:" + repr(arguments), Components("h1:code", values, "img"), task="train")


def store(bucket: Bucket, objects: Objects, name: str, what: Composed) -> None:
    run = TaskRun.parse(run_object(name=name, metadata={"uid": f"uid-{name}"}))
    bucket.put(f"p/{run.namespace}/runs/uid-{name}/1/result", b"12345")
    result = ResultInfo(DIGEST, 5, "json", attempt=1)
    asyncio.run(objects.publish(run, Publish(what.key or "", result, None), what, NOW))


def why(objects: Objects, what: Composed) -> Any:
    namespace = TaskRun.parse(run_object()).namespace
    return asyncio.run(objects.why_missed(namespace, what))


EXPLAINED = Compared("Compared with 'first': argument `rows` changed; code and image the same.", "first")


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def test_a_miss_is_compared_with_what_was_stored_also_after_a_restart(bucket: Bucket) -> None:
    objects = Objects(bucket, "p")
    store(bucket, objects, "first", composed(rows=1))
    for serving in (objects, Objects(bucket, "p")):
        assert why(serving, composed(rows=2)) == EXPLAINED
        assert why(serving, composed(rows=1)) is None
        assert why(serving, Composed("a key of one's own")) is None


def test_the_bucket_is_asked_once_per_task_and_a_hit_asks_nothing_more_than_its_entry(bucket: Bucket) -> None:
    store(bucket, Objects(bucket, "p"), "first", composed(rows=1))
    objects = Objects(bucket, "p")
    bucket.asked.clear()
    for rows in (2, 3, 4):
        why(objects, composed(rows=rows))
    assert bucket.asked == ["get recent"]
    bucket.asked.clear()
    namespace = TaskRun.parse(run_object()).namespace
    found = asyncio.run(objects.lookup(namespace, composed(rows=1).key or "", NOW))
    assert found.entry is not None
    assert bucket.asked == ["get cache", "head runs"]


def test_a_bucket_that_fails_here_keeps_no_run_from_its_end(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    objects = Objects(bucket, "p")
    bucket.broken = True
    store(bucket, objects, "first", composed(rows=1))
    assert why(objects, composed(rows=2)) == EXPLAINED
    assert why(Objects(bucket, "p"), composed(rows=2)) is None
    assert [record.message for record in caplog.records] == [
        "a cache miss cannot be explained: down",
        "later misses may not be compared with first: down",
        "a cache miss cannot be explained: down",
    ]
