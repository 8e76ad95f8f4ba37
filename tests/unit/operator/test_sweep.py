"""The operator's sweep: marks from two lists of the API server, and only in folders that are this cluster's."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.bucket_scene import BUCKET, CLUSTER, LONG_AGO, NOW, OLD, TEAM, YOUNG, Scene, run, uid

from podtask.core.gc import MANY, SETTLE, keep_note
from podtask.core.storage import owner as owners
from podtask.core.storage.layout import Bucket
from podtask.kube.bucket_access import FRESH_SECONDS
from podtask_operator import settings, sweep
from podtask_operator.kube.client import ApiUnavailable
from podtask_operator.kube.pages import FULL_PAGE
from podtask_operator.ownership.mark import Mark, Standing
from podtask_operator.ownership.served import Served
from podtask_operator.settings import Settings
from podtask_operator.storage.owners import Owners
from podtask_operator.sweep import Sweeper


class World:
    """`Api` as far as the sweep asks it, and a bucket; the wait between the two lists takes no time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scene = Scene()
        self.runs: list[dict[str, Any]] = []
        self.namespaces = {"team": TEAM, "kube-system": CLUSTER}
        self.lists: list[str | None] = []
        self.waits: list[float] = []
        self.cut_off = 0
        """The list that is cut off after its first page."""
        self.fence: Callable[[], bool] = lambda: True
        self.served = Served()
        self.meanwhile: Callable[[], object] = lambda: None
        """What happens during the wait."""
        sleep = asyncio.sleep

        async def wait(seconds: float) -> None:
            self.waits.append(seconds)
            self.meanwhile()
            await sleep(0)

        monkeypatch.setattr(sweep.asyncio, "sleep", wait)
        monkeypatch.setattr("podtask.core.clock.now", lambda: NOW)

    async def namespace_uid(self, namespace: str) -> str | None:
        return self.namespaces.get(namespace)

    async def list_runs(self, namespace: str | None, *, page: int) -> AsyncIterator[dict[str, Any]]:
        assert page == FULL_PAGE
        self.lists.append(namespace)
        for obj in self.runs:
            yield obj
        if len(self.lists) == self.cut_off:
            raise ApiUnavailable("the second page did not come")

    def once(self, *namespaces: str, **how: Any) -> tuple[int, int]:
        api: Any = self
        store = self.scene.store
        asked = Settings("s3://bucket/clusters/one", namespaces=namespaces)
        known = Owners(api, store, BUCKET.prefix, deletions=lambda _: 0, home="podtask-system")
        self.scene.at = NOW
        return asyncio.run(Sweeper(api, store, BUCKET.prefix, asked, known, self.served).once(**how))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def refused(why: str) -> float:
    """The metric."""
    return float(sweep.metrics.SWEEP_REFUSED.labels(why)._value.get())


def test_what_no_taskrun_names_is_removed_and_counted(world: World) -> None:
    keys = world.scene.attempt(1)
    assert world.once("team", dry_run=True) == (4, 16)
    assert (world.scene.held(), world.waits) == (keys, [])
    assert world.once("team") == (4, 16)
    assert (world.scene.held(), world.waits) == (set(), [SETTLE.total_seconds()])
    assert set(world.lists) == {"team"}
    assert world.once("team") == (0, 0)
    assert len(world.waits) == 1, "nothing is waited for where nothing would go"


def test_what_a_taskrun_names_stays(world: World) -> None:
    world.scene.attempt(1)
    world.runs = [run(1)]
    assert world.once("team") == (0, 0)


def test_what_a_taskrun_names_by_the_second_list_stays(world: World) -> None:
    """A hit whose entry was replaced before the bucket was listed: only the status names the result."""
    keys = world.scene.attempt(1)
    hit = run(2, {"result": {"sourceUID": uid(1)}})
    world.meanwhile = lambda: world.runs.append(hit)
    assert world.once("team") == (0, 0)
    assert (world.scene.held(), world.lists) == (keys, ["team", "team"])


@pytest.mark.parametrize("number", [1, 2])
def test_a_list_that_is_cut_off_removes_nothing(world: World, number: int) -> None:
    keys = world.scene.attempt(1)
    world.cut_off = number
    with pytest.raises(ApiUnavailable):
        world.once("team")
    assert world.scene.held() == keys


def test_an_operator_that_lost_its_lease_removes_and_writes_nothing(world: World) -> None:
    world.scene.attempt(1)
    other = Bucket(BUCKET.prefix, "other")
    world.namespaces["other"] = "uid-of-other"
    world.scene.put(other.attempt(uid(2), 1).result)
    before = world.scene.held()
    world.fence = lambda: False
    assert world.once() == (0, 0)
    assert world.scene.held() == before


