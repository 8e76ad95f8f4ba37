"""Modules of a bundle, imported by name: one finder in front of all others that serves exactly what the bundle has.

    Contents ──install──> files in the attempt's own folder, a finder, the changes of `bundle.overlay`

In a pod the files of the bundle are unpacked and imported from there; a package of the bundle is the bundle's alone,
whatever the image has of the same name. On the machine of the driver (backend `process`) a module whose file still
has the text that the bundle has is imported from where it is, so that `__file__` and data beside it are as at home;
one that was edited meanwhile comes out of the bundle. Before: `podtask_runner.attempt.loading`.
"""

from __future__ import annotations

import hashlib
import sys
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any, Final

from podtask_runner import shown_paths
from podtask_runner.bundle.archive import Contents
from podtask_runner.bundle.overlay import Overlay
from podtask_runner.errors import ImportedAlready

AFTER_EXEC: Final[list[Callable[[types.ModuleType, bytes], None]]] = []
"""Called with a module and its text when its own statements have run, before anything changed is put into it."""
_MOST_NAMES: Final = 5
_nested: Final = threading.local()
"""`depth`: modules of the project that this thread is in the middle of importing."""
_CURE: Final = "set env=, list the module under exclude= where the image has it, or import it inside of the task"


@dataclass(frozen=True)
class Installed:
    """The bundle that this process imports from."""

    data: bytes
    """As it came."""
    contents: Contents
    stored: bool
    """Whether it lies in the bucket under its digest."""
    overlay: Overlay
    folder: str
    changes: bytes | None
    """The payload of the overlay."""
    at_home: bool


CURRENT: Installed | None = None
"""Of this process; a driver in a pod sends its tasks what it was started with."""


class ProjectLoader(SourceFileLoader):
    """Runs the file of a module, and puts what the driver changed into it right afterwards."""

    def __init__(self, name: str, path: str, finder: BundleFinder, *, writes: bool) -> None:
        super().__init__(name, path)
        self._finder, self._writes = finder, writes

    def exec_module(self, module: types.ModuleType) -> None:
        """As any loader. An exception of the module's own statements is told with the module and a cure."""
        depth = getattr(_nested, "depth", 0)
        _nested.depth = depth + 1
        try:
            super().exec_module(module)
        except Exception as error:
            self._explain(module.__name__, error)
            raise
        finally:
            _nested.depth = depth
        for listener in AFTER_EXEC:
            with suppress(OSError):
                listener(module, self.get_data(self.path))
        self._finder.overlay.apply(module, whole=depth == 0)

    def set_data(self, path: str, data: Any, **options: Any) -> None:
        """Bytecode is kept only beside files that outlive the attempt."""
        if self._writes:
            super().set_data(path, data, **options)

    def _explain(self, name: str, error: Exception) -> None:
        if getattr(error, "__podtask_import__", None) is not None:
            return  # of a module that this one imports
        line = error.__traceback__
        while line is not None and line.tb_frame.f_code.co_filename != self.path:
            line = line.tb_next
        where = f", line {line.tb_lineno}" if line is not None else ""
        with suppress(Exception):  # a class may refuse attributes; then only this is lost
            error.__podtask_import__ = name  # type: ignore[attr-defined]
            notes = [
                *getattr(error, "__notes__", ()),
                f"Raised while the project's module {name!r}{where}, was "
                f"imported for the task. What it lacks here: {_CURE}.",
            ]
            error.__notes__ = notes  # type: ignore[attr-defined]


