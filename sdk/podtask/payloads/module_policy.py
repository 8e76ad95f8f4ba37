"""Which modules travel with a task to another machine, and which must be there. First rule that answers wins:

    exclude   `@task(exclude=...)`, PODTASK_EXCLUDE: the image has it       by name, not looked for
    include   `@task(include=...)`, PODTASK_INCLUDE: take it along          by value
    own       its file is in the project: the working directory, an         by value
              editable install, PYTHONPATH; not in site-packages
    other     the standard library, installed packages                      by name

A name stands for the package and everything in it. "Own" is what counts as the user's code in cache keys, too
(`podtask_runner.hashing.modules`). Used by: `podtask.engine.flow_run` (arguments), `podtask.payloads.code` (code).
"""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podtask.model.definitions import TaskDefinition
    from podtask_runner.serialization.by_value import Packing

_SOURCE = (".py", ".pyc")


@dataclass(frozen=True)
class Luggage:
    """The rules for one task."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def travels(self, name: str) -> bool:
        """Whether the module goes by value."""
        if covers(self.exclude, name):
            return False
        return covers(self.include, name) or is_own(name, name in sys.modules)

    def packing(self) -> Packing:
        """For one pickle."""
        from podtask_runner.serialization.by_value import Packing

        return Packing(functools.cache(self.travels))


def luggage_of(task: TaskDefinition) -> Luggage:
    """What the task's options and the settings say."""
    from podtask import settings
    from podtask.options import modules_named

    given = settings.load()
    include, exclude = (
        modules_named(f"the setting '{name}'", [part.strip() for part in text.split(",") if part.strip()])
        for name, text in (("include", given.include), ("exclude", given.exclude))
    )
    return Luggage((*task.options.include, *include), (*task.options.exclude, *exclude))


def covers(packages: Iterable[str], name: str) -> bool:
    """Whether the module is one of the packages or inside of one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


@functools.lru_cache(maxsize=4096)
def is_own(name: str, loaded: bool) -> bool:  # noqa: FBT001 - part of the cache's key
    """Whether the module is the user's, and of pure Python. One that exists nowhere but in memory is."""
    from podtask_runner.hashing import modules

    if name == "__main__":
        return True
    found = None if loaded else modules.file_of(name)
    where = _file(name) if loaded else Path(found) if found else None
    if where is None:
        return loaded and modules.is_own(name, "<memory>")
    return where.suffix in _SOURCE and modules.is_own(name, str(where))


def _file(name: str) -> Path | None:
    """The module's file, or that of the nearest package around it: parts made at run time are as their package."""
    while name:
        module = sys.modules.get(name)
        if file := getattr(module, "__file__", None):
            return Path(file)
        for folder in getattr(module, "__path__", ()):
            return Path(folder) / "__init__.py"
        name = name.rpartition(".")[0]
    return None
