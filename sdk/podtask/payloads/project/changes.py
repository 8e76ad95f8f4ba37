"""What the program changed in modules of the project after their own import, and how it travels.

    module now ── against its snapshot ──> changes ── pickled one by one ──> an overlay, and what cannot travel

The pod imports the module from its text, which makes what the module makes for itself: locks, clients, paths. On top
comes what was changed here, so that a task sees what the hash of its code was made of. Applied by
`podtask_runner.bundle.overlay`.
"""

from __future__ import annotations

import operator
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from podtask.payloads.project import baseline
from podtask.payloads.project.collect import Source
from podtask.payloads.project.recorder import NOTES
from podtask.payloads.project.snapshot import Change, KeptValue, Snapshot, globals_of, is_own_object
from podtask_runner.bundle.overlay import EXPECTED
from podtask_runner.serialization.by_value import Packing, Travel

_BY_TEXT: dict[str, tuple[types.ModuleType, Snapshot]] = {}
"""Snapshots of modules that nobody noted."""
_BY_NAME = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType, types.MethodType)
_COPIED = (type(None), bool, int, float, complex, str, bytes, tuple, frozenset, range, type(...), type(NotImplemented))
"""Of these a copy is as good as the original."""
_CHANGEABLE = (list, dict, set, bytearray)


@dataclass(frozen=True)
class Changes:
    """Of all modules of the project, now."""

    overlay: bytes | None
    """The payload; None where nothing was changed."""
    stuck: Mapping[str, str]
    """What was changed and cannot travel: `conf.CLIENT` -> why."""
    shared: Mapping[int, tuple[str, str]]
    """Objects that a module of the pod has as well, by their id: the module and the name."""
    parts: Mapping[str, list[tuple[bytes, bool]]] = field(default_factory=dict)
    """What the overlay is made of."""
    carried: frozenset[tuple[str, str]] = frozenset()
    """Modules and the globals of them that travel, wholly or in part."""

    def expecting(self, expected: dict[str, dict[str, str]]) -> bytes | None:
        """The overlay with fingerprints of what does not travel (`podtask_runner.bundle.verified`)."""
        if not expected:
            return self.overlay
        return _dumped({**self.parts, EXPECTED: [(_dumped(expected), True)]})

    def lookup(self, obj: object) -> tuple[str, str] | None:
        """The module and the name of an object, if it still is what they say."""
        found = self.shared.get(id(obj))
        return found if found is not None and vars(sys.modules[found[0]]).get(found[1]) is obj else None


def changes_of(sources: Mapping[str, Source], place: Callable[[str], Travel]) -> Changes:
    """What was changed until now in those modules that are loaded."""
    from podtask_runner.serialization.pickling import dumps

    overlay: dict[str, list[tuple[bytes, bool]]] = {}
    stuck: dict[str, str] = {}
    carried: set[tuple[str, str]] = set()
    shared: dict[int, tuple[str, str]] = {}
    for name, source in sources.items():
        module = sys.modules.get(name)
        if module is None:
            continue
        look = _look(module, source)
        lost = set()
        for path, value in look.changes:
            packing = Packing(place)
            try:
                data = dumps([(path, value)], packing=packing)
            except Exception as error:  # noqa: BLE001 - objects of the user's may do anything
                stuck[".".join((name, *path))] = f"{type(error).__name__}: {error}"
                lost.add(path[0])
            else:
                overlay.setdefault(name, []).append((data, not packing.reached <= {name}))
                carried.add((name, path[0]))
        for variable, value in look.shareable:
            if variable not in lost:
                shared.setdefault(id(value), (name, variable))
    parts = dict(sorted(overlay.items()))
    return Changes(_dumped(parts) if parts else None, stuck, shared, parts, frozenset(carried))


def _dumped(content: object) -> bytes:
    from podtask_runner.serialization.pickling import dumps

    return dumps(content)


@dataclass(frozen=True)
class Look:
    """One module compared with its snapshot; good for as long as the globals stay what they are.

    A project has thousands of globals, and every call asks. What was changed is pickled at every call all the same:
    what is deep inside of it is nobody's to compare.
    """

    snapshot: Snapshot
    items: tuple[Any, ...]
    """Names and values of all globals."""
    inside: tuple[tuple[Any, KeptValue], ...]
    """Of those that can change without becoming another object, what they were."""
    changes: tuple[Change, ...]
    shareable: tuple[tuple[str, Any], ...]

    @classmethod
    def at(cls, module: types.ModuleType, snapshot: Snapshot) -> Look:
        """Now."""
        items = _items(module)
        kept = ((value, KeptValue.of(value)) for _, value in globals_of(module))
        inside = tuple((value, was) for value, was in kept if was.content is not None or was.attributes is not None)
        return cls(snapshot, items, inside, tuple(snapshot.changes(module)), tuple(_shareable(module, snapshot)))

    def holds(self, module: types.ModuleType) -> bool:
        """Whether a look now would show the same."""
        items = _items(module)
        if len(items) != len(self.items) or not all(map(operator.is_, self.items, items)):
            return False
        return not any(change for value, was in self.inside for change in was.changes(value))


def _items(module: types.ModuleType) -> tuple[Any, ...]:
    space = vars(module)
    return (*space, *space.values())


_LOOKS: dict[str, Look] = {}


def _look(module: types.ModuleType, source: Source) -> Look:
    snapshot, look = _snapshot(module, source), _LOOKS.get(module.__name__)
    if look is None or look.snapshot is not snapshot or not look.holds(module):
        _LOOKS[module.__name__] = look = Look.at(module, snapshot)
    return look


def _snapshot(module: types.ModuleType, source: Source) -> Snapshot:
    note = NOTES.of(module)
    if note is not None:
        return note.snapshot
    kept = _BY_TEXT.get(module.__name__)
    if kept is None or kept[0] is not module:
        kept = module, baseline.of(module, source.read(module.__name__))
        _BY_TEXT[module.__name__] = kept
    return kept[1]


def _shareable(module: types.ModuleType, snapshot: Snapshot) -> Iterator[tuple[str, Any]]:
    """Globals that are objects with an identity. What may have changed unnoticed is none of them."""
    for name, value in globals_of(module):
        if isinstance(value, (*_BY_NAME, *_COPIED)) and type(value) in (*_BY_NAME, *_COPIED):
            continue
        if isinstance(value, type) or (hasattr(value, "__qualname__") and hasattr(value, "__module__")):
            continue  # found by its own name
        unknown = not snapshot.complete and name not in snapshot.kept
        if not unknown or not (isinstance(value, _CHANGEABLE) or is_own_object(value)):
            yield name, value
