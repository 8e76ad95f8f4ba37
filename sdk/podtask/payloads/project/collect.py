"""Which modules make up the project, and the text of each: what is loaded, and what the texts import besides.

    sys.modules ──> those that travel ──> their texts ──> what these import, loaded or not ──> their texts ──> …

An import counts in whatever branch it stands: the pod may take another one than the driver did. Modules that are not
loaded are looked for by the finders of this interpreter, and nothing is imported to find them. Of a loaded module the
text of its import travels, whatever its file says later; of any other the text of now, which an import would run.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

from podtask.payloads.project import text
from podtask.payloads.project.recorder import NOTES
from podtask_runner.hashing import modules, sources

Stamp = tuple[int, int] | None
"""Time and size of a file."""
_OF_THE_INTERPRETER = frozenset({"__main__", "__mp_main__", "sitecustomize", "usercustomize"})


@dataclass(frozen=True)
class Source:
    """A module that travels as its text."""

    data: bytes
    package: bool

    def read(self, name: str) -> text.Text:
        """What it says."""
        return text.read(self.data, name, self.package)


@dataclass
class Collected:
    """The project."""

    sources: dict[str, Source] = field(default_factory=dict)
    namespaces: set[str] = field(default_factory=set)
    stale: dict[str, str] = field(default_factory=dict)
    """Modules whose file says something else than what runs here, with the file."""
    folders: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    """Where a package is on this machine."""


_read: dict[str, tuple[types.ModuleType, Source | None]] = {}
"""Texts of modules that nobody noted: frozen as long as the module stays the same object."""
_unread: dict[str, tuple[str, Stamp, Source]] = {}
"""Texts of modules that are not loaded, with their files and what these were."""


def source_of(name: str) -> Source | None:
    """The text of a module, loaded or not; None where there is none."""
    module = sys.modules.get(name)
    if module is None:
        return _not_loaded(name)
    text = NOTES.text(name)
    if text is not None:
        return Source(text, hasattr(module, "__path__"))
    if name not in _read or _read[name][0] is not module:
        _read[name] = module, _loaded(module)
    return _read[name][1]


def states(names: Iterable[str]) -> list[Stamp]:
    """Of those of these modules that are not loaded, what their files are now."""
    return [_stamp(_unread[name][0]) for name in names if name not in sys.modules and name in _unread]


def is_shippable(name: str) -> bool:
    """Whether it can be the name of a file in a bundle."""
    return name not in _OF_THE_INTERPRETER and all(part.isidentifier() for part in name.split("."))


def collect(travels: Callable[[str], bool], include: Iterable[str] = (), also: Iterable[str] = ()) -> Collected:
    """All modules of the project by now. `travels` answers by the name of a module.

    `also`: what code that travels by value may import; whatever of that is a module of the project.
    """
    found = Collected()
    waiting = [name for name, module in list(sys.modules.items()) if _is_module(name, module) and travels(name)]
    waiting += [name for package in include for name in _inside(package)]
    waiting += [name for name in (*also, *_of_the_script()) if is_project(name, travels)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or not is_shippable(name):
            continue
        seen.add(name)
        _add(found, name)
        parent = name.rpartition(".")[0]
        if parent and name in (found.sources.keys() | found.namespaces):
            waiting.append(parent)
        if (source := found.sources.get(name)) is not None:
            imports = (each.name for each in source.read(name).imports)
            waiting += [each for each in imports if each not in seen and is_project(each, travels)]
    return found


def _of_the_script() -> Iterator[str]:
    """What the text of the script imports in whatever branch: a script is no module of the bundle."""
    main = sys.modules["__main__"]
    file, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    if not file or not file.endswith(".py") or not modules.is_own("__main__", file):
        return
    with suppress(OSError):
        name = spec.name if spec is not None else "__main__"
        yield from (each.name for each in text.read(Path(file).read_bytes(), name, package=False).imports)


def _is_module(name: str, module: Any) -> bool:
    """Not another name for a module, nor what a lazy loader puts there."""
    return isinstance(module, types.ModuleType) and vars(module).get("__name__") == name


def is_project(name: str, travels: Callable[[str], bool]) -> bool:
    """Whether a name that a text imports is a module of the project."""
    if name in sys.modules:
        return _is_module(name, sys.modules[name]) and travels(name)
    return travels(name.partition(".")[0]) and travels(name)


def _add(collected: Collected, name: str) -> None:
    source = source_of(name)
    folders = tuple(map(Path, _folders(name)))
    if folders:
        collected.folders[name] = folders
    if source is not None:
        collected.sources[name] = source
        if (file := _changed_file(name, source)) is not None:
            collected.stale[name] = file
    elif folders and getattr(sys.modules.get(name), "__file__", None) is None:
        collected.namespaces.add(name)


def _folders(name: str) -> list[str]:
    module = sys.modules.get(name)
    if module is not None:
        return list(getattr(module, "__path__", ()))
    spec = locate(name)
    return list(spec.submodule_search_locations or ()) if spec is not None else []


def _loaded(module: types.ModuleType) -> Source | None:
    package = hasattr(module, "__path__")
    file = getattr(module, "__file__", None)
    with suppress(OSError):
        if file and file.endswith(".py"):
            return Source(Path(file).read_bytes(), package)
    get_source = getattr(getattr(module, "__loader__", None), "get_source", None)
    with suppress(Exception):  # a loader of the user's may raise anything
        found = get_source(module.__name__) if get_source is not None else None
        if found is not None:
            return Source(found.encode(), package)
    return None


def _not_loaded(name: str) -> Source | None:
    kept = _unread.get(name)
    if kept is not None and _stamp(kept[0]) == kept[1]:
        return kept[2]
    spec = locate(name)
    if spec is None or not spec.has_location or not (spec.origin or "").endswith(".py"):
        return None
    file = str(spec.origin)
    with suppress(OSError):
        stamp = _stamp(file)
        source = Source(Path(file).read_bytes(), spec.submodule_search_locations is not None)
        _unread[name] = file, stamp, source
        return source
    return None


def _stamp(file: str) -> Stamp:
    try:
        status = os.stat(file)  # noqa: PTH116 - asked at every call
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def locate(name: str) -> ModuleSpec | None:
    """Where a module is that may not be loaded; the packages around it are not imported."""
    path: list[str] | None = None
    spec: ModuleSpec | None = None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        part = ".".join(parts[:end])
        loaded = getattr(sys.modules.get(part), "__spec__", None)
        spec = loaded if isinstance(loaded, ModuleSpec) else _ask(part, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return spec


def _ask(name: str, path: list[str] | None) -> ModuleSpec | None:
    for finder in list(sys.meta_path):
        find: Any = getattr(finder, "find_spec", None)
        with suppress(Exception):  # a finder of the user's may raise anything
            spec: ModuleSpec | None = find(name, path) if find is not None else None
            if spec is not None:
                return spec
    return None


def _inside(package: str) -> Iterator[str]:
    """A package that the user named, and all modules in its folders."""
    yield package
    for folder in _folders(package):
        for file in sorted(Path(folder).rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            inner = parts[:-1] if parts[-1] == "__init__" else parts
            if inner:
                yield ".".join((package, *inner))


def _changed_file(name: str, source: Source) -> str | None:
    """The file of a module, where its functions are not those of the text. Code made by import hooks is not asked."""
    module = sys.modules.get(name)
    if module is None or NOTES.of(module) is not None or type(module.__loader__) is not SourceFileLoader:
        return None
    file = str(module.__file__)
    for value in vars(module).copy().values():
        for fn in _functions(value, name):
            if fn.__code__.co_filename == file and not sources.says(source.data, file, fn.__code__):
                return file
    return None


def _functions(value: Any, name: str) -> Iterator[types.FunctionType]:
    if isinstance(value, types.FunctionType):
        if value.__module__ == name:
            yield value
    elif isinstance(value, type) and value.__module__ == name:
        yield from (item for item in vars(value).copy().values() if isinstance(item, types.FunctionType))
