"""The file with the grants: as JSON, compressed, or naming an object, which is checked before it is read."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.runner.harness import Attempt
from tests.unit.runner.s3like import CUT, S3Like

from podtask_runner import protocol
from podtask_runner.errors import InputCorrupted
from podtask_runner.storage import grants_file

SOURCE = protocol.Code(source="def main():\n    return 42\n")


@pytest.fixture
def server() -> Iterator[S3Like]:
    found = S3Like()
    yield found
    found.close()


def pointer(server: S3Like, grants: protocol.Grants, name: str = "1") -> bytes:
    """The object is there; what the file says of it."""
    data = gzip.compress(protocol.dump(grants))
    server.objects[f"/{name}"] = data
    blob = protocol.Blob(hashlib.sha256(data).hexdigest(), len(data), url=f"{server.url}/{name}")
    return protocol.dump(protocol.GrantsDocument(blob, 20.0))


def test_all_three_say_the_same(tmp_path: Path, server: S3Like) -> None:
    grants = Attempt(tmp_path).grants(SOURCE)
    path = tmp_path / "grants.json"
    for data in (protocol.dump(grants), gzip.compress(protocol.dump(grants)), pointer(server, grants)):
        path.write_bytes(data)
        assert grants_file.read(path) == grants


def test_the_store_is_waited_for(tmp_path: Path, server: S3Like) -> None:
    grants, path = Attempt(tmp_path).grants(SOURCE), tmp_path / "grants.json"
    path.write_bytes(pointer(server, grants))
    server.answers = [503, CUT]
    assert grants_file.read(path) == grants


def test_where_the_url_is_refused_the_file_is_read_again(tmp_path: Path, server: S3Like) -> None:
    grants, path = Attempt(tmp_path).grants(SOURCE), tmp_path / "grants.json"
    path.write_bytes(pointer(server, grants, "1"))
    renewed = pointer(server, grants, "2")

    def refuse() -> int:
        path.write_bytes(renewed)
        return 403

    server.answers = [refuse]
    assert grants_file.read(path) == grants
    assert server.seen == [("GET", "/1"), ("GET", "/2")]


def test_another_object_than_the_one_that_was_written_is_not_read(tmp_path: Path, server: S3Like) -> None:
    path = tmp_path / "grants.json"
    path.write_bytes(pointer(server, Attempt(tmp_path).grants(SOURCE)))
    server.objects["/1"] = gzip.compress(b"{}", mtime=0)
    with pytest.raises(InputCorrupted, match="the grants: expected sha256"):
        grants_file.read(path)


@pytest.mark.parametrize("data", [b"\x1f\x8bnothing", gzip.compress(b"{}", mtime=0)[:-4], b"[]", b'{"document": 3}'])
def test_what_is_no_grants_is_a_value_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "grants.json"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r".+"):
        grants_file.read(path)


def test_a_bomb_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants_file, "LARGEST", 1000)
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        grants_file.unpacked(gzip.compress(bytes(10_000)))


def test_an_attempt_runs_whose_grants_are_in_the_bucket(tmp_path: Path, server: S3Like) -> None:
    attempt = Attempt(tmp_path, server.url)
    data = pointer(server, attempt.grants(SOURCE))

    class Pointing(Attempt):
        def write(self, grants: protocol.Grants) -> Path:
            path = super().write(grants)
            path.write_bytes(data)
            return path

    ran = Pointing(tmp_path, server.url).run(attempt.grants(SOURCE))
    assert ran.outcome.outcome is protocol.Verdict.COMPLETED
    assert ran.result.value == "42"
