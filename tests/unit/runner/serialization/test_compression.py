"""gzip where it pays, said where it is said, and never more unpacked than was declared."""

from __future__ import annotations

import gzip
import io
import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.runner.harness import Attempt, inline
from tests.unit.runner.s3like import S3Like

from podtask_runner import protocol
from podtask_runner.errors import EnvironmentMismatch, InputCorrupted
from podtask_runner.names import INLINE_LIMIT, PYTHON
from podtask_runner.serialization import header as payload
from podtask_runner.serialization import pickling
from podtask_runner.serialization.compression import Squeezing, parts, unpacked
from podtask_runner.storage.spool import SPOOL_ABOVE, SpoolFile, digest

NOISE = os.urandom(300_000)
ROWS = b"2026-01-01,ok,17\n" * 20_000


def through(*writes: bytes) -> tuple[bytes, bool]:
    sink = io.BytesIO()
    packer = Squeezing(sink)
    for data in writes:
        assert packer.write(data) == len(data)
    packer.finish()
    assert packer.size == sum(map(len, writes))
    return sink.getvalue(), packer.gzipped


class TestDecision:
    @pytest.mark.parametrize(
        ("writes", "gzipped"),
        [
            pytest.param((), False, id="nothing"),
            pytest.param((b"a" * INLINE_LIMIT,), False, id="what fits into a TaskRun"),
            pytest.param((ROWS,), True, id="much of the same"),
            pytest.param((NOISE,), False, id="noise"),
            pytest.param((ROWS[:1000], NOISE), False, id="noise behind a regular beginning"),
            pytest.param(tuple(ROWS[at : at + 99] for at in range(0, len(ROWS), 99)), True, id="many small writes"),
            pytest.param((b"\0" * 40_000, NOISE[:40_000], b"\0" * 40_000), False, id="half and half"),
        ],
    )
    def test_it_is_compressed_where_a_sample_shrinks(self, writes: tuple[bytes, ...], gzipped: bool) -> None:
        data, packed = through(*writes)
        assert packed is gzipped
        assert (gzip.decompress(data) if packed else data) == b"".join(writes)

    def test_the_same_content_is_the_same_object(self) -> None:
        assert through(ROWS) == through(ROWS[:70_000], ROWS[70_000:])


class TestUnpacking:
    @settings(max_examples=50)
    @given(st.binary(max_size=5000), st.integers(1, 1000), st.integers(1, 300))
    def test_any_content_comes_back_whatever_its_pieces(self, data: bytes, times: int, piece: int) -> None:
        whole = data * times
        packed = gzip.compress(whole)
        stream = (packed[at : at + piece] for at in range(0, len(packed), piece))
        assert as_bytes(unpacked(stream, len(whole))) == whole

    @pytest.mark.parametrize("declared", [0, 10, len(ROWS) - 1])
    def test_more_than_was_declared_is_never_unpacked(self, declared: int) -> None:
        with pytest.raises(InputCorrupted, match=f"more than the {declared} bytes"):
            unpacked(parts(gzip.compress(ROWS)), declared)

    def test_a_bomb_is_stopped_at_once(self) -> None:
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
        with pytest.raises(InputCorrupted):
            unpacked(parts(bomb), 1000)

    @pytest.mark.parametrize("size", [5 * 1024**3 + 1, 1 << 60])
    def test_a_declaration_beyond_the_largest_object_is_refused(self, size: int) -> None:
        with pytest.raises(InputCorrupted, match="are the most"):
            unpacked(iter([]), size)

    @pytest.mark.parametrize("data", [b"", b"no gzip", gzip.compress(ROWS)[:-9]], ids=["empty", "other", "cut off"])
    def test_what_is_not_whole_is_corrupted(self, data: bytes) -> None:
        with pytest.raises(InputCorrupted):
            unpacked(parts(data), len(ROWS))

    def test_large_content_is_unpacked_into_a_file_which_goes(self) -> None:
        found = unpacked(parts(gzip.compress(bytes(SPOOL_ABOVE + 1), 1)), SPOOL_ABOVE + 1)
        assert isinstance(found, SpoolFile)
        path = found.path
        assert path.stat().st_size == SPOOL_ABOVE + 1
        del found
        assert not path.exists()