def test_a_namespace_that_another_release_works_in_is_left_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    keys, before = world.scene.attempt(1), refused("release")
    world.served = Served(everything=False)
    world.served.put("team", Mark(Standing.OTHERS, "b/other"))
    assert world.once("team") == (0, 0)
    assert (world.scene.held(), refused("release")) == (keys, before + 1)
    assert "namespace team is not swept: another release works there" in caplog.messages


def test_the_mark_of_a_namespace_is_taken_during_the_wait_or_nothing_goes(world: World) -> None:
    keys = world.scene.attempt(1)
    world.served = Served(everything=False)
    assert world.once("team") == (0, 0), "nobody took it"
    assert world.scene.held() == keys
    world.meanwhile = lambda: world.served.put("team", Mark(Standing.OURS, until=float("inf")))
    assert world.once("team") == (4, 16)


def test_a_folder_of_another_cluster_is_left_alone(world: World, caplog: pytest.LogCaptureFixture) -> None:
    keys = world.scene.attempt(1)
    world.scene.put(BUCKET.owner, owners.dump("uid-elsewhere", "another cluster"), LONG_AGO)
    before = refused("owner")
    assert world.once() == (0, 0)
    assert (world.scene.held(), world.waits) == (keys, [])
    assert refused("owner") == before + 1
    assert "namespace team is not swept: The folder of namespace 'team' in this bucket belongs to" in caplog.text
    assert "podtask bucket adopt --namespace team" in caplog.text


def test_a_folder_that_somebody_adopts_meanwhile_is_left_alone(world: World) -> None:
    keys = world.scene.attempt(1)
    world.meanwhile = lambda: world.scene.put(BUCKET.owner, owners.dump("uid-elsewhere", None), timedelta())
    assert world.once() == (0, 0)
    assert world.scene.held() == keys


def test_a_folder_without_a_mark_is_marked_and_nothing_that_is_in_it_goes_for_a_month(world: World) -> None:
    keys = world.scene.attempt(1)
    world.scene.store.delete(BUCKET.owner)
    assert world.once(dry_run=True) == (0, 0)
    assert world.scene.store.head(BUCKET.owner) is None, "a dry run writes nothing"
    assert world.once() == (0, 0)
    assert json.loads(world.scene.store.get(BUCKET.owner))["namespaceUID"] == TEAM
    assert world.once() == (0, 0)
    assert world.scene.held() == keys


def test_what_a_deleted_namespace_left_goes_and_its_live_entries_too(world: World) -> None:
    keys = world.scene.attempt(1) | {world.scene.entry("k", 1)}
    kept = world.scene.attempt(2) | {world.scene.put(BUCKET.keep(uid(2)), keep_note(NOW + OLD))}
    assert world.once() == (0, 0)
    del world.namespaces["team"]
    assert world.once(dry_run=True)[0] == len(keys)
    assert world.once()[0] == len(keys)
    assert world.scene.held() == kept, "resultRetentionSeconds outlives the namespace"


def test_a_namespace_that_comes_back_meanwhile_keeps_what_is_new_in_it(world: World) -> None:
    keys = world.scene.attempt(1)
    world.scene.entry("k", 1)
    del world.namespaces["team"]
    anew = replace(BUCKET, namespace_uid="uid-of-team-made-anew")

    def made_anew() -> None:
        world.namespaces["team"] = "uid-of-team-made-anew"
        world.runs.append(run(9))
        world.scene.attempt(9, age=timedelta())
        world.scene.entry("k", 9, age=timedelta(), bucket=anew)

    world.meanwhile = made_anew
    assert world.once() == (0, 0), "the folder is marked for a namespace that is no more; the next sweep takes it over"
    assert keys <= world.scene.held()


def test_what_a_namespace_left_that_was_made_anew_goes_after_a_month(world: World) -> None:
    """400 days after, the entry of the old tenant kept its result, and the new tenant had it."""
    world.scene.attempt(1, age=timedelta(days=35))
    world.scene.entry("k", 1, age=timedelta(days=35))
    world.namespaces["team"] = "uid-of-team-made-anew"
    assert world.once() == (0, 0)
    mark = world.scene.store.get(BUCKET.owner)
    assert json.loads(mark)["namespaceUID"] == "uid-of-team-made-anew"
    world.scene.put(BUCKET.owner, mark, timedelta(days=31))
    assert world.once()[0] == 5
    assert world.scene.held() == set()


@pytest.mark.parametrize("cluster", [None, "another cluster"])
def test_a_folder_of_no_namespace_is_left_alone_unless_it_is_marked_as_this_clusters(
    world: World, cluster: str | None
) -> None:
    keys = world.scene.attempt(1)
    world.scene.put(BUCKET.owner, owners.dump(TEAM, cluster), LONG_AGO)
    del world.namespaces["team"]
    assert world.once() == (0, 0)
    assert world.scene.held() == keys


