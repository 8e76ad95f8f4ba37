"""What the doctor says about credentials that may write more of the bucket than a person needs."""

from __future__ import annotations

import pytest

from podtask.cli.doctor.findings import Severity
from podtask.cli.doctor.policy import policy
from podtask.cli.doctor.store import _removed
from podtask.core.storage import StoreRefused, StoreUnavailable
from podtask.core.storage.layout import Bucket
from podtask.core.storage.memory import MemoryStore

KEYS = Bucket("podtask", "team", namespace_uid="44444444-0000-4000-8000-000000000004")


class Limited(MemoryStore):
    """A bucket whose policy allows to write below some prefixes."""

    def __init__(self, *allowed: str, deletes: bool = False) -> None:
        super().__init__()
        self.allowed, self.deletes = allowed, deletes

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
        if not key.startswith(self.allowed):
            raise StoreRefused(f"PUT {key}: AccessDenied")
        return super().put(key, data, if_absent=if_absent)

    def delete(self, key: str) -> None:
        if not self.deletes:
            raise StoreRefused(f"DELETE {key}: AccessDenied")
        super().delete(key)


def test_the_least_policy_is_fine() -> None:
    store = Limited("podtask/team/blobs/")
    assert policy(store, KEYS).verdict is Severity.OK
    assert list(store.list("")) == []


@pytest.mark.parametrize(
    ("allowed", "words"),
    [
        ("podtask/team/", "may write cache entries of namespace 'team': what"),
        ("podtask/", "may write cache entries of namespace 'team' and the folders of other namespaces: what"),
        ("podtask/podtask-doctor/", "may write the folders of other namespaces: what"),
    ],
)
@pytest.mark.parametrize("deletes", [True, False])
def test_more_is_a_warning_and_leaves_at_most_the_same_few_bytes(allowed: str, words: str, deletes: bool) -> None:
    store = Limited(allowed, deletes=deletes)
    for _ in range(2):
        finding = policy(store, KEYS)
    assert finding.verdict is Severity.WARNING
    assert words in finding.message
    assert finding.cure is not None
    assert len(list(store.list(""))) == (0 if deletes else words.count("cache entries") + words.count("folders"))


def test_a_bucket_that_is_away_is_no_policy() -> None:
    class Away(MemoryStore):
        def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
            raise StoreUnavailable("away")

    assert policy(Away(), KEYS).verdict is Severity.SKIPPED


@pytest.mark.parametrize("deletes", [True, False])
def test_who_may_not_delete_is_no_worse_off(deletes: bool) -> None:
    store = Limited("", deletes=deletes)
    store.put("a", b"b")
    assert _removed(store, "a") == deletes
