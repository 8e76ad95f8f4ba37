"""The project as one call finds it: the bundle, where a module's objects are, what was changed, what is missing.

    policy (own, include, exclude) ──> Project ──> bundle: bytes and digest       once per state of the project
                                              └───> packing, overlay, reach        per call

The bundle is the project's and not the task's: tasks of one flow name the same one, whatever each of them uses. It is
made anew only when a module was imported that it lacks. Users: `podtask.payloads.code`, backends.
"""

from __future__ import annotations

import functools
import hashlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podtask.payloads.project import data_files, distributions
from podtask.payloads.project.changes import Changes, changes_of
from podtask.payloads.project.collect import Collected, collect, is_project, locate, states
from podtask.payloads.project.reach import Reach, reach
from podtask.payloads.project.recorder import NOTES
from podtask_runner import shown_paths
from podtask_runner.bundle import archive, finder
from podtask_runner.serialization.by_value import Packing, Travel


@dataclass(frozen=True)
class Bundle:
    """The files of the project as one object."""

    data: bytes
    """Compressed, as it is stored."""
    collected: Collected
    digest: str
    stored: bool = False
    """Whether it is in the bucket already, because this driver was started with it."""

    @classmethod
    def of(cls, collected: Collected, data: tuple[str, ...], exclude: tuple[str, ...]) -> Bundle:
        """Of these modules, with data beside them. Raises `ValueError`."""
        modules = {name: archive.path_of(name, package=source.package) for name, source in collected.sources.items()}
        files = {modules[name]: source.data for name, source in collected.sources.items()}
        files.update(data_files.files_of(data, collected))
        files.update(distributions.files_of(_places(collected)))
        extended = {parent for name in exclude for parent in _around(name) if parent in collected.sources}
        homes = dict(_homes(modules))
        packed = archive.squeezed(archive.write(modules, files, collected.namespaces, extended, homes))
        return cls(packed, collected, hashlib.sha256(packed).hexdigest())

    def only(self, modules: frozenset[str]) -> Bundle:
        """Of these modules alone."""
        sources = {name: source for name, source in self.collected.sources.items() if name in modules}
        return Bundle.of(Collected(sources, self.collected.namespaces), (), ())


def _of_this_pod(collected: Collected) -> Bundle | None:
    """A driver in a pod passes on the bundle that it was started with, where that has all it needs."""
    current = finder.CURRENT
    if current is None:
        return None
    texts = {name: hashlib.sha256(source.data).hexdigest() for name, source in collected.sources.items()}
    if not texts.items() <= current.contents.texts.items():
        return None
    return Bundle(current.data, collected, hashlib.sha256(current.data).hexdigest(), current.stored)


def _places(collected: Collected) -> list[Path]:
    files = [getattr(sys.modules.get(name), "__file__", None) for name in collected.sources]
    return [Path(file) for file in files if file]


def _homes(modules: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What the driver calls files that lie otherwise in the bundle, as those of a `src` layout."""
    for name, path in modules.items():
        spec = locate(name)
        file = getattr(sys.modules.get(name), "__file__", None) or (spec.origin if spec is not None else None)
        if file and (home := shown_paths.shown(str(file))) not in (path, str(file)):
            yield path, home


def _around(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


@dataclass
class Project:
    """By one set of rules; thread-safe."""

    place: Callable[[str], Travel]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    warned: set[str] = field(default_factory=set)
    """Variables that were named in a warning."""
    _bundle: Bundle | None = None
    _seen: tuple[Any, ...] = ()
    _asked: set[str] = field(default_factory=set)
    """What code by value may import."""
    _also: set[str] = field(default_factory=set)
    """Of that, modules of the project."""
    _reached: tuple[Bundle | None, dict[tuple[frozenset[str], frozenset[str]], Reach]] = (None, {})
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def bundle(self, also: Iterable[str] = ()) -> Bundle:
        """Of the modules that are loaded by now, of what they import, and of what code by value may import besides."""
        with self._lock:
            new = set(also) - self._asked
            self._asked |= new
            self._also |= {name for name in new if is_project(name, self._travels)}
            if self._bundle is None or self._now() != self._seen:
                found = collect(self._travels, self.include, self._also)
                known = self._bundle.collected if self._bundle is not None else None
                if known is None or (known.sources, known.namespaces) != (found.sources, found.namespaces):
                    self._bundle = _of_this_pod(found) or Bundle.of(found, self.data, self.exclude)
                self._seen = self._now()
            assert self._bundle is not None
            return self._bundle

    def _travels(self, name: str) -> bool:
        return self.place(name) is Travel.BUNDLE

    def _now(self) -> tuple[Any, ...]:
        """What the bundle depends on."""
        unread = states(self._bundle.collected.sources) if self._bundle is not None else []
        return len(sys.modules), NOTES.count, len(self._also), unread

    def packing(self, changed: Changes | None = None) -> Packing:
        """For one pickle. Of code, with what was `changed`: objects of modules are named; of arguments, copied."""
        return Packing(functools.cache(self.place), changed.lookup if changed is not None else None)

    def changes(self) -> Changes:
        """What the program has changed in modules until now."""
        return changes_of(self.bundle().collected.sources, functools.cache(self.place))

    def reach(self, named: Iterable[str], perhaps: Iterable[str] = ()) -> Reach:
        """What modules of these names need; `perhaps`: those that a function may import when it runs."""
        bundle, key = self.bundle(), (frozenset(named), frozenset(perhaps))
        if self._reached[0] is not bundle:
            self._reached = (bundle, {})
        if key not in self._reached[1]:
            found = bundle.collected
            self._reached[1][key] = reach(found.sources, found.namespaces, *key)
        return self._reached[1][key]
