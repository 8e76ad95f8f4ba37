"""Canonical forms of arrays and tables: numpy, pandas, polars, pyarrow, torch.

Asked by `podtask_runner.hashing.types`. No library is imported to recognise a value: one that is not loaded has no
values. What counts is what a reader of the values can see: type, names, shape, and the values in their order. Memory
layout, chunks, slices of something larger and what lies under a null do not. As for scalars, all NaNs are one value.
"""

from __future__ import annotations

import ctypes
import hashlib
import io
import struct
import sys
from typing import Any

from podtask_runner.hashing.encoder import Encoder
from podtask_runner.hashing.tokens import Unhashable, text, token


def encode(encoder: Encoder, value: object) -> bytes | None:
    """The token of an array or a table; None for anything else. Raises `Unhashable`."""
    for library, marker, ask in _LIBRARIES:
        module = sys.modules.get(library)
        if module is not None and hasattr(module, marker):  # without the marker, it is still being imported
            answer = ask(encoder, module, value)
            if answer is not None:
                return answer
    return None


def _numpy(encoder: Encoder, numpy: Any, value: Any) -> bytes | None:
    if isinstance(value, numpy.dtype):
        return token(b"dtype", text(repr(value.descr)), text(str(value)))
    scalar = isinstance(value, numpy.generic)
    if not scalar and type(value) is not numpy.ndarray:
        return None
    array = numpy.asarray(value)
    shape = text(repr(array.shape))
    tag = b"npscalar" if scalar else b"ndarray"
    if array.dtype.hasobject or array.dtype.names:  # references, or padding bytes that mean nothing
        return encoder.sequence(tag, array.reshape(-1).tolist(), encoder.encode(array.dtype), shape)
    flat = _with_one_nan(numpy, numpy.ascontiguousarray(array).reshape(-1))
    data = flat.view(numpy.uint8) if array.size else b""
    return token(tag, encoder.encode(array.dtype), shape, _digest(data))


def _with_one_nan(numpy: Any, flat: Any) -> Any:
    if flat.dtype.kind == "c":
        flat = flat.view(flat.real.dtype)
    if flat.dtype.kind != "f" or not flat.size or not numpy.isnan(flat.min()):  # the least is NaN if any is
        return flat
    return numpy.where(numpy.isnan(flat), flat.dtype.type("nan"), flat)


def _pandas(encoder: Encoder, pandas: Any, value: Any) -> bytes | None:
    """Columns in order, their dtypes and values, and the index."""
    if type(value) is pandas.DataFrame:
        columns = [_column(encoder, f"[{name!r}]", value.iloc[:, at].array) for at, name in enumerate(value.columns)]
        axes = (encoder.at(".columns", value.columns), encoder.at(".index", value.index))
        return token(b"dataframe", *axes, *columns)
    if type(value) is pandas.Series:
        name = encoder.at(".name", value.name)
        return token(b"series", name, encoder.at(".index", value.index), _column(encoder, "", value.array))
    if isinstance(value, pandas.MultiIndex):
        return encoder.sequence(b"multiindex", value.to_flat_index().tolist(), encoder.encode(list(value.names)))
    if isinstance(value, pandas.Index):
        # A RangeIndex equals the same numbers written out; only dtype, name and values count.
        return token(b"index", encoder.at(".name", value.name), _column(encoder, "", value.array))
    if isinstance(value, pandas.api.extensions.ExtensionArray):
        return token(b"extension", _column(encoder, "", value))
    return None


def _column(encoder: Encoder, step: str, array: Any) -> bytes:
    """One pandas array: as numpy where that is all there is, else element by element."""
    dtype = array.dtype
    if hasattr(dtype, "categories"):
        categories = encoder.at(step, dtype.categories)
        return token(b"categorical", categories, encoder.encode(array.codes), encoder.encode(bool(dtype.ordered)))
    plain = array.to_numpy() if type(dtype).__module__.partition(".")[0] == "numpy" else array.astype(object)
    return token(b"column", text(str(dtype)), encoder.at(step, plain if hasattr(plain, "dtype") else list(plain)))


