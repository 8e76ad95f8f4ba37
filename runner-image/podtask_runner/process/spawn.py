"""Processes that user code spawns: they find the names of the script in their `__main__`, as beside the script itself.

    multiprocessing asks for `__main__.__spec__.name` ──> a file with the names ──> `process.spawned` reads it there

A process of `multiprocessing` with `spawn` or `forkserver` is a new interpreter. It runs the main module again, under
the name that the parent's `__main__` has; in a pod there is no file to run. Used by: `podtask_runner.process.child`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, Final

SPAWNED: Final = "podtask_runner.process.spawned"
ENV_NAMES: Final = "PODTASK_SPAWNED"


class MainSpec(ModuleSpec):
    """The spec of a pod's `__main__`. `multiprocessing` asks for its name when it is about to start an interpreter."""

    def __init__(self, room: Callable[[], Path]) -> None:
        self._room = room
        super().__init__("__main__", None)

    @property
    def name(self) -> str:
        """The module to run there; for others, who print tracebacks, `__main__`. Raises `OSError` without room."""
        if sys._getframe(1).f_globals.get("__name__") != "multiprocessing.spawn":  # noqa: SLF001
            return "__main__"
        if ENV_NAMES not in os.environ:
            os.environ[ENV_NAMES] = str(self._room())
        _write(Path(os.environ[ENV_NAMES]))
        return SPAWNED

    @name.setter
    def name(self, name: str) -> None:
        """`ModuleSpec` sets it."""


def prepare(room: Callable[[], Path]) -> None:
    """For the `__main__` of this process. `room`: a new path that goes with the attempt."""
    os.environ.pop(ENV_NAMES, None)  # of a task whose process started this one
    sys.modules["__main__"].__spec__ = MainSpec(room)


def _write(path: Path) -> None:
    """Anew for each process: the task may have made more by now. What cannot be pickled is not there."""
    from podtask_runner.serialization.pickling import dumps

    names: dict[str, bytes] = {}
    for name, value in list(vars(sys.modules["__main__"]).items()):
        if name.startswith("__"):
            continue
        try:
            names[name] = dumps(value)
        except Exception:  # noqa: BLE001, S112 - objects of the user's may do anything
            continue
    state: dict[str, Any] = {"names": names, "project": _project()}
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(dumps(state))
    part.replace(path)


def _project() -> tuple[bytes, str, bytes | None, bool] | None:
    """The bundle, its folder, the overlay, and whether this is the machine of the driver."""
    finder = sys.modules.get("podtask_runner.bundle.finder")
    current = finder.CURRENT if finder is not None else None
    return None if current is None else (current.data, current.folder, current.changes, current.at_home)
