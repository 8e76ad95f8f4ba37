"""What the driver changed in modules after their own import, put into the same modules in a pod.

    conf.RATE = 0.5 in the script ──> {"conf": [...("RATE",), 0.5...]} ──> right after conf's own statements have run

Values that are made of other modules of the project (a registry of functions) wait until no module of the project is
half imported. Where such a value cannot be opened, the module keeps its own, and the log says so. A list, a dict or a
set is changed in place, because others may hold it; a value that is equal already is left alone. Written by
`podtask.payloads.project.changes`, applied by `bundle.finder`.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Change = tuple[tuple[str, ...], Any]
"""Where: the name of a global, and of attributes below it; and the value."""

EXPECTED: Final = ""
"""In place of a module's name: the fingerprints. A runner that does not know them has no module of that name."""


@dataclass(frozen=True)
class Part:
    """Some changes of a module, pickled together."""

    data: bytes
    late: bool = False
    """Whether the values are made of other modules of the project."""


@dataclass
class Overlay:
    """Changes by module."""

    parts: Mapping[str, Sequence[Part]] = field(default_factory=dict)
    waiting: list[tuple[types.ModuleType, Part]] = field(default_factory=list)
    expected: Mapping[str, dict[str, str]] = field(default_factory=dict)
    """By module: fingerprints of globals that a cache key was made of (`bundle.verified`)."""
    differing: list[str] = field(default_factory=list)
    """Those that are not the same here."""

    @classmethod
    def read(cls, data: bytes | None) -> Overlay:
        """From a payload. Raises what `pickling.loads` raises."""
        if data is None:
            return cls()
        from podtask_runner.serialization.pickling import loads

        content = loads(data)
        expected = [loads(data) for data, _ in content.pop(EXPECTED, ())]
        parts = {name: [Part(*part) for part in parts] for name, parts in content.items()}
        return cls(parts, expected=expected[0] if expected else {})

    def apply(self, module: types.ModuleType, *, whole: bool) -> None:
        """Put the changes of this module into it. `whole`: no module of the project is half imported now."""
        for part in self.parts.get(module.__name__, ()):
            if part.late:
                self.waiting.append((module, part))
            else:
                _put_all(module, part)
        if (expected := self.expected.get(module.__name__)) is not None:
            from podtask_runner.bundle import verified

            self.differing += verified.differing(module, expected)
        while whole and self.waiting:
            other, part = self.waiting.pop(0)
            try:
                _put_all(other, part)
            except Exception as error:  # noqa: BLE001 - other modules are imported, which may do anything
                why = f"{type(error).__name__}: {error}"
                sys.stderr.write(
                    f"podtask: what the driver changed in the module {other.__name__!r} cannot be opened here ({why}); "
                    f"the task sees what the module makes by itself.\n"
                )


def _put_all(module: types.ModuleType, part: Part) -> None:
    from podtask_runner.serialization.pickling import loads

    for path, value in loads(part.data):
        put(module, path, value)


def put(module: types.ModuleType, path: Sequence[str], value: Any) -> None:
    """One change. What it would be made in may be absent here; then there is nothing to change."""
    owner: Any = module
    for name in path[:-1]:
        owner = getattr(owner, name, None)
    if owner is None:
        return
    space = _space(owner)
    current = space.get(path[-1]) if space is not None else getattr(owner, path[-1], None)
    if same(current, value) or _into(current, value):
        return
    if space is None or isinstance(owner, type):
        setattr(owner, path[-1], value)
    else:
        space[path[-1]] = value


def same(one: Any, other: Any) -> bool:
    """Whether a value is there already."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - arrays, and whatever a user's __eq__ does
        return False


def _space(owner: Any) -> dict[str, Any] | None:
    space = getattr(owner, "__dict__", None)
    return space if isinstance(space, dict) else None if space is None else dict(space)


def _into(current: Any, value: Any) -> bool:
    """In place, for those that hold the object."""
    if type(current) is not type(value):
        return False
    if type(current) is list:
        current[:] = value
    elif type(current) is dict or type(current) is set:
        current.clear()
        current.update(value)
    else:
        return False
    return True
