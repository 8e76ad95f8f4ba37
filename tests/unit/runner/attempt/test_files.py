"""`File` through the runner: arguments, results and upstreams as files, under the name they had, with little memory."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.unit.runner.harness import Attempt, Ran, inline, stored
from tests.unit.runner.s3like import S3Like

from podtask_runner import files, protocol
from podtask_runner.files import File
from podtask_runner.protocol import Verdict
from podtask_runner.serialization import pickling
from podtask_runner.serialization.by_value import Packing, Travel
from podtask_runner.serialization.format import Word, file_word
from podtask_runner.storage.spool import digest

CONTENT = b"line\n" * 1000


def content_of(path: Path, data: bytes = CONTENT) -> File:
    path.write_bytes(data)
    return File(path)


class TestFile:
    def test_it_is_a_path(self, tmp_path: Path) -> None:
        file = content_of(tmp_path / "a.txt")
        with open(file, "rb") as stream:  # noqa: PTH123 - as user code does
            assert stream.read() == CONTENT
        assert (file.name, file.size, file.digest) == ("a.txt", len(CONTENT), digest(CONTENT))
        with file.open() as stream:
            assert stream.read() == CONTENT

    @pytest.mark.parametrize(
        ("make", "kind", "words"),
        [
            pytest.param(lambda path: None, FileNotFoundError, "no file .*with.* block", id="what is not there"),
            pytest.param(lambda path: path.mkdir(), IsADirectoryError, "is a folder; pack it", id="a folder"),
            pytest.param(os.mkfifo, ValueError, "not a regular file", id="a pipe"),
            pytest.param(lambda path: sparse(path, 5 * 1024**3 + 1), ValueError, "5 GiB", id="more than one PUT takes"),
        ],
    )
    def test_no_file_is(self, tmp_path: Path, make: Any, kind: type[Exception], words: str) -> None:
        make(tmp_path / "it")
        with pytest.raises(kind, match=words):
            File(tmp_path / "it")

    def test_its_digest_follows_a_change(self, tmp_path: Path) -> None:
        file = content_of(tmp_path / "a")
        before = file.digest
        file.path.write_bytes(b"other")
        assert file.digest == digest(b"other") != before

    def test_it_is_saved_under_its_name_or_another(self, tmp_path: Path) -> None:
        file = content_of(tmp_path / "a.txt")
        (tmp_path / "folder").mkdir()
        for target, where in (("folder", "folder/a.txt"), ("b.txt", "b.txt")):
            assert file.save(tmp_path / target) == tmp_path / where
            assert (tmp_path / where).read_bytes() == CONTENT

    @pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "", "a/b", "nul\0"])
    def test_a_name_from_elsewhere_stays_in_its_folder(self, tmp_path: Path, name: str) -> None:
        path = files.place(tmp_path, name)
        assert path.parent.parent == tmp_path
        assert path.name not in ("", ".", "..")


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as stream:
        stream.truncate(size)


@pytest.mark.parametrize("name", ["model.bin", "ünïcode; a=b%.csv", "x" * 300 + ".parquet", "名" * 300])
def test_the_name_travels_in_the_serializer(name: str) -> None:
    text = str(file_word(name))
    assert len(text) < 1024
    word = Word.read(text)
    assert word.format == "file"
    if len(name) < 80:
        assert word.details["name"] == name
    else:
        assert len(word.details["name"]) == 80
        assert word.details["name"].startswith(name[:60])
        assert Path(word.details["name"]).suffix == Path(name).suffix


def reads(file: File) -> list[Any]:
    return [file.name, file.path.read_bytes().decode().count("\n"), isinstance(file, os.PathLike)]


def writes(folder: str) -> File:
    path = Path(folder) / "out.txt"
    path.write_text("result\n" * 10)
    return File(path)


def with_file(attempt: Attempt, file: File, at: str = "", **changes: Any) -> dict[str, Any]:
    """Inputs and files as the Kubernetes backend sends them."""
    data = pickling.dumps(((file,), {}), reference=lambda obj: files.reference(obj) if isinstance(obj, File) else None)
    blob = protocol.Blob(file.digest, file.size, "file", url=at or file.path.as_uri())
    return {"inputs": inline(data), "files": (blob,), **changes}


def code(fn: Any) -> protocol.Code:
    """By value, since the runner of these tests does not have them."""
    packing = Packing(lambda name: Travel.VALUE if name.startswith("tests") else Travel.NAME)
    return protocol.Code(shipped=inline(pickling.dumps(fn, packing=packing)))


def call(attempt: Attempt, fn: Any, *args: Any) -> Ran:
    return attempt.run(attempt.grants(code(fn), inputs=inline(pickling.dumps((args, {})))))


class TestArguments:
    def test_an_argument_arrives_under_its_name(self, attempt: Attempt, tmp_path: Path) -> None:
        options = with_file(attempt, content_of(tmp_path / "a b.txt"))
        assert attempt.run(attempt.grants(code(reads), **options)).result.value == '["a b.txt",1000,true]'

    def test_it_is_streamed_from_a_server(self, served: Attempt, server: S3Like, tmp_path: Path) -> None:
        file = content_of(tmp_path / "a.txt")
        server.objects["/blob"] = CONTENT
        options = with_file(served, file, f"{server.url}/blob")
        assert served.run(served.grants(code(reads), **options)).result.value == '["a.txt",1000,true]'

    @pytest.mark.parametrize("there", [CONTENT[:-1] + b"!", CONTENT + b"more", b""])
    def test_other_content_is_never_seen_by_the_task(
        self, served: Attempt, server: S3Like, tmp_path: Path, there: bytes
    ) -> None:
        options = with_file(served, content_of(tmp_path / "a.txt"), f"{server.url}/blob")
        server.objects["/blob"] = there
        assert served.run(served.grants(code(reads), **options)).outcome.outcome is Verdict.INPUT_CORRUPTED

    def test_content_that_was_not_granted_is_named(self, attempt: Attempt, tmp_path: Path) -> None:
        options = with_file(attempt, content_of(tmp_path / "a.txt"), files=())
        ran = attempt.run(attempt.grants(code(reads), **options))
        assert ran.outcome.outcome is Verdict.INVALID_SPEC
        assert "spec.files" in ran.error.message


class TestResults:
    def test_a_file_is_stored_raw_and_named_by_the_serializer(self, attempt: Attempt, tmp_path: Path) -> None:
        ran = call(attempt, writes, str(tmp_path))
        assert attempt.path("result").read_bytes() == b"result\n" * 10
        assert ran.result.serializer == "file;name=out.txt"
        assert (ran.result.size, ran.result.value, ran.result.inline) == (70, None, None)
        assert ran.result.contentHash

    def test_a_file_that_is_removed_at_exit_is_stored_all_the_same(self, attempt: Attempt, tmp_path: Path) -> None:
        def vanishing(folder: str) -> File:
            import atexit

            path = Path(folder) / "out.txt"
            path.write_text("result")
            atexit.register(path.unlink)
            return File(path)

        call(attempt, vanishing, str(tmp_path))
        assert attempt.path("result").read_bytes() == b"result"

    def test_a_file_that_is_gone_already_is_told_why(self, attempt: Attempt) -> None:
        def gone() -> File:
            import tempfile

            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "out.txt"
                path.write_text("result")
                return File(path)

        ran = call(attempt, gone)
        assert ran.outcome.outcome is Verdict.CRASHED
        assert "is gone when the block ends" in ran.error.message
        assert "podtask.File" in (ran.error.cure or "")

    def test_a_file_inside_of_a_result_is_refused(self, attempt: Attempt, tmp_path: Path) -> None:
        ran = call(attempt, lambda folder: {"model": writes(folder)}, str(tmp_path))
        assert ran.outcome.outcome is Verdict.CRASHED
        assert "only be a result by itself" in ran.error.message

    def test_the_result_of_an_upstream_is_a_file_again(self, attempt: Attempt, tmp_path: Path) -> None:
        blob = stored(tmp_path / "result", CONTENT, "file;name=up.txt")
        upstream = (protocol.Upstream(blob, parameter="file"),)
        ran = attempt.run(attempt.grants(code(reads), upstream=upstream))
        assert ran.result.value == '["up.txt",1000,true]'


def peak_after(fn: Any) -> Any:
    """The call's value, and the child's peak memory in MiB until then."""

    def measured(*args: Any) -> list[Any]:
        import resource

        return [fn(*args), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]

    return measured


class TestMemory:
    def test_a_file_passes_without_being_loaded(self, served: Attempt, server: S3Like, tmp_path: Path) -> None:
        big = tmp_path / "big.bin"
        sparse(big, 200 << 20)
        server.objects["/blob"] = big.read_bytes()
        options = with_file(served, File(big), f"{server.url}/blob")
        size, after = json.loads(
            served.run(served.grants(code(peak_after(lambda file: file.size)), **options)).result.value or ""
        )
        assert size == 200 << 20
        assert after < 100

    def test_a_large_argument_is_in_memory_once(self, attempt: Attempt, tmp_path: Path) -> None:
        data = pickling.dumps(((b"x" * (100 << 20),), {}))
        blob = stored(tmp_path / "inputs", data)
        ran = attempt.run(attempt.grants(code(peak_after(len)), inputs=blob))
        size, after = json.loads(ran.result.value or "")
        assert size == 100 << 20
        assert after < 100 + 60

    def test_a_large_result_is_not_copied_in_memory(self, attempt: Attempt) -> None:
        source = (
            "import atexit, resource, sys\n"
            "def main():\n"
            "    atexit.register(lambda: sys.stderr.write('%d' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))\n"
            "    return bytes(100 << 20)\n"
        )
        ran = attempt.source(source)
        assert ran.result.size > 100 << 20
        assert int(ran.stdout) / 1024 < 100 + 60
        assert pickling.loads(attempt.path("result")) == bytes(100 << 20)
