"""What every store does, asked of each one by the same sentences."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from podtask.core.storage import AlreadyStored, NotStored, Store

At = Callable[[str], str]
EVERY_BYTE = bytes(range(256)) * 5


def test_what_was_put_is_got_byte_for_byte(store: Store, at: At) -> None:
    store.put(at("blob"), EVERY_BYTE)
    assert store.get(at("blob")) == EVERY_BYTE


@pytest.mark.parametrize("limit", [1, 100, 1280, 10_000])
def test_no_more_than_the_limit_is_read(store: Store, at: At, limit: int) -> None:
    store.put(at("blob"), EVERY_BYTE)
    assert store.get(at("blob"), limit=limit) == EVERY_BYTE[:limit]
    assert store.get(at("blob")) == EVERY_BYTE


def test_an_empty_object_is_read_with_a_limit_too(store: Store, at: At) -> None:
    store.put(at("empty"), b"")
    assert store.get(at("empty"), limit=10) == b""


def test_an_empty_object_is_an_object(store: Store, at: At) -> None:
    store.put(at("empty"), b"")
    assert store.get(at("empty")) == b""
    info = store.head(at("empty"))
    assert info is not None
    assert info.size == 0


def test_some_megabytes_are_no_problem(store: Store, at: At) -> None:
    data = EVERY_BYTE * 4096
    store.put(at("large"), data)
    assert store.get(at("large")) == data


def test_files_are_streamed_in_and_out(store: Store, at: At, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(EVERY_BYTE * 4096)
    store.put_file(at("file"), source)
    assert store.download(at("file"), target) == hashlib.sha256(EVERY_BYTE * 4096).hexdigest()
    assert target.read_bytes() == source.read_bytes()
    with pytest.raises(AlreadyStored):
        store.put_file(at("file"), source, if_absent=True)
    assert store.put_file(at("other"), source, if_absent=True) == store.put(at("third"), EVERY_BYTE * 4096)


def test_a_missing_object_is_not_downloaded(store: Store, at: At, tmp_path: Path) -> None:
    with pytest.raises(NotStored, match="missing"):
        store.download(at("missing"), tmp_path / "target")


def test_a_missing_object_is_not_stored_and_the_error_names_it(store: Store, at: At) -> None:
    with pytest.raises(NotStored, match="missing"):
        store.get(at("missing"))


def test_the_head_of_a_missing_object_is_none(store: Store, at: At) -> None:
    assert store.head(at("missing")) is None


def test_a_folder_is_no_object(store: Store, at: At) -> None:
    store.put(at("folder/object"), b"x")
    assert store.head(at("folder")) is None
    with pytest.raises(NotStored):
        store.get(at("folder"))
    store.delete(at("folder"))
    assert store.get(at("folder/object")) == b"x"


def test_head_tells_size_etag_and_age(store: Store, at: At) -> None:
    etag = store.put(at("object"), b"12345")
    info = store.head(at("object"))
    assert info is not None
    assert (info.key, info.size, info.etag) == (at("object"), 5, etag)
    assert '"' not in info.etag
    assert abs(info.modified - time.time()) < 3600


def test_a_second_put_replaces_the_first(store: Store, at: At) -> None:
    store.put(at("object"), b"first")
    store.put(at("object"), b"second")
    assert store.get(at("object")) == b"second"


def test_an_etag_follows_the_content_and_not_the_size(store: Store, at: At) -> None:
    first = store.put(at("object"), b"aaa")
    second = store.put(at("object"), b"bbb")
    again = store.put(at("object"), b"aaa")
    assert first == again != second


def test_a_put_if_absent_writes_a_free_key(store: Store, at: At) -> None:
    etag = store.put(at("object"), b"first", if_absent=True)
    info = store.head(at("object"))
    assert info is not None
    assert info.etag == etag


def test_a_put_if_absent_never_replaces(store: Store, at: At) -> None:
    store.put(at("object"), b"first")
    with pytest.raises(AlreadyStored, match="object"):
        store.put(at("object"), b"second", if_absent=True)
    assert store.get(at("object")) == b"first"


def test_even_the_same_bytes_are_refused_if_absent(store: Store, at: At) -> None:
    store.put(at("object"), b"same", if_absent=True)
    with pytest.raises(AlreadyStored):
        store.put(at("object"), b"same", if_absent=True)


def test_a_deleted_key_is_free_again(store: Store, at: At) -> None:
    store.put(at("object"), b"first", if_absent=True)
    store.delete(at("object"))
    store.put(at("object"), b"second", if_absent=True)
    assert store.get(at("object")) == b"second"


def test_deleting_what_is_not_there_is_no_error(store: Store, at: At) -> None:
    store.delete(at("missing"))
    store.delete(at("no/such/folder/missing"))


def test_a_deleted_object_is_gone(store: Store, at: At) -> None:
    store.put(at("object"), b"x")
    store.delete(at("object"))
    assert store.head(at("object")) is None
    assert list(store.list(at(""))) == []


def test_list_gives_everything_under_a_prefix_in_the_order_of_keys(store: Store, at: At) -> None:
    names = ["a-b", "a.b", "a/c", "a/d/e", "a0", "B", "z/log/10", "z/log/9", "ä", "~"]
    for name in reversed(names):
        store.put(at(name), name.encode())
    assert [info.key for info in store.list(at(""))] == sorted(at(name) for name in names)


def test_a_prefix_may_end_within_a_name(store: Store, at: At) -> None:
    for name in ("run-1", "run-12/x", "run-2", "ru"):
        store.put(at(name), b"x")
    assert [info.key for info in store.list(at("run-1"))] == [at("run-1"), at("run-12/x")]


def test_a_prefix_that_ends_with_a_slash_leaves_siblings_out(store: Store, at: At) -> None:
    for name in ("log/1", "log/2", "log2"):
        store.put(at(name), b"x")
    assert [info.key for info in store.list(at("log/"))] == [at("log/1"), at("log/2")]


def test_list_tells_what_head_tells(store: Store, at: At) -> None:
    store.put(at("object"), b"12345")
    (listed,) = store.list(at("obj"))
    head = store.head(at("object"))
    assert head is not None
    assert (listed.key, listed.size, listed.etag) == (head.key, head.size, head.etag)
    assert listed.modified == pytest.approx(head.modified, abs=1)  # S3 cuts it to the second in a HEAD


def test_an_unknown_prefix_lists_nothing(store: Store, at: At) -> None:
    assert list(store.list(at("nothing/here"))) == []


@pytest.mark.parametrize(
    "name", ["with space", "plus+and&%2F", "quote'\"", "ünï", "a=b;c", "x" * 255, "#frag?query", "..."]
)
def test_names_survive_whatever_they_are_made_of(store: Store, at: At, name: str) -> None:
    key = at(f"{name}/{name}")
    store.put(key, b"x")
    assert store.get(key) == b"x"
    assert store.head(key) is not None
    assert [info.key for info in store.list(at(""))] == [key]
    store.delete(key)
    assert store.head(key) is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/etc/passwd",
        "a//b",
        "a/",
        "../x",
        "a/../x",
        "./a",
        "a/.",
        "nul\0",
        "line\n",
        "x" * 256,
        "a/" * 600 + "b",
    ],
)
def test_a_key_that_is_none_is_neither_read_nor_written(store: Store, key: str) -> None:
    for verb in (store.get, store.head, lambda key: store.put(key, b"x")):
        with pytest.raises(ValueError, match="not an object key"):
            verb(key)


@pytest.mark.parametrize("prefix", ["../", "/", "a/../b", "a//b"])
def test_a_prefix_that_leaves_the_store_is_refused(store: Store, prefix: str) -> None:
    with pytest.raises(ValueError, match="not an object key"):
        list(store.list(prefix))


def test_of_many_writers_of_a_free_key_exactly_one_wins(store: Store, at: At) -> None:
    writers = 16
    start = threading.Barrier(writers)

    def write(number: int) -> bytes | None:
        data = f"writer {number}".encode() * 100
        start.wait()
        try:
            store.put(at("object"), data, if_absent=True)
        except AlreadyStored:
            return None
        return data

    with ThreadPoolExecutor(writers) as pool:
        winners = [data for data in pool.map(write, range(writers)) if data is not None]
    assert winners == [store.get(at("object"))]


def test_a_reader_sees_the_old_or_the_new_object_and_nothing_between(store: Store, at: At) -> None:
    old, new = b"o" * 300_000, b"n" * 300_000
    store.put(at("object"), old)

    def rewrite() -> None:
        for data in (new, old, new):
            store.put(at("object"), data)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(rewrite)
        while not done.done():
            assert store.get(at("object")) in (old, new)
        done.result()
