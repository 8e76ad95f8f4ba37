"""Notes of every module of the user's, at the moment it was imported: its text, and what its globals were.

`import podtask` puts a finder in front of the others that finds nothing by itself: it lets the others look, and where
they have found a source file of the user's, the module is noted as soon as its own statements have run. So later edits
of the file do not change what travels, and what the program sets afterwards can be told from what the module made.
Of modules that were imported before podtask only the text is kept; `baseline` goes by that. Light: every script that
imports podtask pays for it. Read by: `podtask.payloads.project.changes`, `collect`, and by the hasher of imports
(`podtask_runner.hashing.modules`).
"""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

from podtask.payloads.project.snapshot import Snapshot
from podtask_runner.bundle.finder import AFTER_EXEC
from podtask_runner.hashing import modules


@dataclass(frozen=True)
class Note:
    """What a module was when it had been imported."""

    text: bytes
    snapshot: Snapshot


class ModuleNotes:
    """By the module's name; imported anew, noted anew."""

    def __init__(self) -> None:
        self._kept: dict[str, Note] = {}
        self._before: dict[str, tuple[types.ModuleType, bytes]] = {}
        """Texts of modules that were there before."""
        self.count = 0
        """How many were taken; another number says that something was imported."""

    def take(self, module: types.ModuleType, text: bytes) -> None:
        """Keep what this module is now."""
        with suppress(RecursionError):
            self._kept[module.__name__] = Note(text, Snapshot.of(module))
            self.count += 1

    def of(self, module: types.ModuleType) -> Note | None:
        """What was noted of the module that has this name now."""
        return self._kept.get(module.__name__)

    def look_around(self) -> None:
        """Keep the texts of the user's modules that are loaded by now."""
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            plain = isinstance(module, types.ModuleType) and type(module.__loader__) is SourceFileLoader
            if plain and file and name.partition(".")[0] not in sys.stdlib_module_names and modules.is_own(name, file):
                with suppress(OSError):
                    self._before[name] = module, Path(file).read_bytes()

    def text(self, name: str) -> bytes | None:
        """What a loaded module said when it was imported; None of one that nobody noted."""
        module = sys.modules.get(name)
        if module is None:
            return None
        note = self._kept.get(name) if module.__name__ == name else None
        before = self._before.get(name, (None, b""))
        return note.text if note is not None else before[1] if before[0] is module else None


NOTES = ModuleNotes()


class _Noting(SourceFileLoader):
    """The loader of a module while it is being imported."""

    def exec_module(self, module: types.ModuleType) -> None:
        self.__class__ = SourceFileLoader  # type: ignore[assignment]  # from now on nobody sees the difference
        self.exec_module(module)
        with suppress(OSError):
            NOTES.take(module, self.get_data(self.path))


class Recorder:
    """A finder that finds nothing by itself."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the finders behind this one find."""
        if name.partition(".")[0] in sys.stdlib_module_names:
            return None
        spec = _behind(self, name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader and modules.is_own(name, spec.origin or ""):
            spec.loader.__class__ = _Noting
        return spec


def _behind(
    finder: Recorder, name: str, path: Sequence[str] | None, target: types.ModuleType | None
) -> ModuleSpec | None:
    found = list(sys.meta_path)
    for other in found[found.index(finder) + 1 :] if finder in found else ():
        find: Any = getattr(other, "find_spec", None)
        spec: ModuleSpec | None = find(name, path, target) if find is not None else None
        if spec is not None:
            return spec
    return None


def start() -> None:
    """Note modules from now on; once per process."""
    if not any(isinstance(finder, Recorder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Recorder())
        AFTER_EXEC.append(NOTES.take)
        NOTES.look_around()
        modules.AT_IMPORT.append(NOTES.text)
