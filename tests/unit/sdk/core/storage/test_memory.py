"""The fault hook that other tests break a store with."""

from __future__ import annotations

import pytest

from podtask.core.storage import StoreUnavailable
from podtask.core.storage.memory import MemoryStore


@pytest.mark.parametrize(("moment", "stored"), [("before", []), ("after", ["a"])])
def test_a_fault_before_a_put_prevents_it_and_after_it_loses_only_the_answer(moment: str, stored: list[str]) -> None:
    def fault(verb: str, key: str, now: str) -> None:
        if (verb, key, now) == ("put", "a", moment):
            raise StoreUnavailable("made to fail")

    store = MemoryStore(fault=fault)
    with pytest.raises(StoreUnavailable, match="made to fail"):
        store.put("a", b"x")
    assert [info.key for info in store.list("")] == stored


def test_the_age_of_an_object_is_what_the_clock_said() -> None:
    store = MemoryStore(clock=lambda: 1234.5)
    store.put("a", b"x")
    assert [info.modified for info in store.list("")] == [1234.5]
