"""The last words are those of the run's own pod: a log is read by name, and a name can be taken by anybody."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from tests.support.builders import pod, run_object
from tests.support.fake_api import FakeApi, Object

from podtask.core.api.names import Ended
from podtask.core.api.status import Attempt, Status
from podtask.core.storage import ObjectInfo, StoreUnavailable
from podtask.core.storage.layout import Bucket
from podtask.core.storage.log_tail import sentences
from podtask.core.storage.memory import MemoryStore
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.log_tail import LogTail
from podtask_operator.storage.objects import Objects
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun

START = datetime(2030, 1, 1, tzinfo=timezone.utc)
RUN = TaskRun.parse(run_object())
KEY = Key(RUN.namespace, RUN.name)
KEYS = Bucket("prefix", RUN.namespace).attempt(RUN.uid, 1)
KILLED = {"terminated": {"exitCode": 137, "startedAt": "2030-01-01T00:00:00Z"}}
OURS = pod({"phase": "Failed"}, state=KILLED)
FOREIGN = pod(metadata={"uid": "foreign", "ownerReferences": []})


class Logs(FakeApi):
    """Has one log under the pod's name, and notes who reads it."""

    def __init__(self, live: Object | None) -> None:
        super().__init__()
        self.live = live

    async def pod_log(self, *_: Any) -> bytes:
        self.calls.append("log")
        return b"printed by the pod of that name\n"

    async def get_pod(self, *_: Any) -> Object | None:
        return self.live


def tailed(api: Logs, store: MemoryStore, *held: Object) -> None:
    """Attempt 1 has ended after it had started."""
    cluster = ClusterCache()
    for one in held:
        cluster.put_pod(one)
    attempt = Attempt(1, started_at=START, outcome=Ended.FAILED)
    judged = replace(Status(), attempts=(attempt,))
    asyncio.run(LogTail(api, cluster, Objects(store, "prefix")).keep(KEY, RUN, judged))  # type: ignore[arg-type]


def kept(api: Logs, *held: Object) -> bytes:
    """The last chunk of attempt 1."""
    store = MemoryStore()
    tailed(api, store, *held)
    return store.get(KEYS.log_tail)


def test_the_log_of_the_runs_own_pod_is_kept() -> None:
    assert kept(Logs(OURS), OURS).startswith(b"printed by the pod of that name\n")


@pytest.mark.parametrize("held", [[FOREIGN], []], ids=["held", "not yet seen"])
def test_the_log_of_a_foreign_pod_of_that_name_is_never_read(held: list[Object]) -> None:
    api = Logs(FOREIGN)
    assert "the pod is gone" in sentences(kept(api, *held))[0]
    assert not api.calls


def test_a_log_read_while_the_name_changed_hands_is_not_kept() -> None:
    chunk = kept(Logs(FOREIGN), OURS)
    assert b"printed by" not in chunk
    assert "the pod is gone" in sentences(chunk)[0]


class Answered(MemoryStore):
    """Has every outcome, or is away."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error

    def head(self, key: str) -> ObjectInfo | None:
        if self.error is not None:
            raise self.error
        return ObjectInfo(key, 1, "etag", 0.0)


def test_after_an_outcome_there_are_no_last_words_of_a_pod_that_is_gone() -> None:
    store = Answered()
    tailed(Logs(None), store)
    assert list(store.list("")) == []


def test_last_words_that_the_bucket_does_not_take_are_only_told(caplog: pytest.LogCaptureFixture) -> None:
    tailed(Logs(None), Answered(StoreUnavailable("no route")))
    assert "the last words of attempt 1 are not in the bucket: no route" in caplog.text
