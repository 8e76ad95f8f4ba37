"""Both ends of a grant: signed here, used by the runner's own transport, in a folder and in a bucket alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from podtask.core.storage import Signer, Store
from podtask.core.storage.directory import DirectorySigner, DirectoryStore
from podtask_runner.storage.http import NOT_FOUND, OK, PRECONDITION_FAILED, Endpoints

At = Callable[[str], str]
Ends = tuple[Store, Signer]


@pytest.fixture(params=["directory", "moto", pytest.param("real", marks=pytest.mark.cluster)])
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Ends:
    if request.param == "directory":
        return DirectoryStore(tmp_path / "a store"), DirectorySigner(tmp_path / "a store")
    bucket = request.getfixturevalue(f"{request.param}_bucket")
    return bucket.store, bucket.signer


@pytest.fixture
def runner() -> Iterator[Endpoints]:
    endpoints = Endpoints(timeout=10)
    yield endpoints
    for connection in endpoints._open.values():
        connection.close()


def test_what_the_runner_writes_once_is_read_here_and_not_replaced(ends: Ends, runner: Endpoints, at: At) -> None:
    store, signer = ends
    put = signer.sign_put(at("1/result"), 60)
    assert runner.put(put.url, put.headers, b"first") == OK
    assert runner.put(put.url, put.headers, b"second") == PRECONDITION_FAILED
    assert store.get(at("1/result")) == b"first"


def test_what_is_stored_here_is_read_by_the_runner(ends: Ends, runner: Endpoints, at: At) -> None:
    store, signer = ends
    store.put(at("blob"), b"content")
    pieces: list[bytes] = []
    assert runner.get(signer.sign_get(at("blob"), 60), pieces.append) == OK
    assert b"".join(pieces) == b"content"
    assert runner.get(signer.sign_get(at("missing"), 60), pieces.append) == NOT_FOUND


def test_log_chunks_of_the_runner_are_listed_in_their_order(ends: Ends, runner: Endpoints, at: At) -> None:
    store, signer = ends
    grant = signer.sign_post(at("1/log/"), 1000, 60)
    for number in (1, 2, 3):
        status = runner.post(grant.url, grant.fields, f"{grant.prefix}{number:06}", b"chunk %d" % number)
        assert 200 <= status < 300
    assert [store.get(info.key) for info in store.list(at("1/log/"))] == [b"chunk 1", b"chunk 2", b"chunk 3"]
