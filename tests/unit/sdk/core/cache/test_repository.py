"""The stored cache over every store, what is a hit, a miss, or written: `podtask.core.cache.repository`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cache_cases import DATA, DIGEST, EXPIRED, KEY, NOW, UID, UNUSABLE, Stored

from podtask.core.api.status import ResultInfo
from podtask.core.cache.entry import POINTER_LIMIT, Components
from podtask.core.cache.repository import NO_ENTRY, CacheRepository, Lookup, read_entry
from podtask.core.storage import NotStored, Store, StoreRefused, StoreUnavailable
from podtask.core.storage.layout import Bucket
from podtask.core.storage.memory import MemoryStore

RESULT = ResultInfo(DIGEST, len(DATA), "json", content_hash="h1:x", value=DATA.decode(), attempt=1)
MADE_OF = Components("h1:code", {"rows": "h1:1"}, "img")
ABSENT = Lookup(miss_reason=NO_ENTRY, absent=True)


@pytest.fixture
def stored(store: Store, at: Callable[[str], str]) -> Stored:
    return Stored(store, Bucket(at("prefix"), "team", namespace_uid="uid-of-team"))


def in_memory(store: MemoryStore) -> Stored:
    return Stored(store, Bucket("prefix", "team"))


def look(stored: Stored, key: str = KEY) -> Lookup:
    return CacheRepository(stored.store).lookup(stored.bucket, key, NOW)


def publish(stored: Stored, result: ResultInfo = RESULT, **more: Any) -> str | None:
    """Of an attempt whose result is stored."""
    what = {"task_run": "maker", "uid": UID, "task": "train", "components": MADE_OF, "now": NOW, "expires_at": None}
    repository = more.pop("repository", None) or CacheRepository(stored.store)
    return repository.publish(stored.bucket, more.pop("key", KEY), result, **{**what, **more})  # type: ignore[no-any-return]


class TestHits:
    def test_what_was_published_is_a_hit_with_all_that_its_status_had(self, stored: Stored) -> None:
        stored.store.put(stored.result, DATA)
        assert look(stored) == ABSENT
        assert publish(stored, expires_at=NOW + timedelta(seconds=1)) is None
        found = look(stored)
        assert found.entry is not None
        assert (found.entry.producer.task_run, found.entry.components) == ("maker", MADE_OF)
        assert found.entry.expires_at == NOW + timedelta(seconds=1)
        assert found.result == replace(RESULT, source_uid=UID)
        assert not found.absent
        assert not found.dropped

    def test_a_result_that_is_only_in_the_store_is_a_hit(self, stored: Stored) -> None:
        stored.store.put(stored.result, DATA)
        assert publish(stored, replace(RESULT, value=None, serializer="cloudpickle")) is None
        assert look(stored).result == replace(RESULT, value=None, serializer="cloudpickle", source_uid=UID)

    def test_a_small_result_that_is_no_json_is_a_hit(self, stored: Stored) -> None:
        stored.store.put(stored.result, DATA)
        assert publish(stored, replace(RESULT, value=None, inline="WzEsMl0=")) is None
        found = look(stored).result
        assert found is not None
        assert (found.value, found.inline) == (None, "WzEsMl0=")

    def test_another_namespace_another_key_and_a_namespace_made_anew_have_none_of_it(self, stored: Stored) -> None:
        stored.put()
        assert look(stored).entry is not None
        assert look(stored, "another") == ABSENT
        for elsewhere in (replace(stored.bucket, namespace="other"), replace(stored.bucket, namespace_uid="uid-2")):
            assert look(Stored(stored.store, elsewhere)) == ABSENT


class TestMisses:
    @pytest.mark.parametrize("case", UNUSABLE)
    def test_an_entry_that_nobody_can_use_is_a_miss_once_and_makes_room_for_the_next(
        self, stored: Stored, case: str
    ) -> None:
        UNUSABLE[case].make(stored)
        assert look(stored) == Lookup(miss_reason=UNUSABLE[case].reason, dropped=True)
        assert stored.store.head(stored.place) is None
        assert look(stored) == ABSENT
        stored.store.put(stored.result, DATA)
        assert publish(stored) is None
        assert look(stored).result == replace(RESULT, source_uid=UID)

    def test_an_entry_is_used_up_to_the_moment_it_expires_and_stays_where_it_is(self, stored: Stored) -> None:
        stored.put(expiresAt=(NOW + timedelta(microseconds=1)).isoformat())
        assert look(stored).entry is not None
        for expires in (NOW.isoformat(), (NOW - timedelta(microseconds=1)).isoformat(), EXPIRED):
            stored.put(expiresAt=expires)
            assert look(stored) == Lookup(miss_reason="The entry has expired.")
            assert stored.store.head(stored.place) is not None

    def test_a_copy_of_a_good_entry_under_another_key_is_never_that_key_s_value(self, stored: Stored) -> None:
        stored.put()
        stored.store.put(stored.bucket.cache("another"), stored.store.get(stored.place))
        assert look(stored, "another").entry is None
        assert look(stored, KEY).entry is not None

    @pytest.mark.parametrize("error", [StoreUnavailable("down"), StoreRefused("no")], ids=["unavailable", "refused"])
    @pytest.mark.parametrize("case", ["cut off", "the result is gone"])
    def test_an_entry_that_cannot_be_removed_is_a_miss_all_the_same(
        self, case: str, error: StoreUnavailable, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fault(verb: str, *_: str) -> None:
            if verb == "delete" and armed:
                raise error

        armed = False
        stored = in_memory(MemoryStore(fault=fault))
        UNUSABLE[case].make(stored)
        armed = True
        reason = UNUSABLE[case].reason.removesuffix("; the entry was dropped.")
        assert look(stored) == Lookup(miss_reason=f"{reason}.")
        assert caplog.messages == [f"a cache entry that nobody can use stays where it is: {error}"]

    @pytest.mark.parametrize("verb", ["get", "head"])
    def test_a_store_that_cannot_be_read_is_not_taken_for_one_without_the_entry(self, verb: str) -> None:
        def fault(called: str, *_: str) -> None:
            if called == verb:
                raise StoreUnavailable("down")

        stored = in_memory(MemoryStore(fault=fault))
        stored.put()
        with pytest.raises(StoreUnavailable):
            look(stored)
        assert [info.key for info in stored.store.list("")] == sorted([stored.place, stored.result])

    @given(st.binary(max_size=200))
    def test_no_bytes_are_a_hit_or_an_error(self, data: bytes) -> None:
        stored = in_memory(MemoryStore())
        stored.write(data)
        assert look(stored).dropped

    @given(
        st.dictionaries(
            st.sampled_from(sorted(in_memory(MemoryStore()).document())), st.none() | st.text() | st.integers()
        )
    )
    def test_no_change_of_a_field_is_an_error_or_another_value(self, change: dict[str, Any]) -> None:
        stored = in_memory(MemoryStore())
        stored.put(**change)
        found = look(stored).result
        assert found is None or (found.digest, found.value or DATA.decode()) == (DIGEST, DATA.decode())


class TestPublish:
    @pytest.mark.parametrize(
        ("result", "more", "why"),
        {
            "of an unknown attempt": (replace(RESULT, attempt=None), {}, "its result names no attempt"),
            "of an attempt that stored nothing": (replace(RESULT, attempt=2), {}, "its result object is missing"),
            "of another size": (replace(RESULT, size=4), {}, "its result object has another size"),
            "with another value": (
                replace(RESULT, value="[2,1]"),
                {},
                "its entry would not be readable (its value is not what its digest says)",
            ),
            "with a key that no lookup takes": (
                RESULT,
                {"key": "k" * 1025},
                "its entry would not be readable (not a cache pointer: key has 1025 characters)",
            ),
        }.values(),
    )
    def test_nothing_is_written_that_a_lookup_would_not_take(
        self, stored: Stored, result: ResultInfo, more: dict[str, Any], why: str
    ) -> None:
        stored.put()
        before = {info.key: info.etag for info in stored.store.list(stored.bucket.folder)}
        assert publish(stored, result, **more) == why
        assert {info.key: info.etag for info in stored.store.list(stored.bucket.folder)} == before

    def test_components_that_fit_into_no_entry_are_told_and_not_written(self, stored: Stored) -> None:
        stored.store.put(stored.result, DATA)
        why = publish(stored, components=Components("h1:code", {f"a{n}": "h" * 200 for n in range(1500)}))
        assert why is not None
        assert why.startswith("its entry would not be readable (not a cache pointer: ")
        assert [info.key for info in stored.store.list(stored.bucket.folder)] == [stored.result]

    def test_the_last_one_wins(self, stored: Stored) -> None:
        stored.store.put(stored.result, DATA)
        for task_run in ("first", "second"):
            assert publish(stored, task_run=task_run) is None
        found = look(stored).entry
        assert found is not None
        assert found.producer.task_run == "second"


class TestExplanations:
    def explain(self, stored: Stored, repository: CacheRepository | None = None, **arguments: str) -> str | None:
        made_of = replace(MADE_OF, arguments={"rows": "h1:1", **arguments})
        found = (repository or CacheRepository(stored.store)).explain(stored.bucket, "train", made_of)
        return found and found.text

    @pytest.mark.parametrize("tasks_held", [0, 1])
    def test_a_miss_is_compared_with_the_nearest_run_of_its_task_whoever_stored_it(
        self, stored: Stored, tasks_held: int
    ) -> None:
        stored.store.put(stored.result, DATA)
        one, other = (CacheRepository(stored.store, tasks_held=tasks_held) for _ in range(2))
        assert self.explain(stored, one) is None
        assert publish(stored, repository=one) is None
        expected = "Compared with 'maker': argument `rows` changed; code and image the same."
        assert [self.explain(stored, repository, rows="h1:2") for repository in (one, other)] == [expected] * 2
        assert self.explain(stored, other) is None, "the same: its entry is gone"
        assert other.explain(stored.bucket, "another task", MADE_OF) is None

    def test_what_several_write_is_all_remembered_where_nothing_is_held(self, stored: Stored) -> None:
        stored.store.put(stored.result, DATA)
        one, other = (CacheRepository(stored.store) for _ in range(2))
        for number, repository in enumerate((one, other, one)):
            made_of = replace(MADE_OF, arguments={"rows": f"h1:{number}", "b": "h1:b"})
            publish(stored, repository=repository, components=made_of, task_run=f"run-{number}")
        assert self.explain(stored, rows="h1:1", b="h1:c") == (
            "Compared with 'run-1': argument `b` changed; code and image the same."
        )

    @pytest.mark.parametrize(("tasks_held", "reads"), [(0, 5), (1, 4), (2, 2), (1000, 2)])
    def test_what_is_held_in_memory_is_bounded_by_the_tasks_used_last(self, tasks_held: int, reads: int) -> None:
        asked = []
        store = MemoryStore(fault=lambda verb, _, when: asked.append(verb) if when == "before" else None)
        repository = CacheRepository(store, tasks_held=tasks_held)
        for name in ("a", "b", "a", "b", "b"):
            repository.explain(Bucket("", "team"), name, MADE_OF)
        assert asked == ["get"] * reads

    def test_a_run_that_chose_its_key_is_not_remembered(self, stored: Stored) -> None:
        stored.store.put(stored.result, DATA)
        assert publish(stored, components=None) is None
        assert stored.store.head(stored.bucket.recent("train")) is None

    @pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b'{"runs": 5}', b" " * (POINTER_LIMIT + 1)], ids=len)
    def test_what_cannot_be_read_explains_nothing_and_is_written_anew(self, stored: Stored, data: bytes) -> None:
        stored.store.put(stored.bucket.recent("train"), data)
        assert self.explain(stored, rows="h1:2") is None
        stored.store.put(stored.result, DATA)
        assert publish(stored) is None
        assert self.explain(stored, rows="h1:2") is not None


class TestReading:
    @pytest.mark.parametrize("case", [name for name, case in UNUSABLE.items() if "not readable" in case.reason])
    def test_who_lists_entries_reads_none_that_no_lookup_takes(self, stored: Stored, case: str) -> None:
        UNUSABLE[case].make(stored)
        with pytest.raises(ValueError):
            read_entry(stored.store, stored.place)
        assert stored.store.head(stored.place) is not None

    def test_an_entry_is_read_whether_it_has_expired_or_not(self, stored: Stored) -> None:
        with pytest.raises(NotStored):
            read_entry(stored.store, stored.place)
        stored.put(expiresAt=EXPIRED)
        assert read_entry(stored.store, stored.place).key == KEY

    def test_of_an_object_no_more_is_read_than_an_entry_can_have(self) -> None:
        limits = []

        class Watched(MemoryStore):
            def get(self, key: str, *, limit: int | None = None) -> bytes:
                limits.append(limit)
                return super().get(key, limit=limit)

        stored = in_memory(Watched())
        stored.write(b" " * (2 * POINTER_LIMIT))
        with pytest.raises(ValueError):
            read_entry(stored.store, stored.place)
        look(stored)
        stored.put()
        publish(stored)
        CacheRepository(stored.store).explain(stored.bucket, "train", MADE_OF)
        assert len(limits) >= 5
        assert set(limits) == {POINTER_LIMIT + 1}


def test_the_document_and_its_place_are_those_of_every_earlier_version() -> None:
    stored = in_memory(MemoryStore())
    stored.store.put(stored.result, DATA)
    publish(stored, expires_at=NOW + timedelta(hours=1))
    assert [info.key for info in stored.store.list("")] == [
        "prefix/team/cache/8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a.json",
        "prefix/team/recent/116f54c41d0405dbb10e7b04ebc31e262a5b8c85c1233fcf36eaee344d91ae58.json",
        "prefix/team/runs/11111111-0000-4000-8000-000000000001/1/result",
    ]
    assert json.loads(stored.store.get(stored.place)) == {
        "v": 1,
        "key": "k",
        "digest": DIGEST,
        "size": 5,
        "etag": DIGEST,
        "serializer": "json",
        "contentHash": "h1:x",
        "value": "[1,2]",
        "producer": {"taskRun": "maker", "uid": UID, "attempt": 1},
        "components": {"code": "h1:code", "arguments": {"rows": "h1:1"}, "image": "img"},
        "createdAt": "2030-01-01T00:00:00+00:00",
        "expiresAt": "2030-01-01T01:00:00+00:00",
    }
