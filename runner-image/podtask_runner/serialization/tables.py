"""Formats for arrays and tables, where their libraries are: what is written so, any tool can read.

    npy                numpy arrays                  parquet;of=pandas|polars|pyarrow   tables

A format is used only for what it carries exactly, told by rules about types, never by trying: otherwise the value is
pickled. Libraries are imported when a value of theirs is there (writing) or wanted (reading). Registered from:
`podtask_runner.serialization.registry`.
"""

from __future__ import annotations

import importlib
import io
import sys
from pathlib import Path
from typing import Any, BinaryIO

from podtask_runner.serialization.format import Word

_NPY_KINDS = frozenset("biufcSU?")
"""Booleans, numbers, fixed texts. Dates lose nothing either, but their metadata is not worth the risk."""
_PANDAS_EXACT = frozenset(
    {"bool", "float32", "float64", "datetime64[ns]", "datetime64[us]", "datetime64[ms]", "boolean", "str"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
    | {f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
)
_POLARS_EXACT = frozenset(
    {"Boolean", "Float32", "Float64", "String", "Utf8", "Binary", "Date", "Time"}
    | {f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
)
_ARROW_EXACT = frozenset(
    {"bool", "float", "double", "string", "large_string", "binary", "large_binary", "date32[day]"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)


def word_for(value: object) -> Word | None:
    """The format that carries the value exactly, or None."""
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    if library == "numpy" and kind is _of("numpy", "ndarray"):
        return Word("npy") if _fits_npy(value) else None
    if library == "pandas" and kind is _of("pandas", "DataFrame"):
        return Word("parquet", details={"of": library}) if _fits_pandas(value) and _has("pyarrow.parquet") else None
    if library == "polars" and kind is _of("polars", "DataFrame"):
        return Word("parquet", details={"of": library}) if _fits_polars(value) else None
    if library == "pyarrow" and kind is _of("pyarrow", "Table"):
        return Word("parquet", details={"of": library}) if _fits_arrow(value) and _has("pyarrow.parquet") else None
    return None


def _fits_npy(array: Any) -> bool:
    dtype = array.dtype
    return dtype.kind in _NPY_KINDS and dtype.names is None and dtype.subdtype is None and dtype.metadata is None


def _fits_pandas(frame: Any) -> bool:
    """Plain texts as unique column names, a fresh range as index, no attributes, types that come back the same."""
    index, columns = frame.index, frame.columns
    fresh = type(index).__name__ == "RangeIndex" and (index.start, index.step, index.name) == (0, 1, None)
    named = columns.name is None and columns.is_unique and all(type(name) is str for name in columns)
    plain = not frame.attrs and frame.flags.allows_duplicate_labels and type(columns).__name__ == "Index"
    return fresh and named and plain and len(columns) > 0 and all(str(kind) in _PANDAS_EXACT for kind in frame.dtypes)


def _fits_polars(frame: Any) -> bool:
    return frame.width > 0 and all(str(kind) in _POLARS_EXACT for kind in frame.dtypes)


def _fits_arrow(table: Any) -> bool:
    schema = table.schema
    unique = len(set(schema.names)) == len(schema.names) > 0
    plain = all(str(field.type) in _ARROW_EXACT and not field.metadata for field in schema)
    return unique and schema.metadata is None and plain


class _AsFile(io.RawIOBase):
    """A plain writer as the libraries want a file to be."""

    def __init__(self, sink: Any) -> None:
        super().__init__()
        self._sink, self._at = sink, 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        size: int = self._sink.write(data)
        self._at += size
        return size


def write(value: Any, word: Word, sink: Any) -> None:
    """The value into a binary writer. Raises what the writer raises."""
    stream = _AsFile(sink)
    if word.format == "npy":
        numpy = importlib.import_module("numpy")
        numpy.lib.format.write_array(stream, value, allow_pickle=False)
        return
    of = word.details["of"]
    if of == "polars":
        value.write_parquet(stream)
        return
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    table = arrow.Table.from_pandas(value) if of == "pandas" else value
    parquet.write_table(table, stream)


def read(source: Path | BinaryIO, word: Word) -> Any:
    """The value in a file. Raises `ModuleNotFoundError` for the library that is missing here, `ValueError`."""
    if word.format == "npy":
        return importlib.import_module("numpy").load(source, allow_pickle=False)
    of = word.details.get("of", "")
    if of == "polars":
        return importlib.import_module("polars").read_parquet(source)
    if of not in ("pandas", "pyarrow"):
        raise ValueError(f"parquet of {of!r} is not known here")
    if of == "pandas":
        importlib.import_module("pandas")
    table = importlib.import_module("pyarrow.parquet").read_table(source, use_threads=False)
    return table.to_pandas() if of == "pandas" else table


def _of(library: str, name: str) -> object:
    return getattr(sys.modules.get(library), name, None)


def _has(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True
