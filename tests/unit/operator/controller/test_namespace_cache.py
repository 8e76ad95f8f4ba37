"""The cache belongs to a namespace, not to its name, and only where the bucket's folder is this cluster's."""

from __future__ import annotations

import pytest
from tests.support.bucket_scene import digest
from tests.support.operator_world import CACHED, NOW, World, reconciling

from podtask.core.api.status import ResultInfo
from podtask.core.cache.entry import CacheEntry, Producer
from podtask.core.storage.layout import Bucket
from podtask.core.storage.owner import dump
from podtask_operator.task_runs.key import Key

PRODUCER = "11111111-0000-4000-8000-000000000001"
FIRST = Bucket("prefix", "team", namespace_uid="uid-of-team")


def stored(world: World) -> None:
    """A run of the namespace, long gone, left an entry without an end."""
    etag = world.store.put(FIRST.attempt(PRODUCER, 1).result, b"old")
    result = ResultInfo(digest("old"), 3, "cloudpickle")
    entry = CacheEntry("k", result, etag, Producer("gone", PRODUCER, 1), NOW)
    world.store.put(FIRST.cache("k"), entry.dump())


@reconciling
async def test_an_entry_is_a_hit_in_its_own_namespace(world: World) -> None:
    stored(world)
    world.add("hit", CACHED)
    await world.look("hit")
    assert world.status("hit")["state"] == "Cached"


@reconciling
async def test_a_namespace_made_anew_inherits_no_entry(world: World) -> None:
    stored(world)
    world.add("hit", CACHED)
    await world.look("hit")
    del world.api.runs["hit"]
    world.cluster.forget_run(Key("team", "hit"))
    world.api.namespaces["team"] = "uid-of-the-next-team"
    world.add("anew", CACHED)
    await world.look("anew")
    assert world.status("anew")["cache"]["outcome"] == "Miss"
    assert world.status("anew")["cache"]["missReason"] == "There is no entry for this key."
    assert "anew-1" in world.api.pods


@reconciling
async def test_a_run_that_took_the_name_of_one_before_counts_as_a_deletion(world: World) -> None:
    stored(world)
    world.add("same", CACHED, uid="uid-1")
    await world.look("same")
    world.api.namespaces["team"] = "uid-of-the-next-team"
    world.add("same", CACHED, uid="uid-2")  # the watch missed the deletion
    await world.look("same")
    assert world.status("same")["cache"]["outcome"] == "Miss"


@reconciling
async def test_in_a_folder_of_another_cluster_runs_start_and_the_cache_is_off(world: World) -> None:
    stored(world)
    world.store.put(FIRST.owner, dump("uid-elsewhere", "another cluster"))
    before = {info.key for info in world.store.list("")}
    world.add("run", CACHED)
    await world.look("run")
    assert "run-1" in world.api.pods
    cache = world.status("run")["cache"]
    assert cache["outcome"] == "Off"
    assert cache["missReason"].endswith("run: podtask bucket adopt --namespace team")
    assert len(cache["missReason"]) < 1024
    assert {info.key for info in world.store.list("")} == before


@reconciling
async def test_a_pod_that_starts_has_its_namespace_marked(world: World) -> None:
    world.add("plain")
    await world.look("plain")
    assert "plain-1" in world.api.pods
    assert world.owners._waiting.get_nowait() == "team"


@pytest.mark.parametrize("count", [1, 3])
def test_every_run_that_goes_makes_another_number_for_its_namespace_alone(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podtask_operator.controller.cluster_cache.NAMESPACES_HELD", count)
    cluster = World().cluster
    names = [f"team-{number}" for number in range(6)]
    for _ in range(3):
        for gone in names:
            before = {name: cluster.deletions(name) for name in names}
            cluster.forget_run(Key(gone, "x"))
            assert cluster.deletions(gone) != before[gone]
            assert cluster.deletions(gone) > max(before.values())
    assert len(cluster._last_gone) <= count