def as_bytes(data: Any) -> bytes:
    return data if isinstance(data, bytes) else data.path.read_bytes()


class TestPickles:
    @pytest.mark.parametrize("count", [20_000, 2_000_000], ids=["in memory", "in a file"])
    def test_arguments_are_compressed_behind_their_header(self, count: int, tmp_path: Path) -> None:
        value = (["row"] * 3, np.zeros(count))
        plain = pickling.dump_payload(value)
        packed = pickling.squeezed(plain)
        assert len(packed) < len(plain) / 20
        header, _ = payload.split(as_bytes(packed))
        assert (header.format, header.python) == (2, PYTHON)
        (tmp_path / "stored").write_bytes(as_bytes(packed))
        for source in (as_bytes(packed), packed, tmp_path / "stored"):
            back = pickling.loads(source)
            assert back[0] == value[0]
            assert np.array_equal(back[1], value[1])

    @pytest.mark.parametrize("value", [b"small", NOISE], ids=["small", "noise"])
    def test_others_stay_as_they_are(self, value: bytes) -> None:
        plain = pickling.dumps(value)
        assert pickling.squeezed(plain) is plain

    def test_the_header_is_checked_before_anything_is_unpacked(self) -> None:
        line = payload.Header(2, "2.7", "3.1.2", "linux", gzip=10).line()
        with pytest.raises(EnvironmentMismatch):
            pickling.loads(line + b"no gzip")


class TestAttempts:
    @pytest.mark.parametrize(
        ("source", "word"),
        [
            ("[17] * 100_000", "json+gzip;size=300001"),
            ("(17,) * 100_000", "cloudpickle+gzip;size="),
            ("[17] * 1000", "json"),
            ("__import__('os').urandom(100_000)", "cloudpickle"),
        ],
    )
    def test_results_for_the_network_are_compressed_where_it_pays(
        self, served: Attempt, server: S3Like, source: str, word: str
    ) -> None:
        ran = served.source(f"def main():\n    return {source}")
        assert ran.result.serializer.startswith(word)
        assert ("gzip" in ran.result.serializer) is ("gzip" in word)
        stored = server.objects["/result"]
        assert (digest(stored), len(stored)) == (ran.result.digest, ran.result.size)
        if "random" not in source:
            assert list(pickling.deserialize(stored, ran.result.serializer))[:3] == [17] * 3

    def test_results_on_this_machine_are_not(self, attempt: Attempt) -> None:
        assert attempt.source("def main():\n    return [17] * 100_000").result.serializer == "json"

    @pytest.mark.parametrize(
        "value", [[17] * 100_000, (17,) * 100_000, np.zeros(100_000)], ids=["json", "pickle", "npy"]
    )
    def test_upstreams_are_unpacked(self, served: Attempt, server: S3Like, value: Any) -> None:
        sink = io.BytesIO()
        packer = Squeezing(sink)
        plain, serializer = pickling.serialize_result(value)
        packer.write(plain)
        packer.finish()
        server.objects["/up"] = sink.getvalue()
        word = f"{serializer}+gzip;size={len(plain)}"
        blob = protocol.Blob(digest(sink.getvalue()), len(sink.getvalue()), word, url=f"{served.store}/up")
        ran = served.source("def main(x):\n    return [len(x), int(x[0])]", upstream=(protocol.Upstream(blob, "x"),))
        assert json.loads(ran.result.value or "") == [100_000, int(value[0])]

    def test_compressed_arguments_are_unpacked(self, served: Attempt) -> None:
        data = pickling.squeezed(pickling.dumps((([17] * 100_000,), {})))
        code = protocol.Code(shipped=inline(pickling.dumps(len)))
        assert len(data) < INLINE_LIMIT
        assert served.run(served.grants(code, inputs=inline(as_bytes(data)))).result.value == "100000"
