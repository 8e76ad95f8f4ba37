"""Code and arguments of one attempt: from source text, an entrypoint in the image, or a shipped function.

Between `podtask_runner.storage.client` (bytes, verified) and `podtask_runner.attempt.execute` (the call). What cannot
be loaded because the TaskRun is wrong is `InvalidSpec`; what is missing in this image is `EnvironmentMismatch`; what
the user's own code raises while it is imported is the user's exception.
"""

from __future__ import annotations

import importlib
import json
import linecache
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from podtask_runner.errors import EnvironmentMismatch, InvalidSpec
from podtask_runner.names import CLOUDPICKLE, FILE, FILE_REFERENCE, JSON, PYTHON, SOURCE_FILE, SOURCE_MODULE
from podtask_runner.protocol import Blob, Code, Grants
from podtask_runner.serialization.format import Word
from podtask_runner.storage.client import Store
from podtask_runner.storage.spool import SPOOL_ABOVE, Buffer, NoRoom

Function = Callable[..., Any]
Object: TypeAlias = "Buffer | Path"
"""Verified bytes: in memory, or in a file of the attempt's own."""


@dataclass(frozen=True)
class Fetched:
    """The verified bytes of everything an attempt reads, before any of them is interpreted."""

    code: Object | None
    inputs: Object | None
    upstream: tuple[Object, ...]
    files: Mapping[str, Path] = field(default_factory=dict)
    """Content of the files among the inputs, by digest."""
    bundle: Object | None = None
    overlay: Object | None = None


class Room(Protocol):
    """Where large objects are put: the child's `Handover`."""

    def room(self) -> Path:
        """A new path."""
        ...


def fetch(grants: Grants, store: Store, room: Room) -> Fetched:
    """Read all objects, large ones into files. Raises `InputCorrupted`, `StoreUnavailable`, `NoRoom`."""

    def read(pick: Callable[[Grants], Blob], what: str) -> Object:
        blob = pick(grants)
        if blob.size <= SPOOL_ABOVE and Word.read(blob.serializer).format != FILE:
            return store.read(pick, what)
        return store.read_into(pick, room.room(), what)

    return Fetched(
        read(lambda now: _given(now.code.shipped), "task.code") if grants.code.shipped else None,
        read(lambda now: _given(now.inputs), "inputs") if grants.inputs else None,
        tuple(
            read(partial(_upstream_blob, index), f"upstream {entry.parameter or entry.ref}")
            for index, entry in enumerate(grants.upstream)
        ),
        {
            blob.digest: store.read_into(partial(_file_blob, index), room.room(), f"file {blob.digest[:12]}")
            for index, blob in enumerate(grants.files)
        },
        read(lambda now: _given(now.code.bundle), "task.bundle") if grants.code.bundle else None,
        read(lambda now: _given(now.code.overlay), "task.overlay") if grants.code.overlay else None,
    )


def install_project(grants: Grants, fetched: Fetched, room: Room, *, at_home: bool) -> None:
    """Make the modules of the project importable, before anything that names them is opened.

    `at_home`: this is the machine of the driver. Raises `InputCorrupted`, `EnvironmentMismatch`, `NoRoom`.
    """
    if fetched.bundle is None or grants.code.bundle is None:
        return
    from podtask_runner.bundle import archive, finder

    data = _bytes(fetched.bundle)
    overlay = None if fetched.overlay is None else _bytes(fetched.overlay)
    try:
        stored = grants.code.bundle.inline is None
        finder.install(data, archive.read(data), room.room(), overlay, at_home=at_home, stored=stored)
    except OSError as error:
        raise NoRoom(*error.args) from error


def _bytes(data: Object) -> bytes:
    return data.read_bytes() if isinstance(data, Path) else bytes(data)


def load_code(grants: Grants, fetched: Fetched) -> object:
    """The user's function, or the object that was shipped in its place."""
    if fetched.code is not None:
        return _unpickled(fetched.code, "task.code", None)
    return load_named(grants.code)


def load_named(code: Code) -> Function:
    """The function that source text defines, or that an entrypoint names. Raises `InvalidSpec`."""
    if code.entrypoint is not None:
        return _from_entrypoint(code.entrypoint)
    if code.source is not None:
        return _from_source(code.source, code.function)
    raise InvalidSpec("The task has no code.", "Set one of task.source, task.entrypoint and task.code.")


