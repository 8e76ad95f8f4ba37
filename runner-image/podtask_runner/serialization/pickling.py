"""Python objects to payloads and back; the only file that imports cloudpickle.

Written by the SDK (functions, arguments) and by the child (results, exceptions); read by the child and the SDK,
never by the supervisor or the operator. The header that is checked before unpickling:
`podtask_runner.serialization.header`.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import io
import itertools
import json
import os
import pickle
import sys
import traceback
import types
from collections import ChainMap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import cloudpickle
from cloudpickle.cloudpickle import _should_pickle_by_reference as by_reference

from podtask_runner import pickled_names
from podtask_runner.hashing import code, usage
from podtask_runner.names import CLOUDPICKLE, FILE, INLINE_LIMIT, JSON, SOURCE_MODULE
from podtask_runner.pickled_names import RemoteError
from podtask_runner.serialization import classes, definitions, functions, identity
from podtask_runner.serialization import header as payload
from podtask_runner.serialization.format import Word
from podtask_runner.storage.spool import PIECE, SPOOL_ABOVE, Payload, Spool, SpoolFile

if TYPE_CHECKING:
    from podtask_runner.serialization.by_value import Packing

Reference = Callable[[object], "str | None"]
Resolve = Callable[[str], object]

_HERE: Final = payload.Header(1, payload.PYTHON, cloudpickle.__version__, payload.PLATFORM)


def dump(obj: object, stream: Any, *, reference: Reference | None = None) -> None:
    """As `dumps`, into a binary writer: large buffers (arrays) go through without a copy."""
    _ship_source_by_value()
    stream.write(_HERE.line())
    _pickler(stream, reference, None).dump(obj)


def dump_payload(
    obj: object, *, reference: Reference | None = None, packing: Packing | None = None, above: int = SPOOL_ABOVE
) -> Payload:
    """As `dumps`; more than `above` bytes are in a file, which goes when the payload does. Raises `NoRoom` as well."""
    _ship_source_by_value()
    modules: dict[str, Any] = {}
    while True:
        spool = Spool(above)
        try:
            spool.write(_HERE.line())
            _pickler(spool, reference, packing).dump(_with_modules(obj, modules))
            found = packing.whole_modules() if packing is not None else {}
        except BaseException:
            spool.drop()
            raise
        if found.keys() <= modules.keys():
            return spool.payload()
        spool.drop()
        modules = found  # again, with whole modules along, until no function imports one that is not


def dumps(obj: object, *, reference: Reference | None = None, packing: Packing | None = None) -> bytes:
    """Header line, then a cloudpickle of `obj`.

    `reference(obj)` may answer a string for objects that are not to be pickled but named (the SDK turns futures
    into upstream references so); `loads` asks its `resolve` for them. `packing` says which modules travel by value
    and learns which ones must be there on the other side. Raises whatever cloudpickle raises.
    """
    data = dump_payload(obj, reference=reference, packing=packing, above=sys.maxsize)
    assert isinstance(data, bytes)
    return data


def _pickler(stream: Any, reference: Reference | None, packing: Packing | None) -> cloudpickle.Pickler:
    if packing is not None:
        from podtask_runner.serialization.by_value import PackingPickler

        return PackingPickler(stream, packing, reference)
    return Pickler(stream) if reference is None else _ReferringPickler(stream, reference)


def _with_modules(obj: object, modules: dict[str, Any]) -> object:
    if not modules:
        return obj
    from podtask_runner.serialization.by_value import Packed

    return Packed(modules, obj)


def loads(data: payload.Buffer | os.PathLike[str], *, resolve: Resolve | None = None) -> Any:
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


def _opened(stream: Iterator[payload.Buffer], size: int) -> Payload:
    from podtask_runner.serialization.compression import unpacked

    return unpacked(stream, size)


def _unpickled(body: payload.Buffer | SpoolFile, resolve: Resolve | None) -> Any:
    """Of a pickle without its header."""
    if isinstance(body, SpoolFile):
        with body.path.open("rb") as stream:
            return _ResolvingUnpickler(stream, resolve).load()
    return _ResolvingUnpickler(_Reader(memoryview(body)), resolve).load()


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


def deserialize(data: payload.Buffer | os.PathLike[str], serializer: str) -> Any:
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


def dump_exception(exc: BaseException) -> bytes:
    """A payload that loads as the exception, with `__cause__`, `__context__`, notes and `__podtask_traceback__`.

    Never fails: what cannot be pickled, or not be rebuilt, travels as `RemoteError`.
    """
    return carry_exception(exc)[0]


def carry_exception(exc: BaseException) -> tuple[bytes, bool]:
    """As `dump_exception`, and whether the exception itself could be pickled (seed: if not, the run is Crashed)."""
    picklable = _dumps_or_none(exc) is not None
    try:
        return dumps(_Carried(exc, seen=set())), picklable
    except Exception:  # noqa: BLE001 - user classes may do anything while they are pickled
        bare = RemoteError(type(exc).__qualname__, message_of(exc))
        return dumps(_Carried(bare, seen=set(), text=traceback_text(exc))), False


def traceback_text(exc: BaseException) -> str:
    """The formatted traceback with its causes, without the runner's own frames at the top."""
    frame = exc.__traceback__
    while frame is not None and frame.tb_frame.f_globals.get("__name__", "").startswith("podtask_runner."):
        frame = frame.tb_next
    try:
        return "".join(traceback.format_exception(type(exc), exc, frame or exc.__traceback__))
    except Exception as error:  # noqa: BLE001 - a __str__ or a source line of the user's may fail
        return f"{type(exc).__qualname__} (its traceback could not be formatted: {type(error).__name__})\n"