def _pyarrow(encoder: Encoder, pyarrow: Any, value: Any) -> bytes | None:
    if isinstance(value, (pyarrow.Table, pyarrow.RecordBatch)):
        names = zip(value.schema.names, value.columns, strict=True)
        columns = [_chunks(encoder, pyarrow, f"[{name!r}]", column) for name, column in names]
        tag = b"arrow table" if isinstance(value, pyarrow.Table) else b"arrow batch"
        return token(tag, b"%d" % value.num_rows, _digest(value.schema.serialize()), *columns)
    if isinstance(value, (pyarrow.Array, pyarrow.ChunkedArray)):
        kind = pyarrow.schema([pyarrow.field("", value.type)]).serialize()
        tag = b"arrow array" if isinstance(value, pyarrow.Array) else b"arrow chunks"
        return token(tag, _digest(kind), _chunks(encoder, pyarrow, "", value))
    return None


def _chunks(encoder: Encoder, pyarrow: Any, step: str, column: Any) -> bytes:
    if isinstance(column, pyarrow.ChunkedArray):
        kind = column.type
        if pyarrow.types.is_string(kind) or pyarrow.types.is_binary(kind):  # all of it may be more than 2 GiB
            column = column.cast(pyarrow.large_binary())
        column = pyarrow.concat_arrays(column.chunks) if column.num_chunks else pyarrow.array([], column.type)
    try:
        return _arrow(encoder, pyarrow, column)
    except Unhashable as found:
        raise found.within(step) from None


def _arrow(encoder: Encoder, pyarrow: Any, array: Any) -> bytes:
    """Which values are null, and the others by their kind."""
    from pyarrow import compute

    kinds, kind = pyarrow.types, array.type
    if isinstance(array, pyarrow.ExtensionArray):
        return _arrow(encoder, pyarrow, array.storage)
    if kinds.is_dictionary(kind):
        return _arrow(encoder, pyarrow, array.dictionary_decode())
    if str(kind) in ("string_view", "binary_view"):
        return _arrow(encoder, pyarrow, array.cast(pyarrow.large_binary()))
    lists = (pyarrow.ListArray, pyarrow.LargeListArray, pyarrow.FixedSizeListArray)
    if kinds.is_map(kind) or (kinds.is_nested(kind) and not isinstance(array, (pyarrow.StructArray, *lists))):
        return encoder.encode(array.to_pylist())  # maps, unions, views of lists, run-end encoded
    valid = _fixed(array.is_valid().cast(pyarrow.uint8())) if array.null_count else b"all"
    array = array.drop_null()
    if kinds.is_boolean(kind):
        parts = [_fixed(array.cast(pyarrow.uint8()))]
    elif kinds.is_struct(kind):
        parts = [_arrow(encoder, pyarrow, part) for part in array.flatten()]
    elif isinstance(array, lists):
        lengths = _fixed(compute.list_value_length(array).cast(pyarrow.int64()))
        parts = [lengths, _arrow(encoder, pyarrow, array.flatten())]
    elif kinds.is_null(kind):
        parts = []
    elif str(kind).endswith(("string", "binary")):
        parts = _texts(array.cast(pyarrow.large_binary()))
    else:
        if kinds.is_floating(kind) and kind.bit_width > 16:
            array = compute.if_else(compute.is_nan(array), pyarrow.scalar(float("nan"), kind), array)
        parts = [_fixed(array)]
    return token(b"arrow", b"%d" % len(array), valid, *parts)


def _fixed(array: Any) -> bytes:
    """Digest of values of one width each, none of them null."""
    width, start = array.type.bit_width // 8, array.offset
    data = array.buffers()[1]
    return _digest(memoryview(data)[start * width : (start + len(array)) * width] if len(array) else b"")