def load_arguments(grants: Grants, fetched: Fetched) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments, upstream results in their places (each is loaded once)."""
    loaded: dict[int, Any] = {}
    by_ref = {entry.ref: index for index, entry in enumerate(grants.upstream) if entry.ref is not None}

    def result(index: int) -> Any:
        if index not in loaded:
            entry = grants.upstream[index]
            data, serializer = fetched.upstream[index], entry.blob.serializer
            if entry.failure is not None:
                from podtask_runner.serialization import failures

                loaded[index] = failures.exception_of(entry.failure, data if serializer == CLOUDPICKLE else None)
            else:
                what = f"the result of upstream {entry.parameter or entry.ref}"
                loaded[index] = _deserialized(data, serializer, what)
        return loaded[index]

    def resolve(ref: str) -> object:
        if ref.startswith(FILE_REFERENCE):
            return _file(ref, fetched.files)
        if ref not in by_ref:
            known = ", ".join(sorted(by_ref)) or "none"
            raise InvalidSpec(f"The inputs refer to the result {ref!r}, and spec.upstream has no such ref ({known}).")
        return result(by_ref[ref])

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = dict(grants.parameters or {})
    if fetched.inputs is not None:
        pickled_args, pickled_kwargs = _unpickled(fetched.inputs, "inputs", resolve)
        args, kwargs = tuple(pickled_args), {**kwargs, **pickled_kwargs}
    for index, entry in enumerate(grants.upstream):
        if entry.parameter is not None:
            kwargs[entry.parameter] = result(index)
    return args, kwargs


def at_home(function: Function) -> None:
    """What the script defined is found in `__main__`, where a pool of processes looks for the functions it is given."""
    if getattr(function, "__module__", None) != "__main__":
        return
    defined = {**getattr(function, "__globals__", {}), getattr(function, "__name__", ""): function}
    home = vars(sys.modules["__main__"])
    for name, value in defined.items():
        if getattr(value, "__module__", None) == "__main__":
            home.setdefault(name, value)


def _from_source(source: str, name: str) -> Function:
    """Run the text in a module of its own; `linecache` gets it, so that tracebacks show its lines."""
    linecache.cache[SOURCE_FILE] = (len(source), None, source.splitlines(keepends=True), SOURCE_FILE)
    try:
        code = compile(source, SOURCE_FILE, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise InvalidSpec(f"task.source does not compile: {_where(error)}", "Correct spec.task.source.") from None
    module = types.ModuleType(SOURCE_MODULE)
    module.__file__ = SOURCE_FILE
    sys.modules[SOURCE_MODULE] = module
    exec(code, module.__dict__)  # noqa: S102 - running the user's code is what we are for
    return _attribute(module, name, "task.source", "task.function")


def _where(error: SyntaxError | ValueError) -> str:
    if not isinstance(error, SyntaxError):
        return str(error)
    line = (error.text or "").strip()
    return f"line {error.lineno}: {error.msg}" + (f": {line}" if line else "")


def _from_entrypoint(entrypoint: str) -> Function:
    name, colon, attribute = entrypoint.partition(":")
    if not (name and colon and attribute):
        raise InvalidSpec(f"task.entrypoint {entrypoint!r} is not of the form package.module:function.")
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there; something that it imports is not
        raise InvalidSpec(
            f"task.entrypoint: the image has no module {error.name!r}.",
            "Install it in the image, or put it into the working directory or on PYTHONPATH.",
        ) from None
    return _attribute(module, attribute, f"module {name}", "task.entrypoint")


def _attribute(module: types.ModuleType, name: str, where: str, field: str) -> Function:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, _MISSING)
    if callable(found):
        function: Function = found
        return function
    own = (key for key, value in vars(module).copy().items() if not key.startswith("_") and _is_own(value, module))
    problem = f"defines no function {name!r}" if found is _MISSING else f"has {name!r}, but it is not callable"
    raise InvalidSpec(f"{where} {problem}; found: {', '.join(own) or 'no function at all'}.", f"Correct {field}.")


_MISSING = object()


def _is_own(value: object, module: types.ModuleType) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def _upstream_blob(index: int, grants: Grants) -> Blob:
    return grants.upstream[index].blob


def _file_blob(index: int, grants: Grants) -> Blob:
    return grants.files[index]


def _given(blob: Blob | None) -> Blob:
    if blob is None:
        raise InvalidSpec("The renewed grants lack an object that the first ones had.")
    return blob


def _deserialized(data: Object, serializer: str, what: str) -> Any:
    if serializer == JSON:
        return json.loads(bytes(data) if not isinstance(data, Path) else data.read_bytes())
    word = Word.read(serializer)
    if word.gzipped:
        from podtask_runner.serialization.compression import parts, unpacked

        found = unpacked(parts(data), word.size)
        return _deserialized(found if isinstance(found, bytes) else found.path, str(word.plain), what)
    if word.format == FILE and isinstance(data, Path):
        return _named(data, word.details.get("name", ""))
    if word.format == CLOUDPICKLE:
        return _unpickled(data, what, None)
    from podtask_runner.serialization import registry

    try:
        return registry.read(data, word)
    except registry.NotReadable as error:
        raise EnvironmentMismatch(f"{what} cannot be opened here (Python {PYTHON}): {error}", error.cure) from error


def _file(ref: str, contents: Mapping[str, Path]) -> object:
    """The file that an argument names, as it was called."""
    from podtask_runner import files

    digest, name = files.split(ref) or ("", "")
    if digest not in contents:
        raise InvalidSpec(f"The inputs refer to the file {digest[:12]}, and spec.files does not have it.")
    return _named(contents[digest], name)


def _named(content: Path, name: str) -> object:
    """A `File` of this name. Its content was verified; each argument has a name of its own for it."""
    from podtask_runner import files

    path = files.place(content.with_name(f"{content.name}-names"), name)
    path.symlink_to(content)
    return files.File(path)


def _unpickled(data: Object, what: str, resolve: Callable[[str], object] | None) -> Any:
    from podtask_runner.serialization import pickling

    try:
        return pickling.loads(data, resolve=resolve)
    except ModuleNotFoundError as error:
        raise EnvironmentMismatch(
            f"{what} needs the module {error.name!r}, which this image does not have (Python {PYTHON}).",
            "Use an image that has it (@task(image=...)), or let a module of pure Python travel along (include=[...]).",
        ) from error
    except (AttributeError, ImportError) as error:
        raise EnvironmentMismatch(
            f"{what} cannot be opened here: {error}.",
            "The image has another version of this module than the one it was pickled with.",
        ) from error