def message_of(exc: BaseException) -> str:
    """`str(exc)`, even when the user's `__str__` raises."""
    try:
        return str(exc)
    except Exception as error:  # noqa: BLE001 - a user's __str__ may do anything
        return f"(its message could not be formatted: {type(error).__name__})"


class _Carried:
    """Pickles as a call of `pickled_names.exception`, so that what exceptions lose when pickled arrives too."""

    def __init__(self, exc: BaseException, seen: set[int], text: str | None = None) -> None:
        seen.add(id(exc))
        self.exc = exc if _survives(exc) else RemoteError(type(exc).__qualname__, message_of(exc))
        self.text = traceback_text(exc) if text is None else text
        self.notes = [str(note) for note in getattr(exc, "__notes__", None) or ()]
        self.suppress = exc.__suppress_context__
        linked = [exc.__cause__, None if exc.__suppress_context__ else exc.__context__]
        self.links = [_Carried(link, seen) if link is not None and id(link) not in seen else None for link in linked]

    def __reduce__(self) -> tuple[Any, ...]:
        return pickled_names.exception, (self.exc, self.text, self.notes, self.suppress, *self.links)


def _survives(exc: BaseException) -> bool:
    """Whether the exception comes back as what it was (a custom `__init__` often makes that fail)."""
    data = _dumps_or_none(exc)
    if data is None:
        return False
    try:
        return type(loads(data)).__qualname__ == type(exc).__qualname__
    except Exception:  # noqa: BLE001 - the user's constructor may raise anything
        return False


def _dumps_or_none(obj: object) -> bytes | None:
    try:
        return dumps(obj)
    except Exception:  # noqa: BLE001 - user classes may do anything while they are pickled
        return None


def _mark(name: str, _: object) -> str:
    return name


def _cached_property(obj: functools.cached_property[Any]) -> tuple[Any, ...]:
    state = {name: value for name, value in vars(obj).items() if name != "lock"}
    return functools.cached_property, (obj.func,), state


