"""Python objects to payloads and back; the only file that imports cloudpickle.

Written by the SDK (functions, arguments) and by the child (results, exceptions); read by the child and the SDK,
never by the supervisor or the operator. The header that is checked before unpickling:
`podtask_runner.serialization.header`.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cloudpickle

from podtask_runner import pickled_names
from podtask_runner.names import CLOUDPICKLE, FILE, INLINE_LIMIT, JSON, PYTHON, SOURCE_MODULE
from podtask_runner.script import definitions
from podtask_runner.serialization import header as payload
from podtask_runner.serialization.format import Word
from podtask_runner.serialization.pickler import Pickler
from podtask_runner.storage.spool import PIECE, SPOOL_ABOVE, Buffer, Payload, Spool, SpoolFile

if TYPE_CHECKING:
    from podtask_runner.script.lending import Lender
    from podtask_runner.serialization.by_value import Packing

Reference = Callable[[object], "str | None"]
Resolve = Callable[[str], object]

_HERE: Final = payload.Header(1, PYTHON, cloudpickle.__version__, payload.PLATFORM).line()
_GLOBAL: Final = "podtask.global"
"""As `podtask_runner.serialization.by_reference` writes it."""


def dump(obj: object, stream: Any, *, reference: Reference | None = None) -> None:
    """What is stored and read later: as `dumps`, with stamps of the project's classes, into a binary writer.

    Large buffers (arrays) go through without a copy.
    """
    _ship_source_by_value()
    stream.write(_HERE)
    pickler = _pickler(stream, reference, None)
    pickler.stamps = True
    pickler.dump(obj)


def dump_payload(
    obj: object,
    *,
    reference: Reference | None = None,
    packing: Packing | None = None,
    above: int = SPOOL_ABOVE,
    lender: Lender | None = None,
) -> Payload:
    """As `dumps`; more than `above` bytes are in a file, which goes when the payload does. Raises `NoRoom` as well.

    `lender`, with a packing: takes classes and functions of the script, which the payload then only names.
    """
    _ship_source_by_value()
    spool = Spool(above)
    try:
        spool.write(_HERE)
        _pickler(spool, reference, packing, lender).dump(obj)
    except BaseException:
        spool.drop()
        raise
    return spool.payload()


def dumps(obj: object, *, reference: Reference | None = None, packing: Packing | None = None) -> bytes:
    """Header line, then a cloudpickle of `obj`.

    `reference(obj)` may answer a string for objects that are not to be pickled but named (the SDK turns futures
    into upstream references so); `loads` asks its `resolve` for them. `packing` says which modules travel how and
    learns which ones must be there on the other side. Raises whatever cloudpickle raises.
    """
    data = dump_payload(obj, reference=reference, packing=packing, above=sys.maxsize)
    assert isinstance(data, bytes)
    return data


def _pickler(
    stream: Any, reference: Reference | None, packing: Packing | None, lender: Lender | None = None
) -> cloudpickle.Pickler:
    if packing is not None:
        from podtask_runner.serialization.by_value import PackingPickler

        return PackingPickler(stream, packing, reference, lender)
    return Pickler(stream) if reference is None else _ReferringPickler(stream, reference)


def loads(data: Buffer | os.PathLike[str], *, resolve: Resolve | None = None) -> Any:
    """The object. Raises `EnvironmentMismatch` or `InputCorrupted` before a single pickle byte is interpreted.

    From a file it is read as it is built up: an array is in memory once.
    """
    if isinstance(data, os.PathLike):
        with open(data, "rb") as stream:  # noqa: PTH123 - any path-like
            header, body = payload.split(stream.read(payload.LONGEST_HEADER))
            payload.check(header, cloudpickle.__version__)
            stream.seek(-len(body), os.SEEK_CUR)
            if header.gzip is not None:
                return _unpickled(_opened(iter(lambda: stream.read(PIECE), b""), header.gzip), resolve)
            return _ResolvingUnpickler(stream, resolve).load()
    header, body = payload.split(data)
    payload.check(header, cloudpickle.__version__)
    return _unpickled(body if header.gzip is None else _opened(iter([body]), header.gzip), resolve)


def _opened(stream: Iterator[Buffer], size: int) -> Payload:
    from podtask_runner.serialization.compression import unpacked

    return unpacked(stream, size)


def _unpickled(body: Buffer | SpoolFile, resolve: Resolve | None) -> Any:
    """Of a pickle without its header."""
    if isinstance(body, SpoolFile):
        with body.path.open("rb") as stream:
            return _ResolvingUnpickler(stream, resolve).load()
    return _ResolvingUnpickler(_MemoryFile(memoryview(body)), resolve).load()


def squeezed(data: Payload) -> Payload:
    """A pickled payload as it is stored: compressed where it pays, with the header before it as ever."""
    if len(data) <= INLINE_LIMIT:
        return data
    from podtask_runner.serialization.compression import Squeezing, parts

    stream = parts(data)
    first = next(stream)
    if payload.serializer_of(bytes(first[:64]), "") != CLOUDPICKLE:
        return data
    header, _ = payload.split(first)
    offset = len(header.line())
    line = replace(header, format=payload.FORMAT, gzip=len(data) - offset).line()
    spool = Spool()
    spool.write(line)
    packer = Squeezing(spool)
    for part in itertools.chain([memoryview(first)[offset:]], stream):
        packer.write(part)
        if not packer.gzipped and packer.size > INLINE_LIMIT:
            spool.drop()
            return data  # it would only be copied
    packer.finish()
    return spool.payload() if packer.gzipped else data


def serialize_result(value: object) -> tuple[bytes, str]:
    """The payload and the name of its serializer: JSON where it is exact, else as `write_result`."""
    exact = payload.encode_json_exact(value)
    if exact is not None:
        return exact, JSON
    buffer = io.BytesIO()
    serializer = write_result(value, buffer)
    return buffer.getvalue(), serializer


def write_result(value: object, stream: Any) -> str:
    """The payload of a value that JSON cannot carry into a binary writer; the name of its serializer."""
    from podtask_runner.serialization import registry

    word = registry.write(value, stream)
    if word is not None:
        return str(word)
    dump(value, stream, reference=_no_files())
    return CLOUDPICKLE


def _no_files() -> Reference | None:
    """Refuses a `File` inside of a result: its path means nothing where it is opened. None where there can be none."""
    files = sys.modules.get("podtask_runner.files")
    return None if files is None else files.refuse


def deserialize(data: Buffer | os.PathLike[str], serializer: str) -> Any:
    """The value of a stored payload, in memory or in a file. Raises `NotReadable` for what is not known here."""
    word = Word.read(serializer)
    if word.gzipped:
        from podtask_runner.serialization.compression import parts, unpacked

        data, word = unpacked(parts(data), word.size), word.plain
    if word.format == JSON:
        return json.loads(Path(data).read_bytes() if isinstance(data, os.PathLike) else bytes(data))
    if word.format == CLOUDPICKLE:
        return loads(data)
    if word.format == FILE and isinstance(data, os.PathLike):
        from podtask_runner.files import File

        return File(data)
    from podtask_runner.serialization import registry

    return registry.read(data, word)


class _ReferringPickler(Pickler):
    def __init__(self, buffer: Any, reference: Reference) -> None:
        super().__init__(buffer)
        self._reference = reference

    def beside(self, stream: Any) -> Pickler:
        other = _ReferringPickler(stream, self._reference)
        other.stamps = self.stamps
        return other

    def persistent_id(self, obj: object) -> str | None:
        return self._reference(obj)


class _ResolvingUnpickler(pickle.Unpickler):
    def __init__(self, reader: Any, resolve: Resolve | None) -> None:
        super().__init__(reader)
        self._resolve = resolve

    def load(self) -> Any:
        before = definitions.OPENER.set(lambda stream: _ResolvingUnpickler(stream, self._resolve))
        try:
            return super().load()
        finally:
            definitions.OPENER.reset(before)

    def persistent_load(self, ref: Any) -> object:
        if isinstance(ref, tuple) and len(ref) == 3 and ref[0] == _GLOBAL:
            return pickled_names.followed(ref[1], ref[2], ())
        if self._resolve is None:
            raise pickle.UnpicklingError(f"the payload refers to the result {ref!r}, and nobody here can resolve it")
        return self._resolve(ref)


class _MemoryFile:
    """A memoryview as the file an unpickler wants; `io.BytesIO` would copy a large payload."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        end = len(self._view) if size < 0 else self._at + size
        chunk = self._view[self._at : end]
        self._at += len(chunk)
        return bytes(chunk)

    def readinto(self, target: Any, /) -> int:
        chunk = self._view[self._at : self._at + len(target)]
        target[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)

    def readline(self, /) -> bytes:
        rest = bytes(self._view[self._at :])
        line = rest[: rest.find(b"\n") + 1] or rest
        self._at += len(line)
        return line


def _ship_source_by_value() -> None:
    """What `task.source` defines exists nowhere else, so it is never pickled by name."""
    module = sys.modules.get(SOURCE_MODULE)
    if module is not None and SOURCE_MODULE not in cloudpickle.list_registry_pickle_by_value():
        cloudpickle.register_pickle_by_value(module)
