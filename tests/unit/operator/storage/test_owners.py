"""Whose folder it is, for the operator: a namespace made anew has another cache, and strangers are left alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import datetime, timezone
from typing import Any

import pytest
from tests.support.fake_api import FakeApi

from podtask.core.storage import StoreUnavailable
from podtask.core.storage.base import NotStored
from podtask.core.storage.layout import Bucket
from podtask.core.storage.memory import MemoryStore
from podtask.core.storage.owner import dump
from podtask_operator.kube.client import ApiError, ApiUnavailable
from podtask_operator.storage import owners
from podtask_operator.storage.calls import FIRST_PAUSE, StoreCalls
from podtask_operator.storage.owners import AGAIN_SECONDS, FRESH_SECONDS, Owners

BUCKET = Bucket("prefix", "team")
FIRST, ANEW, CLUSTER = "uid-of-team", "uid-of-team-made-anew", "uid-of-cluster"


class World:
    """An API server, a bucket, a clock, and how many TaskRuns are gone."""

    def __init__(self) -> None:
        self.api: Any = FakeApi()
        self.store = MemoryStore(clock=lambda: datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp())
        self.time = 0.0
        self.gone = 0
        self.asked: list[str] = []
        self.answer: Callable[[str], str | None] = self.api.namespaces.get
        self.api.namespace_uid = self._namespace_uid
        calls = StoreCalls(lambda: self.time)
        self.owners = Owners(
            self.api,
            self.store,
            "prefix",
            deletions=lambda _: self.gone,
            home="home",
            calls=calls,
            clock=lambda: self.time,
        )

    async def _namespace_uid(self, namespace: str) -> str | None:
        self.asked.append(namespace)
        return self.answer(namespace)

    async def uid(self) -> str | None:
        """What is in the keys of the cache; None while it is off."""
        bucket, off = await self.owners.cache_bucket("team")
        assert (bucket.namespace_uid is None) == (off is not None)
        return bucket.namespace_uid

    async def off(self) -> str:
        return str((await self.owners.cache_bucket("team"))[1])

    def mark(self) -> Any:
        try:
            return json.loads(self.store.get(BUCKET.owner))
        except NotStored:
            return None


def asynchronous(test: Callable[[World], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        async def body() -> None:
            await test(World())

        asyncio.run(body())

    run.__name__ = test.__name__
    return run


@asynchronous
async def test_the_first_use_marks_the_folder_and_others_ask_nobody(world: World) -> None:
    assert await world.uid() == FIRST
    assert world.mark() == {"v": 1, "namespaceUID": FIRST, "clusterUID": CLUSTER}
    asked = len(world.asked)
    assert await world.uid() == FIRST
    assert len(world.asked) == asked


@asynchronous
async def test_a_namespace_made_anew_never_has_the_cache_of_the_one_before(world: World) -> None:
    assert await world.uid() == FIRST
    world.api.namespaces["team"] = ANEW
    world.gone += 1  # its TaskRuns went before it did
    assert await world.uid() == ANEW
    assert world.mark()["namespaceUID"] == ANEW, "the cluster is the same, so nobody needs to adopt the folder"


@asynchronous
async def test_a_deletion_while_the_uid_is_asked_for_is_not_overlooked(world: World) -> None:
    def meanwhile(namespace: str) -> str | None:
        if namespace == "team" and not world.gone:
            world.gone += 1
            world.api.namespaces["team"] = ANEW
            return FIRST
        return world.api.namespaces.get(namespace)

    world.answer = meanwhile
    assert await world.uid() == FIRST
    assert await world.uid() == ANEW


@asynchronous
async def test_after_a_deletion_in_the_same_namespace_only_its_uid_is_asked_for(world: World) -> None:
    await world.uid()
    reads: list[str] = []
    world.store.fault = lambda verb, key, when: reads.append(key)
    world.gone += 1
    asked = len(world.asked)
    assert await world.uid() == FIRST
    assert (world.asked[asked:], reads) == (["team"], [])


@asynchronous
async def test_a_folder_of_another_cluster_has_no_cache_until_it_is_adopted(world: World) -> None:
    world.store.put(BUCKET.owner, dump("uid-elsewhere", "another cluster"))
    assert "belongs to the namespace with UID uid-elsewhere" in await world.off()
    assert world.mark()["namespaceUID"] == "uid-elsewhere"
    world.store.put(BUCKET.owner, dump(FIRST, None))
    world.time += FRESH_SECONDS
    assert await world.uid() == FIRST


@asynchronous
async def test_a_folder_that_is_taken_away_has_no_cache_soon(world: World) -> None:
    assert await world.uid() == FIRST
    world.store.put(BUCKET.owner, dump("uid-elsewhere", None))
    world.time += FRESH_SECONDS
    assert "podtask bucket adopt --namespace team" in await world.off()


@asynchronous
async def test_where_kube_system_may_not_be_read_the_own_namespace_stands_for_the_cluster(world: World) -> None:
    def narrow(namespace: str) -> str | None:
        if namespace == "kube-system":
            raise ApiError(403, "Forbidden", "namespaces is forbidden")
        return {"team": FIRST, "home": "uid-of-home"}.get(namespace)

    world.answer = narrow
    assert await world.uid() == FIRST
    assert world.mark()["clusterUID"] == "uid-of-home"


@asynchronous
async def test_rights_of_an_older_chart_turn_the_cache_off_and_say_so(world: World) -> None:
    def forbidden(_: str) -> str | None:
        raise ApiError(403, "Forbidden", "namespaces is forbidden")

    world.answer = forbidden
    assert "may not read namespace 'team' (namespaces is forbidden). Upgrade the chart" in await world.off()
    assert world.mark() is None
    world.gone += 1
    assert "Upgrade the chart" in await world.off()


@asynchronous
async def test_rights_that_are_taken_away_are_noticed_and_no_error(world: World) -> None:
    def forbidden(_: str) -> str | None:
        raise ApiError(403, "Forbidden", "namespaces is forbidden")

    await world.uid()
    world.answer, world.gone = forbidden, 1
    assert "Upgrade the chart" in await world.off()


@asynchronous
async def test_a_namespace_that_is_gone_has_no_cache(world: World) -> None:
    del world.api.namespaces["team"]
    assert "No operator has marked" in await world.off()
    world.store.put(BUCKET.owner, dump(FIRST, CLUSTER))
    world.time += FRESH_SECONDS
    assert await world.off() == "There is no namespace 'team' any more."


@asynchronous
async def test_an_operator_that_may_not_write_writes_no_mark(world: World) -> None:
    world.api.fence = lambda: False
    assert "No operator has marked" in await world.off()
    assert world.mark() is None


@asynchronous
async def test_what_is_away_is_an_error_and_not_remembered(world: World) -> None:
    def away(_: str) -> str | None:
        raise ApiUnavailable("away")

    answer, world.answer = world.answer, away
    with pytest.raises(ApiUnavailable):
        await world.off()
    world.answer = answer

    def lost(verb: str, key: str, when: str) -> None:
        raise StoreUnavailable("away")

    world.store.fault = lost
    with pytest.raises(StoreUnavailable):
        await world.off()
    world.store.fault = lambda *_: None
    world.time += FIRST_PAUSE
    assert await world.uid() == FIRST


@asynchronous
async def test_what_is_remembered_of_namespaces_is_bounded(world: World) -> None:
    world.answer = lambda namespace: f"uid-of-{namespace}"
    for number in range(5):
        owners.NAMESPACES_HELD, before = 3, owners.NAMESPACES_HELD
        try:
            await world.owners.cache_bucket(f"team-{number}")
            world.owners.seen(f"team-{number}")
        finally:
            owners.NAMESPACES_HELD = before  # type: ignore[misc]
    assert len(world.owners._held) <= 3
    assert len(world.owners._seen) <= 3


@asynchronous
async def test_a_namespace_in_which_pods_start_is_marked_in_the_background_and_not_each_time(world: World) -> None:
    waiting = world.owners._waiting
    for _ in range(3):
        world.owners.seen("team")
    assert waiting.qsize() == 1
    world.time += FRESH_SECONDS
    world.owners.seen("team")
    assert waiting.qsize() == 1
    world.gone += 1
    world.owners.seen("team")
    assert waiting.qsize() == 2
    world.time += AGAIN_SECONDS
    world.owners.seen("team")
    assert waiting.qsize() == 3


@asynchronous
async def test_the_background_goes_on_after_an_outage(world: World) -> None:
    outages = 1

    def answer(namespace: str) -> str | None:
        nonlocal outages
        if outages:
            outages -= 1
            raise ApiUnavailable("away")
        return world.api.namespaces.get(namespace)

    world.answer = answer
    pause, owners.PAUSE_SECONDS = owners.PAUSE_SECONDS, 0.0  # type: ignore[misc]
    marked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stored(verb: str, key: str, when: str) -> None:
        if (verb, when) == ("put", "after"):
            loop.call_soon_threadsafe(marked.set)

    world.store.fault = stored
    world.owners.seen("team")
    serving = asyncio.create_task(world.owners.run())
    try:
        await asyncio.wait_for(marked.wait(), 30)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        owners.PAUSE_SECONDS = pause  # type: ignore[misc]
    assert world.mark()["namespaceUID"] == FIRST
