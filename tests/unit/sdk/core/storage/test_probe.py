"""The probe finds servers that do not keep their word."""

from __future__ import annotations

import threading

import pytest

from podtask.core.storage import AlreadyStored, Store, StoreRefused, StoreUnavailable
from podtask.core.storage.memory import MemoryStore
from podtask.core.storage.probe import probe_conditional_writes


class Ignores(MemoryStore):
    """A server that does not read `If-None-Match` (rclone serve s3, garage 2)."""

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
        return super().put(key, data)


class ChecksFirst(MemoryStore):
    """A server that looks, and writes later: all writers look before any of them writes."""

    def __init__(self, writers: int) -> None:
        super().__init__()
        self.everyone = threading.Barrier(writers)

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
        taken = self.head(key) is not None
        if data.startswith(b"writer"):
            self.everyone.wait()
        if if_absent and taken:
            raise AlreadyStored(key)
        return super().put(key, data)


class Answers(MemoryStore):
    """A server with one answer to every conditional write."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
        raise self.error


def test_a_store_where_one_writer_wins_is_atomic(store: Store) -> None:
    assert probe_conditional_writes(store, "tests/probe", rounds=2) == "atomic"


def test_a_store_that_replaces_has_none() -> None:
    assert probe_conditional_writes(Ignores(), "probe") == "none"


def test_a_store_that_checks_before_it_writes_is_racy() -> None:
    assert probe_conditional_writes(ChecksFirst(4), "probe", writers=4) == "racy"


def test_a_server_that_says_not_implemented_has_none() -> None:
    assert probe_conditional_writes(Answers(StoreRefused("501", code="NotImplemented")), "probe") == "none"


def test_a_store_that_is_away_is_no_answer() -> None:
    with pytest.raises(StoreUnavailable, match="away"):
        probe_conditional_writes(Answers(StoreUnavailable("away")), "probe")


@pytest.mark.parametrize("store", [MemoryStore(), Ignores(), ChecksFirst(4)], ids=lambda store: type(store).__name__)
def test_nothing_is_left_behind(store: MemoryStore) -> None:
    probe_conditional_writes(store, "probe", writers=4, rounds=2)
    assert list(store.list("")) == []
