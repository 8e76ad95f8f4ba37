"""The sweep: what a status, a live cache entry or a note names stays, what is young stays, the rest goes."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tests.support.bucket_scene import BUCKET, NOW, OLD, TEAM, YOUNG, Scene, digest, run, uid

from podtask.core.api.names import State
from podtask.core.api.status import ResolvedInput, ResultInfo, Status
from podtask.core.cache.entry import POINTER_LIMIT
from podtask.core.gc import MANY, NOTE_LIMIT, keep_note
from podtask.core.storage import owner as owners
from podtask.core.storage.base import ObjectInfo
from podtask.core.storage.layout import Bucket
from podtask.core.storage.memory import MemoryStore


class Anything(MemoryStore):
    """A bucket that also lists an object that no store of ours would have written."""

    def __init__(self, store: MemoryStore, odd: ObjectInfo) -> None:
        super().__init__()
        self._objects = {info.key: (b"", info) for info in store.list("")}
        self._odd = odd

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return iter(sorted([*super().list(prefix), self._odd], key=lambda info: info.key))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_objects_of_a_run_that_exists_stay_and_those_of_one_that_is_gone_go(scene: Scene) -> None:
    kept, gone = scene.attempt(1), scene.attempt(2)
    assert scene.swept(run(1)) == gone
    assert scene.held() == kept


def test_checkpoints_stay_and_go_with_their_run(scene: Scene) -> None:
    kept, gone = (
        scene.attempt(number) | {scene.put(BUCKET.checkpoint(uid(number), attempt, slot)) for slot in (0, 1)}
        for number, attempt in ((1, 1), (2, 12))
    )
    assert scene.swept(run(1)) == gone
    assert scene.held() == kept


def test_a_run_that_saved_a_checkpoint_a_moment_ago_is_under_way(scene: Scene) -> None:
    kept = scene.attempt(1) | {scene.put(BUCKET.checkpoint(uid(1), 1, 0), age=YOUNG)}
    assert scene.swept() == set()
    assert scene.held() == kept


def test_a_run_whose_result_another_one_has_from_the_cache_stays(scene: Scene) -> None:
    kept = scene.attempt(1)
    assert scene.swept(run(2, {"result": {"digest": digest("x"), "sourceUID": uid(1)}})) == set()
    assert scene.held() == kept


def test_a_run_that_a_status_names_as_the_operator_writes_it_stays(scene: Scene) -> None:
    kept = scene.attempt(1) | scene.attempt(2) | scene.attempt(3)
    result = ResultInfo(digest("x"), 1, "json", attempt=1, source_uid=uid(1))
    inputs = (ResolvedInput("up", uid(2), 1, digest("x"), source_uid=uid(3)),)
    status = Status(State.CACHED, result=result, inputs=inputs)
    written = TypeAdapter(Status).dump_python(status, mode="json", by_alias=True, exclude_none=True)
    assert scene.swept(run(4, written)) == set()
    assert scene.held() == kept


def test_a_run_whose_result_is_an_input_stays(scene: Scene) -> None:
    kept = scene.attempt(1) | scene.attempt(2)
    inputs = [{"taskRun": "up", "uid": uid(1), "sourceUID": uid(2), "digest": digest("x")}]
    assert scene.swept(run(3, {"inputs": inputs})) == set()
    assert scene.held() == kept


def test_code_and_inputs_stay_as_long_as_a_run_names_them(scene: Scene) -> None:
    kept = [scene.put(BUCKET.blob(digest(name))) for name in ("code", "inputs")]
    gone = scene.put(BUCKET.blob(digest("nobody's")))
    spec = {"task": {"code": {"digest": digest("code")}}, "inputs": {"digest": digest("inputs"), "size": 4}}
    assert scene.swept(run(1, spec=spec)) == {gone}
    assert scene.held() == set(kept)


def test_a_live_cache_entry_keeps_its_producer_and_an_expired_one_goes_with_it(scene: Scene) -> None:
    live, over = scene.attempt(1), scene.attempt(2)
    for_ever, expired = scene.entry("a", 1), scene.entry("b", 2, expires=-OLD)
    assert scene.swept() == over | {expired}
    assert scene.held() == live | {for_ever}


def test_an_entry_that_expired_a_moment_ago_may_just_have_been_hit(scene: Scene) -> None:
    kept = scene.attempt(1) | {scene.entry("a", 1, expires=-timedelta(minutes=1))}
    assert scene.swept() == set()
    assert scene.held() == kept


def test_an_entry_that_cannot_be_read_goes(scene: Scene) -> None:
    gone = scene.put(BUCKET.cache("a"), b"not a pointer")
    assert scene.swept() == {gone}


def test_an_entry_that_lies_under_another_key_goes_and_keeps_no_run(scene: Scene) -> None:
    kept, over = scene.attempt(1) | {scene.entry("a", 1)}, scene.attempt(2)
    misplaced = scene.put(BUCKET.cache("b"), scene.store.get(scene.entry("c", 2)))
    scene.store.delete(BUCKET.cache("c"))
    assert scene.swept() == over | {misplaced}
    assert scene.held() == kept


def test_the_last_runs_of_a_task_are_remembered_for_a_month(scene: Scene) -> None:
    scene.put(BUCKET.recent("daily"), age=timedelta(days=29))
    forgotten = scene.put(BUCKET.recent("once"), age=timedelta(days=31))
    assert scene.swept() == {forgotten}


def test_what_is_younger_than_a_day_stays_whoever_named_it(scene: Scene) -> None:
    blob, entry = scene.put(BUCKET.blob(digest("x")), age=YOUNG), scene.entry("a", 9, expires=-OLD, age=YOUNG)
    run_keys = scene.attempt(1, 1, OLD) | scene.attempt(1, 2, YOUNG)
    assert scene.swept() == set()
    assert scene.held() == run_keys | {blob, entry}


@pytest.mark.parametrize(("until", "stays"), [(NOW + OLD, True), (NOW - YOUNG, False)])
def test_retention_outlives_the_run(scene: Scene, until: datetime, stays: bool) -> None:
    keys = scene.attempt(1) | {scene.put(BUCKET.keep(uid(1)), keep_note(until))}
    assert scene.swept() == (set() if stays else keys)


def test_a_retention_note_that_cannot_be_read_keeps(scene: Scene) -> None:
    scene.attempt(1)
    scene.put(BUCKET.keep(uid(1)), b"?")
    assert scene.swept() == set()


@pytest.mark.parametrize(
    "key",
    [
        "clusters/one/readme",
        "clusters/one/team/other/thing",
        "clusters/one/team/runs/not-a-uid/1/result",
        f"clusters/one/team/runs/{uid(7)}/model.bin",
        "clusters/one/team/blobs/by-hand",
        "clusters/one/team/cache/by-hand.json",
        f"clusters/two/team/runs/{uid(7)}/1/result",
        f"clusters/one-more/team/runs/{uid(7)}/1/result",
    ],
)
def test_what_is_not_of_our_layout_is_never_touched(scene: Scene, key: str) -> None:
    scene.put(key)
    assert scene.swept() == set()


def test_only_the_namespaces_that_were_asked_for_are_swept(scene: Scene) -> None:
    own = scene.attempt(1)
    elsewhere = Bucket("clusters/one", "team-b")
    scene.put(elsewhere.owner, owners.dump("uid-of-team-b", None), age=timedelta(days=99))
    other = scene.put(elsewhere.attempt(uid(2), 1).result)
    assert scene.swept(namespaces=["team"]) == own
    assert scene.held() == {other, elsewhere.owner}
    assert scene.swept() == {other}


def test_a_dry_run_tells_the_same_and_removes_nothing(scene: Scene) -> None:
    before = scene.attempt(1) | {scene.entry("b", 2, expires=-OLD)}
    told = scene.swept(dry_run=True)
    assert scene.held() == before
    assert scene.swept() == told == before


def test_what_was_written_anew_after_it_was_listed_stays(scene: Scene) -> None:
    again = scene.put(BUCKET.blob(digest("sent by a new run")))
    gone = scene.put(BUCKET.recent("once"), age=timedelta(days=31))
    parts = scene.parts()
    scene.put(again, age=YOUNG)
    assert scene.removed(parts) == {gone}
    assert scene.held() == {again}


def test_what_somebody_else_removed_after_it_was_listed_is_not_told_of(scene: Scene) -> None:
    scene.attempt(1)
    scene.put(BUCKET.blob(digest("x")))
    parts = scene.parts()
    for key in scene.held():
        scene.store.delete(key)
    assert [len(part.candidates) for part in parts] == [2]
    assert scene.removed(parts) == set()


@pytest.mark.parametrize("name", ["x", "000001.gz", "a/b", "new\nline", ".."])
def test_no_name_below_log_that_a_pod_chooses_keeps_the_objects_of_its_run(scene: Scene, name: str) -> None:
    keys, odd = scene.attempt(1), BUCKET.attempt(uid(1), 1).log + name
    scene.store = Anything(scene.store, ObjectInfo(odd, 1, "e", (NOW - OLD).timestamp()))
    assert keys <= scene.swept()


def test_a_note_or_an_entry_of_any_size_is_read_within_bounds(scene: Scene) -> None:
    long = keep_note(NOW - OLD) + b" " * NOTE_LIMIT
    kept = scene.attempt(1) | {scene.put(BUCKET.keep(uid(1)), b" " * NOTE_LIMIT + long)}
    entry = scene.put(BUCKET.cache("a"), b" " * POINTER_LIMIT + b"{}")
    assert scene.swept() == {entry}
    assert scene.held() == kept


def test_it_stops_at_once_when_it_may_not_go_on(scene: Scene) -> None:
    scene.attempt(1)
    allowed = iter([True, False])
    assert len(scene.swept(go_on=lambda: next(allowed))) == 1
    assert len(scene.held()) == 3


def test_what_is_older_than_a_young_mark_stays_and_what_is_younger_goes() -> None:
    scene = Scene(owned=timedelta(days=29))
    scene.attempt(1, age=timedelta(days=30))
    scene.entry("a", 9, expires=-OLD, age=timedelta(days=30))
    scene.put(BUCKET.blob(digest("x")), age=timedelta(days=40))
    gone = scene.attempt(2, age=timedelta(days=28))
    assert scene.swept() == gone
    rest = scene.held()
    scene.put(BUCKET.owner, owners.dump(TEAM, None), age=timedelta(days=31))
    assert scene.swept() == rest


def test_without_a_mark_nothing_goes() -> None:
    scene = Scene(owned=None)
    scene.attempt(1)
    scene.put(BUCKET.recent("once"), age=timedelta(days=300))
    scene.put(BUCKET.cache("a"), b"not a pointer")
    assert scene.swept() == set()


@pytest.mark.parametrize("earlier", [None, "66666666-0000-4000-8000-000000000006"])
def test_entries_of_an_earlier_namespace_of_the_name_keep_nothing(scene: Scene, earlier: str | None) -> None:
    before = replace(BUCKET, namespace_uid=earlier)
    gone = scene.attempt(1) | {scene.entry("k", 1, bucket=before), scene.put(before.recent("daily"))}
    kept = scene.attempt(2) | {scene.entry("k", 2), scene.put(BUCKET.recent("daily"))}
    assert scene.swept() == gone
    assert scene.held() == kept


@pytest.mark.parametrize(
    ("existing", "gone", "stops"),
    [(0, MANY, False), (0, MANY + 1, True), (MANY + 1, MANY + 1, False), (MANY, MANY + 1, True), (1000, 999, False)],
)
def test_more_than_half_of_the_runs_and_many_is_too_much(scene: Scene, existing: int, gone: int, stops: bool) -> None:
    for number in range(1, existing + gone + 1):
        scene.put(BUCKET.attempt(uid(number), 1).result)
    (part,) = scene.parts(*(run(number) for number in range(1, existing + 1)))
    assert (part.runs, part.needless_runs) == (existing + gone, gone)
    assert (part.too_much is not None) is stops
    if stops:
        assert f"{gone} of {existing + gone} runs that namespace 'team' has" in str(part.too_much)


def test_a_log_of_very_many_objects_is_never_held_in_memory(scene: Scene) -> None:
    base, alive = BUCKET.attempt(uid(1), 1).log, []

    class Endless(MemoryStore):
        def list(self, prefix: str) -> Iterator[ObjectInfo]:
            made = []
            for number in range(20_000):
                info = ObjectInfo(f"{base}{number:06}", 1, "e", (NOW - OLD).timestamp())
                made.append(weakref.ref(info))
                yield info
            del info
            alive.append(sum(one() is not None for one in made))

    endless = Endless()
    endless._objects = scene.store._objects
    scene.store = endless
    (part,) = scene.parts()
    assert len(part.candidates) == 1
    assert len(scene.removed([part])) == 20_000
    assert len(alive) == 4, "the folder; then the new pointers; then the run, to judge it and to remove it"
    assert max(alive) <= 4


AGES = st.sampled_from([YOUNG, OLD])
RUNS = st.integers(1, 6)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Scene, list[dict[str, Any]], set[str]]:
    """A bucket, the TaskRuns that exist, and the keys that one can get at by following names from them."""
    scene, named = Scene(), set[str]()
    for number in range(1, 7):
        for attempt in range(1, draw(st.integers(1, 3))):
            scene.attempt(number, attempt, draw(AGES))
    blobs = [scene.put(BUCKET.blob(digest(str(n))), age=draw(AGES)) for n in range(4)]
    for name in draw(st.lists(st.sampled_from("abc"), unique=True)):
        producer, expires = draw(RUNS), draw(st.sampled_from([None, OLD, -OLD]))
        pointer = scene.entry(name, producer, expires=expires, age=draw(AGES))
        if expires is None or expires > timedelta():
            named |= {pointer, BUCKET.attempt(uid(producer), 1).result}
    existing = []
    for number in draw(st.sets(RUNS)):
        source, upstream, code = draw(RUNS), draw(RUNS), draw(st.integers(0, 3))
        status = {"result": {"attempt": 1, "sourceUID": uid(source)}, "inputs": [{"uid": uid(upstream), "attempt": 2}]}
        existing.append(run(number, status, {"task": {"code": {"digest": digest(str(code))}}}))
        named |= {key for key in scene.held() if key.startswith(BUCKET.run(uid(number)))}
        named |= {BUCKET.attempt(uid(source), 1).result, BUCKET.attempt(uid(upstream), 2).result, blobs[code]}
    return scene, existing, named


@given(worlds())
def test_nothing_that_is_reachable_or_young_is_ever_removed_and_twice_is_once(
    world: tuple[Scene, list[dict[str, Any]], set[str]],
) -> None:
    scene, existing, named = world
    before = {info.key: info for info in scene.store.list("") if info.key != BUCKET.owner}
    young = {key for key, info in before.items() if info.modified > (NOW - timedelta(days=1)).timestamp()}
    foretold = scene.swept(*existing, dry_run=True)
    removed = scene.swept(*existing)
    assert removed == foretold
    assert removed == before.keys() - scene.held()
    assert not removed & (named | young)
    assert scene.swept(*existing) == set()
