"""Formats of results: exact or not used, named in the outcome, and read with a cure where something is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tests.unit.runner.harness import RUNNER, Attempt, Ran, inline, stored

from podtask_runner import protocol
from podtask_runner.protocol import Verdict
from podtask_runner.serialization import pickling, registry
from podtask_runner.serialization.by_value import Packing, Travel
from podtask_runner.serialization.format import Word
from podtask_runner.serialization.registry import NotReadable
from podtask_runner.serializers import register_serializer

SPECIAL = [0.0, -0.0, float("nan"), float("inf"), 1e-320]


def same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        if one.flags.forc:  # what has gaps is written without them
            assert one.flags.f_contiguous == other.flags.f_contiguous
    elif isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
        assert type(one.index) is type(other.index)
    elif isinstance(one, pl.DataFrame):
        assert one.schema == other.schema
        assert one.equals(other, null_equal=True) or one.to_dict(as_series=False).__repr__() == repr(
            other.to_dict(as_series=False)
        )
    else:
        assert one.schema.equals(other.schema, check_metadata=True)
        assert repr(one.to_pydict()) == repr(other.to_pydict())


PANDAS = {
    "integers": pd.array([1, -2], dtype="int64"),
    "small": pd.array([1, 2], dtype="uint8"),
    "floats": [0.1, float("nan")],
    "singles": pd.array([0.1, 3], dtype="float32"),
    "truth": [True, False],
    "times": pd.to_datetime(["2020-01-01T01:02:03.000000004", None]),
    "missing": pd.array([1, None], dtype="Int64"),
    "unsure": pd.array([True, None], dtype="boolean"),
}
EXACT = {
    "an array": (np.arange(12).reshape(3, 4), "npy"),
    "an array in Fortran order": (np.asfortranarray(np.ones((3, 4))), "npy"),
    "a slice": (np.arange(100)[::7], "npy"),
    "special floats": (np.array(SPECIAL), "npy"),
    "big-endian numbers": (np.arange(3, dtype=">i4"), "npy"),
    "texts": (np.array(["a", "büro"]), "npy"),
    "one number": (np.array(1 + 2j), "npy"),
    "nothing": (np.zeros((0, 3)), "npy"),
    "a pandas table": (pd.DataFrame(PANDAS), "parquet;of=pandas"),
    "a pandas table of special floats": (pd.DataFrame({"x": SPECIAL}), "parquet;of=pandas"),
    "a pandas table without rows": (pd.DataFrame({"x": np.zeros(0)}), "parquet;of=pandas"),
    "a polars table": (
        pl.DataFrame({"a": [1, None], "s": ["x", None], "f": [0.1, float("nan")], "b": [b"x", None]}),
        "parquet;of=polars",
    ),
    "a pyarrow table": (pa.table({"a": [1, None], "s": ["x", None], "f": SPECIAL[:2]}), "parquet;of=pyarrow"),
}
PICKLED = {
    "an array of objects": np.array([1, "a"], dtype=object),
    "a record array": np.zeros(2, dtype=[("a", "i4"), ("b", "f8")]),
    "dates of numpy": np.array(["2020-01-01"], dtype="datetime64[D]"),
    "a masked array": np.ma.masked_array([1, 2], [True, False]),
    "a matrix of a subclass": np.arange(4).reshape(2, 2).view(type("Own", (np.ndarray,), {})),
    "a number of numpy": np.float64(1),
    "a table with an index": pd.DataFrame({"a": [1]}, index=["x"]),
    "a table whose index begins late": pd.DataFrame({"a": [1]}, index=pd.RangeIndex(5, 6)),
    "a table with a named index": pd.DataFrame({"a": [1]}, index=pd.RangeIndex(1, name="i")),
    "a table of objects": pd.DataFrame({"a": pd.Series([1, "a"], dtype=object)}),
    "a table of categories": pd.DataFrame({"a": pd.Categorical(["x"])}),
    "a table with time zones": pd.DataFrame({"a": pd.to_datetime(["2020-01-01"], utc=True)}),
    "a table with numbers for names": pd.DataFrame({1: [1]}),
    "a table with names twice": pd.DataFrame([[1, 2]], columns=["a", "a"]),
    "a table with levels of names": pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])),
    "a table without columns": pd.DataFrame(index=range(3)),
    "a column": pd.Series([1]),
    "a polars table of lists": pl.DataFrame({"a": [[1]]}),
    "a polars table of categories": pl.DataFrame({"a": pl.Series(["x"], dtype=pl.Categorical)}),
    "a polars table without columns": pl.DataFrame(),
    "a pyarrow table of a dictionary": pa.table({"a": pa.array(["x"]).dictionary_encode()}),
    "a pyarrow table with metadata": pa.table({"a": [1]}).replace_schema_metadata({"k": "v"}),
    "an array in a list": [np.arange(3)],
}


@pytest.mark.parametrize(("value", "word"), EXACT.values(), ids=list(EXACT))
def test_what_a_format_carries_exactly_comes_back_the_same(value: Any, word: str, tmp_path: Path) -> None:
    data, serializer = pickling.serialize_result(value)
    assert serializer == word
    same(value, pickling.deserialize(data, serializer))
    (tmp_path / "stored").write_bytes(data)
    same(value, pickling.deserialize(tmp_path / "stored", serializer))


@pytest.mark.parametrize("value", [*PICKLED.values(), attrs := pd.DataFrame({"a": [1]})], ids=[*PICKLED, "attributes"])
def test_what_no_format_carries_exactly_is_pickled(value: Any) -> None:
    attrs.attrs["unit"] = "m"
    assert pickling.serialize_result(value)[1] == "cloudpickle"


@pytest.fixture
def own() -> Iterator[None]:
    register_serializer("fraction", Fraction, dumps=to_text, loads=from_text)
    yield
    registry.REGISTERED.clear()


def to_text(value: Fraction) -> bytes:
    return str(value).encode()


def from_text(data: bytes) -> Fraction:
    return Fraction(data.decode())


class Half(Fraction):
    """A subclass is another type."""


@pytest.mark.usefixtures("own")
class TestRegistered:
    def test_a_type_of_ones_own_is_written_and_read_by_it(self) -> None:
        assert pickling.serialize_result(Fraction(1, 3)) == (b"1/3", "fraction")
        assert pickling.deserialize(b"1/3", "fraction") == Fraction(1, 3)
        assert pickling.serialize_result(Half(1, 2))[1] == "cloudpickle"

    def test_it_goes_along_with_the_code_and_serves_results_and_upstreams(
        self, attempt: Attempt, tmp_path: Path
    ) -> None:
        ran = equipped(attempt, lambda x: x * 2, stored(tmp_path / "up", b"1/3", "fraction"))
        assert (ran.result.serializer, attempt.path("result").read_bytes()) == ("fraction", b"2/3")

    def test_where_it_is_not_known_there_is_a_cure(self, attempt: Attempt, tmp_path: Path) -> None:
        registry.REGISTERED.clear()
        ran = equipped(attempt, lambda x: x, stored(tmp_path / "up", b"1/3", "fraction"))
        assert ran.outcome.outcome is Verdict.ENVIRONMENT_MISMATCH
        assert "register_serializer('fraction'" in (ran.error.cure or "")

    @pytest.mark.parametrize("name", ["json", "file", "npy", "", "With Space", "a;b", "x+gzip"])
    def test_a_name_that_is_none_or_taken_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="cannot be named"):
            register_serializer(name, Fraction, dumps=to_text, loads=from_text)


def equipped(attempt: Attempt, fn: Any, upstream: protocol.Blob) -> Ran:
    content = registry.Equipped(tuple(registry.REGISTERED.values()), fn)
    packing = Packing(lambda name: Travel.VALUE if name.startswith("tests") else Travel.NAME)
    code = protocol.Code(shipped=inline(pickling.dumps(content, packing=packing)))
    return attempt.run(attempt.grants(code, upstream=(protocol.Upstream(upstream, parameter="x"),)))


@pytest.mark.parametrize(
    ("serializer", "missing"),
    [
        ("npy", "numpy"),
        ("parquet;of=pandas", "pandas"),
        ("parquet;of=polars", "polars"),
        ("parquet;of=pyarrow", "pyarrow"),
    ],
)
def test_a_library_that_is_missing_where_it_is_read_is_named(serializer: str, missing: str) -> None:
    script = (
        "import sys\n"
        f"for name in ('numpy', 'pandas', 'polars', 'pyarrow'): sys.modules[name] = None\n"
        "from podtask_runner.serialization import registry\nfrom podtask_runner.serialization.format import Word\n"
        f"try: registry.read(b'', Word.read({serializer!r}))\n"
        "except registry.NotReadable as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": RUNNER}, capture_output=True, text=True, check=True
    )
    assert f"needs the package '{missing}'" in done.stdout
    assert f"pip install {missing}" in done.stdout


def test_a_word_of_another_version_is_not_readable_and_says_so() -> None:
    with pytest.raises(NotReadable, match="'orc'"):
        pickling.deserialize(b"", "orc;of=pandas")


def test_words_come_back_from_their_text() -> None:
    word = Word("npy").compressed(12)
    assert str(word) == "npy+gzip;size=12"
    assert Word.read(str(word)) == word
    assert word.size == 12
    with pytest.raises(ValueError, match="how large"):
        Word.read("npy+gzip").size  # noqa: B018


def test_arrays_and_tables_are_results_of_attempts(attempt: Attempt) -> None:
    ran = attempt.source("def main():\n    import numpy\n    return numpy.arange(3)")
    assert ran.result.serializer == "npy"
    assert np.load(attempt.path("result")).tolist() == [0, 1, 2]
