"""The grant of checkpoints: signed here, used by the runner, in a folder and in a bucket alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podtask.core.storage import Signer, Store, checkpoints
from podtask.core.storage.directory import DirectorySigner, DirectoryStore
from podtask.core.storage.layout import Bucket
from podtask_runner import protocol
from podtask_runner.attempt.checkpoint import Checkpoint
from podtask_runner.protocol import Code, Grants, Put, Slot
from podtask_runner.storage import client

Attempt = Callable[[int], Checkpoint]
UID = "0b9a1c1e-0000-4000-8000-000000000001"
BUCKET = Bucket("prefix", "team")
AT = f"prefix/team/runs/{UID}/checkpoints/"


class Ends:
    """Operator and pods of one run."""

    def __init__(self, store: Store, signer: Signer, base: str) -> None:
        self.store, self.signer = store, signer
        self.bucket = Bucket(base, "team")
        self.opened: list[client.Store] = []

    def keys(self) -> list[str]:
        return [info.key for info in self.store.list(self.bucket.checkpoints(UID))]

    def attempt(self, number: int) -> Checkpoint:
        saved = checkpoints.newest(self.keys(), self.bucket, UID, number)
        granted = checkpoints.grant(self.bucket, UID, number, saved, self.signer, 60)
        none = Slot(Put(""), "")
        sent = protocol.dump(Grants("", "", UID, number, Code(), none, none, none, checkpoints=granted))

        def opened() -> client.Store:
            self.opened.append(client.Store(protocol.load_grants(sent)))
            return self.opened[-1]

        return Checkpoint(number, opened)


@pytest.fixture(params=["directory", "moto", pytest.param("real", marks=pytest.mark.cluster)])
def ends(request: pytest.FixtureRequest, tmp_path: Path, at: Callable[[str], str]) -> Iterator[Ends]:
    if request.param == "directory":
        made = Ends(DirectoryStore(tmp_path / "a store"), DirectorySigner(tmp_path / "a store"), "base")
    else:
        bucket = request.getfixturevalue(f"{request.param}_bucket")
        made = Ends(bucket.store, bucket.signer, at("base"))
    yield made
    for store in made.opened:
        store.close()


def test_attempts_go_on_from_each_other(ends: Ends) -> None:
    assert ends.attempt(1).load("nothing") == "nothing"
    first = ends.attempt(1)
    for step in range(5):
        first.save({"step": step})
    assert len(ends.keys()) == checkpoints.SLOTS
    third = ends.attempt(3)
    assert third.load() == {"step": 4}
    third.save({"step": 5})
    first.save({"step": "late"})
    assert ends.attempt(4).load() == {"step": 5}


def test_a_damaged_one_costs_no_more_than_itself(ends: Ends) -> None:
    ends.attempt(1).save("first attempt")
    second = ends.attempt(2)
    second.save("before")
    second.save("newest")
    for cut, expected in (("newest", "newest"), ("before", "before"), ("first attempt", "first attempt")):
        assert ends.attempt(3).load() == expected
        place = ends.bucket.checkpoint(UID, 2, 0 if cut == "newest" else 1)
        ends.store.put(place, ends.store.get(place)[:-1])


def test_what_was_removed_is_not_there_any_more(ends: Ends) -> None:
    ends.attempt(1).save("first")
    second = ends.attempt(2)
    for key in ends.keys():  # noqa: SIM118 - of the bucket
        ends.store.delete(key)
    assert second.load("default") == "default"


def test_only_the_url_of_a_checkpoint_may_write_again(moto_bucket: Ends) -> None:
    for once, signed in ((True, "host;if-none-match"), (False, "host")):
        put = moto_bucket.signer.sign_put("a/b", 60, once=once)
        assert parse_qs(urlsplit(put.url).query)["X-Amz-SignedHeaders"] == [signed]
        assert put.headers == ({"If-None-Match": "*"} if once else {})


places = st.tuples(st.integers(1, 12), st.integers(0, 3))


@given(st.lists(places), st.integers(1, 12))
def test_the_newest_are_those_of_the_last_attempts_before_that_saved(
    found: list[tuple[int, int]], attempt: int
) -> None:
    keys = [BUCKET.checkpoint(UID, *place) for place in found]
    newest = checkpoints.newest(keys, BUCKET, UID, attempt)
    usable = {(number, slot) for number, slot in found if number < attempt and slot < checkpoints.SLOTS}
    attempts = sorted({number for number, _ in usable})[-checkpoints.ATTEMPTS :]
    assert newest == sorted((place for place in usable if place[0] in attempts), reverse=True)
    assert len(newest) <= checkpoints.SLOTS * checkpoints.ATTEMPTS


@given(st.text(max_size=20))
def test_no_name_is_taken_for_another(name: str) -> None:
    found = checkpoints.newest([AT + name, name, f"other/{name}"], BUCKET, UID, 10**9)
    assert [BUCKET.checkpoint(UID, *place) for place in found] in ([], [AT + name])
