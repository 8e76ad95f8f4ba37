"""Whose folder of the bucket it is: one mark, one owner, and nothing odd in it is anybody's."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from tests.support.bucket_scene import BUCKET, CLUSTER, NOW, TEAM

from podtask.core.storage import owner as owners
from podtask.core.storage.base import StoreUnavailable
from podtask.core.storage.memory import MemoryStore
from podtask.core.storage.owner import OWNER_LIMIT, PROTECTED, BucketOwner, adopt, claim, dump, read, refusal

OTHER = "66666666-0000-4000-8000-000000000006"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(clock=NOW.timestamp)


def owner(uid: str, cluster: str | None = None, since: datetime = NOW) -> BucketOwner:
    return BucketOwner(uid, cluster, since)


def test_the_first_claim_is_the_owner_and_a_second_one_reads_it(store: MemoryStore) -> None:
    assert claim(store, BUCKET, TEAM, CLUSTER) == owner(TEAM, CLUSTER)
    assert claim(store, BUCKET, OTHER, "another cluster") == owner(TEAM, CLUSTER)
    assert claim(store, BUCKET, OTHER, None) == owner(TEAM, CLUSTER)
    assert [info.key for info in store.list("")] == ["clusters/one/team/owner.json"]


def test_a_namespace_that_was_made_anew_in_the_same_cluster_takes_the_folder_over(store: MemoryStore) -> None:
    claim(store, BUCKET, TEAM, CLUSTER)
    assert claim(store, BUCKET, OTHER, CLUSTER) == owner(OTHER, CLUSTER)


def test_where_no_cluster_is_named_nobody_takes_a_folder_over(store: MemoryStore) -> None:
    claim(store, BUCKET, TEAM, None)
    assert claim(store, BUCKET, OTHER, None) == owner(TEAM)


def test_whoever_may_not_write_at_present_writes_no_mark(store: MemoryStore) -> None:
    assert claim(store, BUCKET, TEAM, CLUSTER, may_write=lambda: False) is None
    assert list(store.list("")) == []


def test_of_two_that_claim_at_once_one_is_the_owner_for_both() -> None:
    def other_first(verb: str, key: str, when: str) -> None:
        if (verb, when) == ("put", "before") and store.head(BUCKET.owner) is None:
            quiet.put(BUCKET.owner, dump(OTHER, None))

    quiet = MemoryStore(clock=NOW.timestamp)
    store = MemoryStore(clock=NOW.timestamp, fault=other_first)
    store._objects = quiet._objects
    found = claim(store, BUCKET, TEAM, CLUSTER)
    assert found == owner(OTHER)
    assert refusal(found, "team", TEAM, CLUSTER) is not None


def test_where_writes_know_no_condition_the_later_one_is_the_owner_for_both(store: MemoryStore) -> None:
    class Unconditional(MemoryStore):
        def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
            return super().put(key, data)

    plain = Unconditional(clock=NOW.timestamp)
    assert claim(plain, BUCKET, TEAM, CLUSTER) == owner(TEAM, CLUSTER)
    plain.put(BUCKET.owner, dump(OTHER, None), if_absent=True)  # it looked before we wrote
    assert read(plain, BUCKET) == claim(plain, BUCKET, TEAM, CLUSTER) == owner(OTHER)


ODD: dict[str, bytes] = {
    "no JSON": b"{",
    "no object": b"[]",
    "another version": json.dumps({"v": 2, "namespaceUID": TEAM}).encode(),
    "no UID": b'{"v": 1}',
    "a number": b'{"v": 1, "namespaceUID": 7}',
    "a path": b'{"v": 1, "namespaceUID": "../../other"}',
    "control characters": b'{"v": 1, "namespaceUID": "\\u001b]52;c;x"}',
    "very long": dump(TEAM, None) + b" " * OWNER_LIMIT,
    "nested": b"[" * OWNER_LIMIT,
    "no text": b"\xff\xfe",
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_mark_is_nobodys_until_somebody_adopts_the_folder(store: MemoryStore, case: str) -> None:
    store.put(BUCKET.owner, ODD[case])
    found = claim(store, BUCKET, TEAM, CLUSTER)
    assert found == owner("")
    assert "its mark is unreadable" in str(refusal(found, "team", TEAM, CLUSTER))
    adopt(store, BUCKET, TEAM, CLUSTER)
    assert refusal(read(store, BUCKET), "team", TEAM, CLUSTER) is None


def test_an_odd_cluster_is_none(store: MemoryStore) -> None:
    store.put(BUCKET.owner, json.dumps({"v": 1, "namespaceUID": TEAM, "clusterUID": "\x1b"}).encode())
    assert read(store, BUCKET) == owner(TEAM)


@pytest.mark.parametrize(
    ("mark", "uid", "cluster", "sentence"),
    [
        (owner(TEAM), TEAM, None, None),
        (owner(TEAM, CLUSTER), TEAM, "moved", None),
        (None, TEAM, CLUSTER, "No operator has marked the folder of namespace 'team' in this bucket"),
        (owner(OTHER, "b"), TEAM, CLUSTER, f"belongs to the namespace with UID {OTHER} (since 2026-01-10)"),
        (owner(OTHER, CLUSTER), TEAM, CLUSTER, "podtask bucket adopt --namespace team"),
        (owner(""), "", None, "its mark is unreadable"),
        # the namespace was deleted
        (owner(TEAM, CLUSTER), None, CLUSTER, None),
        (owner(TEAM, "b"), None, CLUSTER, "There is no namespace 'team', and its folder in this bucket is not marked"),
        (owner(TEAM), None, None, "There is no namespace 'team'"),
        (None, None, CLUSTER, "No operator has marked"),
    ],
)
def test_whose_it_is(mark: BucketOwner | None, uid: str | None, cluster: str | None, sentence: str | None) -> None:
    why = refusal(mark, "team", uid, cluster)
    assert why is None if sentence is None else sentence in str(why)


def test_what_is_older_than_the_mark_is_protected_for_thirty_days() -> None:
    mark, before = owner(TEAM), (NOW - timedelta(seconds=1)).timestamp()
    last = NOW + PROTECTED - timedelta(seconds=1)
    assert mark.protects(before, last)
    assert not mark.protects(before, NOW + PROTECTED)
    assert not mark.protects(NOW.timestamp(), last)


@pytest.mark.parametrize("ask", [lambda s: read(s, BUCKET), lambda s: claim(s, BUCKET, TEAM, None)])
def test_a_store_that_is_away_is_no_store_without_a_mark(ask: Callable[[MemoryStore], object]) -> None:
    def away(*_: str) -> None:
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        ask(MemoryStore(fault=away))


def test_a_mark_that_goes_between_two_reads_is_none(store: MemoryStore) -> None:
    class Vanishing(MemoryStore):
        def head(self, key: str) -> None:
            return None

    vanishing = Vanishing()
    vanishing.put(BUCKET.owner, dump(TEAM, None))
    assert owners.read(vanishing, BUCKET) is None
