"""A disk that is full is told as such, wherever the last bytes of a payload happen to be lost."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.runner.harness import Attempt
from tests.unit.runner.s3like import S3Like

from podtask_runner import protocol
from podtask_runner.attempt.execute import completed
from podtask_runner.storage.client import Store
from podtask_runner.storage.spool import NoRoom, Spool, digest

DATA = b"payload " * 300_000


@contextmanager
def room(size: int) -> Iterator[None]:
    """Files of this process end after `size` bytes: like a full disk, the last write that fits in part is short."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_download_that_fits_but_for_its_end_is_no_verified_file(
    served: Attempt, server: S3Like, tmp_path: Path
) -> None:
    server.objects["/in"] = DATA
    inputs = protocol.Blob(digest(DATA), len(DATA), url=f"{server.url}/in")
    store = Store(served.grants(protocol.Code(source=""), inputs=inputs))
    with room(len(DATA) - 10), pytest.raises(NoRoom), contextlib.closing(store):
        store.read_into(lambda grants: grants.inputs, tmp_path / "in", "inputs")


@pytest.mark.parametrize("size", [100, 2_000_000])
def test_a_spool_without_room_for_its_end_says_so_and_leaves_nothing(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    spool = Spool(above=10)

    def through() -> None:
        spool.write(b"x" * size)
        spool.payload()

    with room(size - 10), pytest.raises(NoRoom):
        through()
    spool.drop()
    assert list(tmp_path.iterdir()) == []


def test_a_small_result_on_a_full_disk_is_not_told_as_one_that_cannot_be_pickled(tmp_path: Path) -> None:
    sink: Any = SimpleNamespace(result=Path("/dev/full"), error=tmp_path / "error", far=False, tell=lambda _: None)
    outcome = completed((1, 2), sink)
    assert outcome.error is not None
    assert "the result (tuple) cannot be written to TMPDIR" in outcome.error.message