_BY_NAME: Final = (dataclasses.MISSING, dataclasses.KW_ONLY, dataclasses._HAS_DEFAULT_FACTORY)  # type: ignore[attr-defined]  # noqa: SLF001
"""Marks that dataclasses compare by identity."""
_MARKS: Final = {
    type(mark): name for mark, name in zip(_BY_NAME, ("MISSING", "KW_ONLY", "_HAS_DEFAULT_FACTORY"), strict=True)
}
_HEAP_TYPE: Final = 1 << 9
_SOMETIMES: Final = (identity.CACHED, *functions.CONSTANTS)


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """cloudpickle's; what a script defined is in chunks (`definitions`), and is made of its parts there.

    It also takes a `functools.cached_property`, which holds a lock before Python 3.12.
    """

    dispatch_table: ClassVar[Any] = ChainMap(
        {
            functools.cached_property: _cached_property,
            **{kind: functools.partial(_mark, name) for kind, name in _MARKS.items()},
        },
        cloudpickle.Pickler.dispatch_table,
    )
    inside: definitions.Inside | None = None
    """Of the pickler of chunks."""
    _chunks: definitions.Chunks | None = None

    def beside(self, stream: Any) -> Pickler:
        """Another one that decides alike."""
        return Pickler(stream)

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is types.FunctionType or issubclass(kind, type):
            if _is_defined(obj):
                return self.by_value(obj)
        elif isinstance(obj, _SOMETIMES):
            if _is_of_script(obj):
                return self.by_value(obj)
        elif kind is types.CellType:
            if self.inside is not None and id(obj) in self.inside.bare:
                return pickled_names.empty_cell, ()
        elif kind is classes.Rest:
            return classes.rest(self, obj)
        elif isinstance(obj, enum.Enum):
            if code.is_written(kind) and _goes_by_name(kind):
                return pickled_names.member, (kind, obj._name_, obj._value_)
        elif (word := functions.word_of(obj)) is not None:
            return self.by_value(obj, word)
        return super().reducer_override(obj)

    def by_value(self, obj: Any, word: str | None = None) -> tuple[Any, ...]:
        """The reduction of what a script defined."""
        if self.inside is None:
            if self._chunks is None:
                self._chunks = definitions.Chunks(self.beside)
            return self._chunks.reduced(obj, _identity(obj, word))
        if isinstance(obj, type):
            return classes.taken_apart(self, obj)
        if isinstance(obj, types.FunctionType):
            dispatches = usage.registered(obj) is not None
            return functions.dispatching(self, obj) if dispatches else functions.taken_apart(self, obj)
        if word is not None:
            return functions.by_its_word(self, obj, word)
        return functions.cached(self, obj) if isinstance(obj, identity.CACHED) else functions.constant(self, obj)


def _identity(obj: Any, word: str | None) -> identity.Identity:
    if isinstance(obj, type):
        return identity.of_class(obj)
    if isinstance(obj, types.FunctionType) and usage.registered(obj) is None:
        return identity.of_function(obj)
    return identity.of_named(obj, word or getattr(obj, "__name__", None))


def _is_defined(obj: Any) -> bool:
    """Whether no module has the function or class by its name; classes of the interpreter are everywhere."""
    return not by_reference(obj) and (not isinstance(obj, type) or obj.__flags__ & _HEAP_TYPE != 0)


def _is_of_script(obj: Any) -> bool:
    """Of an object that pickles by its name: whether that name is of a script."""
    return getattr(obj, "__module__", None) in ("__main__", SOURCE_MODULE)


def _goes_by_name(kind: type) -> bool:
    """Whether it is the standard library that says how members of an enum are pickled."""
    reduce = kind.__reduce_ex__
    return not isinstance(reduce, types.FunctionType) or reduce.__module__ == "enum"


class _ReferringPickler(Pickler):
    def __init__(self, buffer: Any, reference: Reference) -> None:
        super().__init__(buffer)
        self._reference = reference

    def beside(self, stream: Any) -> Pickler:
        return _ReferringPickler(stream, self._reference)

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
        if self._resolve is None:
            raise pickle.UnpicklingError(f"the payload refers to the result {ref!r}, and nobody here can resolve it")
        return self._resolve(ref)


class _Reader:
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
