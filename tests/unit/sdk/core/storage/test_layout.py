"""Where things are in the bucket: nobody's words become a path, and a namespace made anew has no cache."""

from __future__ import annotations

from dataclasses import replace

import pytest

from podtask.core.storage.layout import Bucket

FIRST = Bucket("clusters/one", "team", namespace_uid="11111111-1111-4111-8111-111111111111")
ANEW = replace(FIRST, namespace_uid="22222222-2222-4222-8222-222222222222")


def test_a_namespace_made_anew_has_other_cache_keys() -> None:
    assert FIRST.cache("k") != ANEW.cache("k")
    assert FIRST.recent("task") != ANEW.recent("task")
    assert FIRST.cache("k").startswith(FIRST.cache_prefix)
    assert not FIRST.cache("k").startswith(ANEW.cache_prefix)


def test_the_uid_is_a_part_of_its_own_between_kind_and_digest() -> None:
    head = f"clusters/one/team/cache/{FIRST.namespace_uid}/"
    assert FIRST.cache_prefix == head
    assert FIRST.cache("k").removeprefix(head).count("/") == 0


def test_runs_and_blobs_stay_where_they_are() -> None:
    assert FIRST.attempt("uid", 1).result == ANEW.attempt("uid", 1).result
    assert FIRST.blob("ab" * 32) == ANEW.blob("ab" * 32)


def test_without_a_cluster_there_is_no_uid() -> None:
    assert Bucket("", "team").cache_prefix == "team/cache/"


@pytest.mark.parametrize("uid", ["", "..", ".", "a/b", "/"])
def test_a_uid_is_one_segment(uid: str) -> None:
    with pytest.raises(ValueError, match="one path segment"):
        Bucket("", "team", namespace_uid=uid).cache("k")
