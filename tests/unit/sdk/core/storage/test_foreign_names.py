"""Below its log's prefix a pod chooses names itself: they go with the rest, and no other object is taken for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.sdk.core.conftest import Bucket

from podtask.core.storage.base import is_key
from podtask.core.storage.directory import DirectoryStore
from podtask.core.storage.layout import Bucket as Layout

NAMES = ("../outside", "../../outside", "./000001", "a//b", "/", "x" * 300)
"""Behind `log/`. S3 takes a key for a text; a server that keeps objects as files may refuse some of these."""


def put(bucket: Bucket, key: str) -> bool:
    """As a pod does, by a form whose policy grants the prefix; whether the server has kept the name."""
    import urllib3

    prefix = key[: key.index("log/") + 4]
    post = bucket.signer.sign_post(prefix, 100, 60)
    fields = {**post.fields, "key": key, "file": ("chunk", b"chunk", "application/octet-stream")}
    with urllib3.PoolManager(retries=False) as http:
        http.request("POST", post.url, fields=fields)
    return key in {info.key for info in bucket.store.list(prefix)}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_list_names_can_be_deleted_and_nothing_beside_it(
    bucket: Bucket, at: Callable[[str], str], name: str
) -> None:
    key = at(f"1/log/{name}")
    assert not is_key(key)
    kept = put(bucket, key)
    neighbours = [at("1/outside"), at("outside"), at("1/log/000001")]
    for neighbour in neighbours:  # afterwards: a server that takes keys for paths has written over one of them
        bucket.store.put(neighbour, b"a neighbour's")
    if kept:
        bucket.store.delete(key)
    assert [info.key for info in bucket.store.list(at("")) if not is_key(info.key)] == []
    assert [bucket.store.get(neighbour) for neighbour in neighbours] == [b"a neighbour's"] * 3


def test_moto_keeps_such_names_so_that_these_tests_delete_some(moto_bucket: Bucket, at: Callable[[str], str]) -> None:
    assert [name for name in NAMES if put(moto_bucket, at(f"1/log/{name}"))] == list(NAMES)


@pytest.mark.parametrize("key", ["", "nul\0", "line\n"])
def test_a_name_that_no_request_can_carry_is_not_deleted(bucket: Bucket, key: str) -> None:
    with pytest.raises(ValueError, match="not an object key"):
        bucket.store.delete(key)


@pytest.mark.parametrize("name", NAMES)
def test_a_store_that_can_hold_no_such_name_refuses_to_delete_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not an object key"):
        DirectoryStore(tmp_path).delete(f"log/{name}")


@pytest.mark.parametrize("name", [*NAMES, "", "1", "00001", "notes", "000001/x", "00000\u0661"])
def test_only_the_runners_own_chunks_are_read_as_its_log(name: str) -> None:
    attempt = Layout("prefix", "team").attempt("00000000-0000-0000-0000-000000000001", 1)
    assert not attempt.is_chunk(attempt.log + name)
    assert attempt.is_chunk(attempt.chunk(1))
    assert attempt.is_chunk(attempt.log_tail)
    assert attempt.is_chunk(attempt.chunk(1_234_567))
