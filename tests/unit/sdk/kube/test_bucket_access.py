"""What is inline, what is uploaded and how often, and which bucket is meant."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from podtask.core.api.names import OPERATOR_NAMESPACE
from podtask.core.storage import StoreUnavailable
from podtask.core.storage.base import ObjectInfo
from podtask.core.storage.memory import MemoryStore
from podtask.kube.bucket_access import FRESH_SECONDS, BucketAccess, NoBucket, human
from podtask_runner.files import File
from podtask_runner.names import INLINE_LIMIT
from podtask_runner.storage.spool import SpoolFile

SMALL, LARGE = b"x" * INLINE_LIMIT, b"x" * (INLINE_LIMIT + 1)
DIGEST = hashlib.sha256(LARGE).hexdigest()


class Counting(MemoryStore):
    """A store that counts, and is away when told."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.away = False

    def head(self, key: str) -> Any:
        self.asked.append(f"HEAD {key}")
        if self.away:
            raise StoreUnavailable("the store does not answer.")
        return super().head(key)

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
        self.asked.append(f"PUT {key}")
        return super().put(key, data, if_absent=if_absent)


@pytest.fixture
def store() -> Counting:
    return Counting()


@pytest.fixture
def opened(store: Counting, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """How a store was opened."""
    calls: list[tuple[Any, ...]] = []

    def open_store(*arguments: Any, conditional_writes: bool) -> Counting:
        calls.append(arguments if conditional_writes else (*arguments, "no conditional writes"))
        return store

    monkeypatch.setattr("podtask.core.storage.open_store", open_store)
    return calls


def access(published: Mapping[str, Mapping[str, str]] | None = None, store: str | None = None) -> BucketAccess:
    return BucketAccess("team", (published or {}).get, store, None)


@pytest.mark.usefixtures("opened")
class TestCarry:
    def test_up_to_64_kib_it_travels_inline(self, store: Counting) -> None:
        assert access().carry(SMALL, "it") == {"inline": base64.b64encode(SMALL).decode()}
        assert store.asked == []

    def test_more_is_stored_under_its_digest_once_per_process(self, store: Counting) -> None:
        bucket = access(store="s3://data/podtask")
        for _ in range(3):
            assert bucket.carry(LARGE, "it") == {"digest": DIGEST, "size": len(LARGE)}
        key = f"podtask/team/blobs/{DIGEST}"
        assert store.asked == [f"HEAD {key}", f"PUT {key}"]
        assert store.get(key) == LARGE

    def test_what_another_process_stored_is_not_sent_again(self, store: Counting) -> None:
        access(store="s3://data").carry(LARGE, "it")
        store.asked.clear()
        access(store="s3://data").carry(LARGE, "it")
        assert store.asked == [f"HEAD team/blobs/{DIGEST}"]

    def test_what_it_knows_ages_with_the_object_not_from_when_it_was_seen(
        self, store: Counting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        access(store="s3://data").carry(LARGE, "it")
        began, asked = time.time(), f"team/blobs/{DIGEST}"
        bucket = access(store="s3://data")
        store.asked.clear()
        for hours, expected in [(11, [f"HEAD {asked}"]), (13, [f"HEAD {asked}", f"HEAD {asked}", f"PUT {asked}"])]:
            monkeypatch.setattr(time, "time", lambda later=hours * 3600: began + later)
            bucket.carry(LARGE, "it")
            assert store.asked == expected

    def test_files_and_large_payloads_are_streamed_under_their_digest(self, store: Counting, tmp_path: Path) -> None:
        path = tmp_path / "model.bin"
        path.write_bytes(LARGE)
        bucket = access(store="s3://data/podtask")
        assert bucket.carry_file(File(path), "it") == {"digest": DIGEST, "size": len(LARGE)}
        assert bucket.carry(SpoolFile(path, DIGEST, len(LARGE)), "it") == {"digest": DIGEST, "size": len(LARGE)}
        assert store.asked == [f"HEAD podtask/team/blobs/{DIGEST}", f"PUT podtask/team/blobs/{DIGEST}"]

    def test_results_are_downloaded_into_a_file(self, store: Counting, tmp_path: Path) -> None:
        store.put("podtask/team/runs/uid-1/3/result", LARGE)
        bucket = access(store="s3://data/podtask")
        assert bucket.download("uid-1", 3, "result", "it", len(LARGE), tmp_path / "it") == DIGEST
        assert (tmp_path / "it").read_bytes() == LARGE

    def test_a_store_that_is_away_is_named_with_the_other_cure_and_asked_again_next_time(self, store: Counting) -> None:
        bucket = access(store="s3://data")
        store.away = True
        with pytest.raises(NoBucket, match=r"The code of x \(64 KiB\) needs .* does not answer\. Or pass less"):
            bucket.carry(LARGE, "The code of x")
        store.away = False
        assert bucket.carry(LARGE, "it")["digest"] == DIGEST

    def test_results_are_read_from_the_attempt_that_stored_them(self, store: Counting) -> None:
        store.put("podtask/team/runs/uid-1/3/result", b"stored")
        bucket = access(store="s3://data/podtask")
        assert bucket.read("uid-1", 3, "result", "it", 6) == b"stored"
        with pytest.raises(NoBucket, match=r"The error of x \(9 bytes\) is in .* no more: there is no .*/3/error"):
            bucket.read("uid-1", 3, "error", "The error of x", 9)


PUBLISHED = {"bucket": "data", "prefix": "prod", "endpoint": "https://s3.example", "region": "eu-1"}


class TestWhichBucket:
    def test_the_setting_decides(self, opened: list[tuple[Any, ...]]) -> None:
        given = BucketAccess("team", {"team": PUBLISHED}.get, "s3://mine/own", "http://localhost:9000")
        given.carry(LARGE, "it")
        assert opened == [("s3://mine/own", "http://localhost:9000", None)]

    @pytest.mark.parametrize("namespace", ["team", OPERATOR_NAMESPACE])
    def test_else_what_the_chart_publishes(self, opened: list[tuple[Any, ...]], namespace: str) -> None:
        access({namespace: PUBLISHED}).carry(LARGE, "it")
        assert opened == [("s3://data/prod", "https://s3.example", "eu-1")]

    def test_empty_values_of_the_chart_are_no_values(self, opened: list[tuple[Any, ...]]) -> None:
        access({"team": {"bucket": "data", "prefix": "", "endpoint": "", "region": ""}}).carry(LARGE, "it")
        assert opened == [("s3://data", None, None)]

    def test_a_server_without_conditional_writes_is_published_as_such(self, opened: list[tuple[Any, ...]]) -> None:
        access({"team": {**PUBLISHED, "conditionalWrites": "off"}}).carry(LARGE, "it")
        assert opened == [("s3://data/prod", "https://s3.example", "eu-1", "no conditional writes")]

    @pytest.mark.parametrize("published", [{}, {"team": {}}, {"team": {"bucket": ""}}])
    def test_without_any_there_is_a_sentence(self, published: dict[str, dict[str, str]]) -> None:
        with pytest.raises(
            NoBucket, match=r"nobody said here which one .* PODTASK_STORE=s3://bucket/prefix .* podtask-client"
        ):
            access(published).carry(LARGE, "it")

    def test_an_address_that_is_none_is_said(self) -> None:
        with pytest.raises(NoBucket, match="PODTASK_STORE"):
            access(store="ftp://x").carry(LARGE, "it")


def test_sizes_are_for_people() -> None:
    assert [human(n) for n in (0, 1023, 1536, 64 * 1024, 3_400_000, 5 * 1024**3)] == [
        "0 bytes",
        "1023 bytes",
        "1.5 KiB",
        "64 KiB",
        "3.2 MiB",
        "5 GiB",
    ]


def test_what_was_uploaded_long_ago_is_uploaded_again_so_that_no_sweep_takes_it(
    opened: list[tuple[Any, ...]], store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = BucketAccess("team", lambda _: None, "s3://bucket/prefix", None)
    made.carry(LARGE, "It")
    later = time.time() + FRESH_SECONDS + 1
    monkeypatch.setattr("podtask.kube.bucket_access.time.time", lambda: later)
    made.carry(LARGE, "It")
    assert [what.split()[0] for what in store.asked] == ["HEAD", "PUT", "HEAD", "PUT"]
    assert len(opened) == 1


class Larger(MemoryStore):
    """Somebody put another object in the place of a result."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.data, self.read = b"y" * size, 0

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        found = self.data if limit is None else self.data[:limit]
        self.read += len(found)
        return found

    def head(self, key: str) -> ObjectInfo | None:
        return ObjectInfo(key, len(self.data), "etag", 0.0)

    def download(self, key: str, path: Path) -> str:
        raise AssertionError(f"{key} is not to be read into {path}")


def test_an_object_that_is_larger_than_the_status_says_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = Larger(10_000)
    monkeypatch.setattr("podtask.core.storage.open_store", lambda *_, **__: store)
    made = BucketAccess("team", lambda _: None, "s3://bucket/prefix", None)
    assert len(made.read("uid", 1, "result", "It", 10)) == 11
    assert store.read == 11
    with pytest.raises(NoBucket, match="has 10000 bytes and not 10"):
        made.download("uid", 1, "result", "It", 10, tmp_path / "x")