def test_folders_that_are_no_namespaces_are_not_touched(world: World) -> None:
    for key in ("readme", ".grants/team/x", "UPPER/runs/x", f"gone/runs/{uid(1)}/1/result", "a/b"):
        world.scene.put(f"{BUCKET.prefix}/{key}", age=LONG_AGO)
    before = world.scene.held()
    assert world.once() == (0, 0)
    assert world.scene.held() == before


def many(world: World, age: timedelta = OLD) -> set[str]:
    """More runs than one would expect to go."""
    return {world.scene.put(BUCKET.attempt(uid(n), 1).result, age=age) for n in range(1, MANY + 2)}


def test_where_most_runs_would_go_the_sweep_stops_says_so_and_goes_on_when_it_is_allowed_to(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    keys, before = many(world), refused("many")
    assert world.once() == (0, 0)
    assert world.scene.held() == keys | {BUCKET.sweep_stopped}
    assert refused("many") == before + 1
    sentence = (
        f"namespace team is not swept: {MANY + 1} of {MANY + 1} runs that namespace 'team' has in the bucket would go, "
        f"because no TaskRun and no cache entry names them. Look at them: podtask gc -n team --dry-run; if it is "
        f"right, podtask gc -n team --allow-most. If nobody does, the sweep does it after 2026-02-09"
    )
    assert sentence in caplog.text
    assert world.once(dry_run=True)[0] == MANY + 1, "it is there to be looked at"
    assert world.once(allow_most=True)[0] == MANY + 1
    assert world.scene.held() == {BUCKET.sweep_stopped}
    world.once()
    assert world.scene.held() == set(), "the note goes with the next sweep"


@pytest.mark.parametrize(("days", "goes"), [(29, False), (30, True)])
def test_a_stop_that_nobody_minds_is_over_after_a_month(world: World, days: int, goes: bool) -> None:
    keys = many(world, timedelta(days=40))
    world.scene.put(BUCKET.sweep_stopped, age=timedelta(days=days))
    assert world.once()[0] == (len(keys) if goes else 0)


def test_another_namespace_is_swept_although_one_stops(world: World) -> None:
    many(world)
    other = Bucket(BUCKET.prefix, "other")
    world.namespaces["other"] = "uid-of-other"
    world.scene.put(other.owner, owners.dump("uid-of-other", None), LONG_AGO)
    world.scene.put(other.attempt(uid(1), 1).result)
    assert world.once()[0] == 1


def test_few_runs_go_although_they_are_all(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for number in range(MANY):
        world.scene.put(BUCKET.attempt(uid(number), 1).result)
    assert world.once()[0] == MANY
    assert f"{MANY} objects ({MANY * 4} bytes) that nobody needs were removed from the bucket" in caplog.text


def test_what_is_young_stays(world: World) -> None:
    world.scene.attempt(1, age=YOUNG)
    assert world.once() == (0, 0)


NEEDED = {settings.STORE: "s3://bucket", settings.RUNNER_IMAGES: '{"3.11": "image"}'}


@pytest.mark.parametrize("hours", ["0", "12.9", "-1", "nan"])
def test_hours_that_would_remove_what_clients_still_count_on_are_refused_with_the_cure(hours: str) -> None:
    with pytest.raises(settings.SettingsError, match=r"PODTASK_SWEEP_SPARE_HOURS must be at least 13, .*spareHours"):
        settings.load({**NEEDED, settings.SWEEP_SPARE_HOURS: hours})


def test_the_least_that_is_spared_is_more_than_clients_count_on_and_what_the_chart_takes() -> None:
    least = settings.load({**NEEDED, settings.SWEEP_SPARE_HOURS: "13"}).sweep_spare_hours
    assert least * 3600 > FRESH_SECONDS
    schema = json.loads((Path(__file__).parents[3] / "charts/podtask/values.schema.json").read_text())
    assert schema["properties"]["sweep"]["properties"]["spareHours"]["minimum"] == least


def test_grants_go_when_nobody_can_use_their_urls(world: World) -> None:
    dead, live = (
        world.scene.put(f"{Bucket(BUCKET.prefix, 'team').grants(uid(n), 1)}1", age=timedelta(days=age))
        for n, age in ((1, 9), (2, 7))
    )
    other = world.scene.put(f"{Bucket(BUCKET.prefix, 'other').grants(uid(3), 1)}1", age=timedelta(days=9))
    assert world.once("team", dry_run=True) == (1, 4)
    assert world.scene.held() == {dead, live, other}
    assert world.once("team") == (1, 4)
    assert world.scene.held() == {live, other}
    world.fence = lambda: False
    assert world.once() == (0, 0)
    world.fence = lambda: True
    assert world.once() == (1, 4)
    assert world.scene.held() == {live}
