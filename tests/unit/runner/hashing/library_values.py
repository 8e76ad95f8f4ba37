"""Arrays and tables for the hashing tests: made twice in different ways, and some that differ in one thing.

As a script it prints the hashes of all of them (see test_canonical_data).
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from podtask_runner.hashing.content_hash import content_hash

ARRAY = np.arange(12, dtype="int32").reshape(3, 4)
FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
TABLE = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
POLARS = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})
NESTED = [[1], None, [2, None], []]
STRUCTS = [{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}]
NAN, OTHER_NAN = np.float64("nan"), np.frombuffer(b"\1\0\0\0\0\0\xf8\x7f")[0]


def cut(values: list[Any], kind: pa.DataType) -> pa.ChunkedArray:
    """The values in two slices of longer arrays."""
    return pa.chunked_array([pa.array([*values[1:], values[0]], kind)[-1:], pa.array(values, kind)[1:]])


def whole(values: list[Any], kind: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


EQUAL: dict[str, tuple[Any, Any]] = {
    "an array in Fortran's order": (ARRAY, np.asfortranarray(ARRAY)),
    "a strided view of an array": (ARRAY, np.arange(24, dtype="int32").reshape(3, 8)[:, ::2] // 2),
    "NaNs of arrays, whatever their bits": (np.array([NAN, 1]), np.array([OTHER_NAN, 1])),
    "NaNs of complex arrays": (np.array([complex(1, NAN)]), np.array([complex(1, OTHER_NAN)])),
    "a frame put together from two": (FRAME, pd.concat([FRAME.iloc[:1], FRAME.iloc[1:]])),
    "an index of a range, written out": (pd.Index([0, 1]), pd.RangeIndex(2)),
    "pandas' arrays on arrow": (
        pd.array([1, None], dtype="int64[pyarrow]"),
        pd.array([1, pd.NA], dtype="int64[pyarrow]"),
    ),
    "a table in chunks": (TABLE, pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)])),
    "a slice of a batch": (TABLE.to_batches()[0].slice(1), pa.record_batch({"a": [2, 3], "b": [None, "z"]})),
    "no chunk and an empty one": (pa.chunked_array([], pa.string()), whole([], pa.string())),
    "arrow dictionaries in another order": (
        pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["x", "y"])),
        pa.DictionaryArray.from_arrays(pa.array([1, 0]), pa.array(["y", "x"])),
    ),
    "what lies under an arrow null": (
        pa.array([1, None]),
        pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\1"), pa.py_buffer(np.array([1, 99]).tobytes())]),
    ),
    "a polars frame in chunks": (POLARS, pl.concat([POLARS[:1], POLARS[1:]], rechunk=False)),
    "a polars slice": (pl.Series("a", [2, 3]), pl.Series("a", [1, 2, 3])[1:]),
    "a polars series that knows it is sorted": (pl.Series([1, 2]), pl.Series([1, 2]).set_sorted()),
    "polars categories in another order": (
        pl.Series(["y", "x", "y"], dtype=pl.Categorical)[1:],
        pl.Series(["x", "y"], dtype=pl.Categorical),
    ),
    "what lies under a polars null": (pl.Series([1, None]), pl.Series([1, 2]) + pl.Series([0, None])),
    **{
        f"slices of {kind}": (whole(values, kind), cut(values, kind))
        for kind, values in {
            pa.list_(pa.int64()): NESTED,
            pa.large_list(pa.int64()): NESTED,
            pa.list_(pa.int64(), 1): [[1], None, [2]],
            pa.struct({"a": pa.int64(), "b": pa.string()}): STRUCTS,
            pa.map_(pa.string(), pa.int64()): [[("k", 1)], None, []],
            pa.bool_(): [True, None, False],
            pa.binary(2): [b"ab", b"cd"],
            pa.large_string(): ["a", "", None],
            pa.string_view(): ["a" * 20, "", None],
            pa.timestamp("us", "UTC"): [dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc), None],
            pa.null(): [None, None],
        }.items()
    },
    **{
        f"slices of polars {kind}": (
            pl.Series(values, dtype=kind),
            pl.concat([pl.Series(values, dtype=kind)[:1], pl.Series(values, dtype=kind)[1:]], rechunk=False),
        )
        for kind, values in {
            pl.List(pl.Int64): NESTED,
            pl.Array(pl.Int64, 1): [[1], None, [2]],
            pl.Struct({"a": pl.Int64, "b": pl.String}): STRUCTS,
            pl.Boolean(): [True, None, False],
            pl.String(): ["a" * 20, "", None],
            pl.Float64(): [1.5, float("nan"), None],
            pl.Enum(["x", "y"]): ["y", None],
            pl.Object(): [{1, 2}, None],
        }.items()
    },
}

DIFFERENT: dict[str, list[Any]] = {
    "arrays": [
        ARRAY,
        ARRAY.T,
        ARRAY.astype("int64"),
        ARRAY.astype(">i4"),
        ARRAY.reshape(4, 3),
        ARRAY.tolist(),
        ARRAY + 1,
        np.ma.array(ARRAY),
    ],
    "arrays of other kinds": [
        np.float64(1),
        np.int64(1),
        1,
        np.array(1.0),
        np.array([0.0]),
        np.array([-0.0]),
        np.array([]),
        np.array([], dtype="int8"),
        np.array(["a", None, {1}], dtype=object),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("c", "f8")]),
        np.array(["2024-01-01"], dtype="datetime64[D]"),
        np.array(["a", "b"]),
        np.dtype("int8"),
    ],
    "frames": [
        FRAME,
        FRAME[["b", "a"]],
        FRAME.iloc[::-1],
        FRAME.astype({"a": "Int64"}),
        FRAME.astype({"b": "category"}),
        FRAME.set_index("a"),
        FRAME.rename(columns={"a": "c"}),
        FRAME["a"],
        FRAME["a"].rename("z"),
        FRAME["a"].array,
        FRAME.index,
        pd.MultiIndex.from_tuples([(1, "a"), (2, "b")]),
        pd.to_datetime(pd.Series(["2024-01-01"])).dt.tz_localize("UTC"),
        pd.to_datetime(pd.Series(["2024-01-01"])),
        pd.Timestamp("2024-01-01"),
        pd.array([1, None], dtype="Int64"),
        pd.array([1, None], dtype="int64[pyarrow]"),
    ],
    "arrow tables": [
        TABLE,
        TABLE.select(["b", "a"]),
        TABLE.rename_columns(["a", "c"]),
        TABLE.to_batches()[0],
        TABLE.slice(1),
        TABLE.replace_schema_metadata({"k": "v"}),
        TABLE.set_column(1, "b", pa.array(["x", "", "z"])),
        TABLE.set_column(1, "b", pa.array(["", "x", "z"])),
        TABLE.set_column(1, "b", pa.array(["xz", None, ""])),
        TABLE.set_column(0, "a", pa.array([1, 2, 3], pa.int32())),
        TABLE["a"],
        TABLE["a"].chunk(0),
        TABLE.schema,
        [1, 2, 3],
    ],
    "arrow arrays": [
        whole(NESTED, pa.list_(pa.int64())),
        whole([[1], None, [2], [None]], pa.list_(pa.int64())),
        whole([[1], [], [2, None], []], pa.list_(pa.int64())),
        whole(STRUCTS, pa.struct({"a": pa.int64(), "b": pa.string()})),
        whole(STRUCTS, pa.struct({"a": pa.int64(), "c": pa.string()})),
        pa.array([0.0]),
        pa.array([-0.0]),
        pa.array([float("nan")]),
        pa.array([None], pa.float64()),
        pa.array([]),
        pa.array([], pa.string()),
        pa.array([None]),
        pa.scalar(1),
    ],
    "polars": [
        POLARS,
        POLARS.select("b", "a"),
        POLARS.rename({"b": "c"}),
        POLARS[1:],
        POLARS.with_columns(b=pl.Series(["x", "", "z"])),
        POLARS.with_columns(a=pl.col("a").cast(pl.Int32)),
        POLARS.lazy(),
        POLARS.to_arrow(),
        POLARS["a"],
        POLARS["a"].rename("z"),
        pl.col("a"),
        pl.Series(NESTED),
        pl.Series([[1], None, [2], [None]]),
        pl.Series([[1], [], [2, None], []]),
        pl.Series(STRUCTS),
        pl.Series([0.0]),
        pl.Series([-0.0]),
        pl.Series(["x", "y"], dtype=pl.Enum(["x", "y"])),
        pl.Series(["x", "y"], dtype=pl.Enum(["y", "x"])),
        pl.Series(["x", "y"], dtype=pl.Categorical),
        pl.Series(["x", "y"]),
    ],
}

if __name__ == "__main__":
    print(json.dumps([content_hash(value) for group in (*EQUAL.values(), *DIFFERENT.values()) for value in group]))