class BundleFinder:
    """Serves the modules of one bundle."""

    def __init__(self, contents: Contents, folder: Path, overlay: Overlay, *, at_home: bool) -> None:
        self.contents, self.folder, self.overlay, self.at_home = contents, folder, overlay, at_home

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """As `importlib.abc.MetaPathFinder`."""
        del path, target
        if name in self.contents.modules:
            return self._at_home(name) or self._unpacked(name)
        if name in self.contents.namespaces:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = self._folders(name, around=True)
            return spec
        return None

    def _unpacked(self, name: str) -> ModuleSpec | None:
        file = self.folder / self.contents.modules[name]
        folders = self._folders(name, around=name in self.contents.extended) if self.contents.is_package(name) else None
        loader = ProjectLoader(name, str(file), self, writes=False)
        return spec_from_file_location(name, file, loader=loader, submodule_search_locations=folders)

    def _at_home(self, name: str) -> ModuleSpec | None:
        """From the original file, where that has the text of the bundle."""
        spec = self._elsewhere(name) if self.at_home else None
        if spec is None or spec.origin is None or not spec.has_location:
            return None
        try:
            text = Path(spec.origin).read_bytes()
        except OSError:
            return None
        if hashlib.sha256(text).hexdigest() != self.contents.texts[name]:
            return None
        loader = ProjectLoader(name, spec.origin, self, writes=True)
        folders = spec.submodule_search_locations
        if folders is not None:
            folders = [*folders, str(self.folder / name.replace(".", "/"))]
        return spec_from_file_location(name, spec.origin, loader=loader, submodule_search_locations=folders)

    def _folders(self, name: str, *, around: bool) -> list[str]:
        """Where parts of a package are: in the bundle, and in the image where it may have others."""
        own = str(self.folder / name.replace(".", "/"))
        spec = self._elsewhere(name) if around else None
        others = list(spec.submodule_search_locations or ()) if spec is not None else []
        return [*others, own] if self.at_home else [own, *others]

    def _elsewhere(self, name: str) -> ModuleSpec | None:
        """What the finders behind this one have of that name; nothing is imported to find out."""
        path: list[str] | None = None
        spec: ModuleSpec | None = None
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            spec = self._ask_behind(".".join(parts[:end]), path)
            if spec is None:
                return None
            path = list(spec.submodule_search_locations or ())
        return spec

    def _ask_behind(self, name: str, path: list[str] | None) -> ModuleSpec | None:
        found = list(sys.meta_path)
        behind = found[found.index(self) + 1 :] if self in found else found  # one in front would ask this one
        for finder in behind:
            with suppress(Exception):  # a finder of the user's may raise anything
                spec = finder.find_spec(name, path)
                if spec is not None:
                    return spec
        return None


def install(
    data: bytes, contents: Contents, folder: Path, overlay: bytes | None, *, at_home: bool, stored: bool = False
) -> None:
    """From now on this process imports the project from the bundle. Raises `EnvironmentMismatch`, `OSError`.

    `folder` is the attempt's own and new.
    """
    global CURRENT  # noqa: PLW0603 - the state of the interpreter, like sys.meta_path
    finder = BundleFinder(contents, folder, Overlay.read(overlay), at_home=at_home)
    _unpack(contents.files, folder)
    shown_paths.note_folder(str(folder), contents.homes)
    _refuse_namesakes(finder)
    sys.meta_path.insert(0, finder)
    sys.path.insert(_after_own_folders(at_home=at_home), str(folder))  # for started interpreters and metadata
    CURRENT = Installed(data, contents, stored, finder.overlay, str(folder), overlay, at_home)


def share(data: bytes, folder: str, overlay: bytes | None, at_home: bool) -> None:  # noqa: FBT001 - a tuple's part
    """From now on this process imports the project as the one that spawned it, which has unpacked it."""
    global CURRENT  # noqa: PLW0603 - as above
    from podtask_runner.bundle import archive

    contents, changes = archive.read(data), Overlay.read(overlay)
    sys.meta_path.insert(0, BundleFinder(contents, Path(folder), changes, at_home=at_home))
    shown_paths.note_folder(folder, contents.homes)
    CURRENT = Installed(data, contents, False, changes, folder, overlay, at_home)  # noqa: FBT003


def why_uncached() -> str | None:
    """Why the result of this process may not be published under its cache key; None where it may."""
    names = CURRENT.overlay.differing if CURRENT is not None else []
    if not names:
        return None
    shown = ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" if names[_MOST_NAMES:] else "")
    return (
        f"{shown} differs between the driver, whose value the key is made of, and the task; pass the value as an "
        f"argument, or set it in the script"
    )


def _after_own_folders(*, at_home: bool) -> int:
    return len(sys.path) if at_home else 0


def _unpack(files: Mapping[str, bytes], folder: Path) -> None:
    made: set[Path] = set()
    for path, data in files.items():
        file = folder / path
        if file.parent not in made:
            file.parent.mkdir(parents=True, exist_ok=True)
            made.add(file.parent)
        file.write_bytes(data)


def _refuse_namesakes(finder: BundleFinder) -> None:
    """What is imported already under a name of the project's would be used in its place."""
    for name in [*finder.contents.modules, *finder.contents.namespaces]:
        module = sys.modules.get(name)
        if module is None or (finder.at_home and _is_original(finder, name, module)):
            continue
        theirs = getattr(module, "__file__", None) or "part of the interpreter"
        raise ImportedAlready(
            f"The project has a module {name!r} ({finder.contents.modules.get(name, name)}), and another one of that "
            f"name is imported already by the runner ({theirs}).",
            "Rename the project's module, or let it be part of a package.",
        )


def _is_original(finder: BundleFinder, name: str, module: types.ModuleType) -> bool:
    """Such as a `sitecustomize` of the project, which every Python imports first."""
    spec = finder._elsewhere(name)  # noqa: SLF001 - our own
    return spec is not None and spec.origin == getattr(module, "__file__", None)