def _texts(array: Any) -> list[bytes]:
    """Digests of the lengths and of the bytes of a large_binary array without nulls."""
    from pyarrow import compute

    if not len(array):
        return []
    _, offsets, data = array.buffers()
    first, last = (struct.unpack_from("<q", offsets, 8 * at)[0] for at in (array.offset, array.offset + len(array)))
    lengths = _fixed(compute.binary_length(array))
    return [lengths, _digest(memoryview(data)[first:last] if last > first else b"")]


def _polars(encoder: Encoder, polars: Any, value: Any) -> bytes | None:
    if isinstance(value, polars.DataFrame):
        columns = [encoder.at(f"[{column.name!r}]", column) for column in value.get_columns()]
        return token(b"polars frame", b"%d" % value.height, *columns)
    if isinstance(value, polars.Series):
        return token(b"polars series", text(value.name), text(repr(value.dtype)), _series(encoder, polars, value))
    return None


def _series(encoder: Encoder, polars: Any, series: Any) -> bytes:
    """Which values are null, and the others by their kind."""
    kind = series.dtype
    if kind == polars.Object:
        return encoder.sequence(b"objects", series.to_list())
    valid = _ipc(polars, series.is_not_null()) if series.null_count() else b"all"
    series = series.drop_nulls()
    if isinstance(kind, polars.Struct):
        parts = [_series(encoder, polars, series.struct.field(name)) for name in series.struct.fields]
    elif isinstance(kind, (polars.List, polars.Array)):
        lengths = series.list.len() if isinstance(kind, polars.List) else series.arr.len()
        inner = series.filter(lengths > 0).explode()
        parts = [_ipc(polars, lengths), _series(encoder, polars, inner)]
    else:
        if isinstance(kind, (polars.Categorical, polars.Enum)):
            series = series.cast(polars.String)
        parts = [_ipc(polars, series.fill_nan(float("nan")) if kind.is_float() else series.to_physical())]
    return token(b"polars", b"%d" % len(series), valid, *parts)


def _ipc(polars: Any, series: Any) -> bytes:
    """Digest of the Arrow stream of one column: no library but polars itself is needed for it."""
    stream = io.BytesIO()
    frame = series.extend_constant(None, 1).rechunk().alias("").to_frame()  # so that it has a bitmap in any case
    frame.write_ipc_stream(stream, compression="uncompressed", compat_level=polars.CompatLevel.oldest())
    return _digest(stream.getbuffer())


def _torch(encoder: Encoder, torch: Any, value: Any) -> bytes | None:
    """Tensors by class, dtype, shape and values; the device and the graph behind them do not count."""
    if not isinstance(value, torch.Tensor):
        return None
    facts = (text(type(value).__qualname__), text(str(value.dtype)), text(str(tuple(value.shape))))
    flag = b"%d" % value.requires_grad
    if value.is_sparse:
        whole = value.detach().coalesce()
        parts = (encoder.encode(whole.indices()), encoder.encode(whole.values()))
        return token(b"sparse tensor", *facts, flag, *parts)
    if value.layout != torch.strided or value.is_quantized:
        raise Unhashable("", f"a tensor of {value.layout} and {value.dtype} cannot be hashed; hash a dense one")
    plain = value.detach().resolve_conj().resolve_neg().cpu().contiguous()
    if plain.is_floating_point() and bool(plain.isnan().any()):
        plain = plain.masked_fill(plain.isnan(), float("nan"))
    size = plain.numel() * plain.element_size()
    data: Any = (ctypes.c_ubyte * size).from_address(plain.data_ptr()) if size else b""
    return token(b"tensor", *facts, flag, _digest(data))


def _digest(data: Any) -> bytes:
    return hashlib.sha256(data).digest()


_LIBRARIES = (
    ("numpy", "ndarray", _numpy),
    ("pandas", "DataFrame", _pandas),
    ("polars", "DataFrame", _polars),
    ("pyarrow", "Table", _pyarrow),
    ("torch", "Tensor", _torch),
)
