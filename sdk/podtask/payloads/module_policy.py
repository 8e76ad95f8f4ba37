"""Which modules travel with a task, and how. First rule that answers wins:

    exclude   `@task(exclude=...)`, PODTASK_EXCLUDE: the image has it       by name, not looked for
    include   `@task(include=...)`, PODTASK_INCLUDE: take it along          as a file
    own       its file is in the project: the working directory, an         as a file
              editable install, PYTHONPATH; not in site-packages
    other     the standard library, installed packages                      by name

A name stands for the package and everything in it. What travels and has no text (a module made by a program) goes by
value, like the script itself; so do files of tests that pytest loads, where the task goes to a pod: they import pytest.
"Own" is what counts as the user's code in cache keys, too (`podtask_runner.hashing.modules`). Used by:
`podtask.engine.flow_run` (arguments), `podtask.payloads.code` (code), backends (`project`).
"""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podtask.model.definitions import TaskDefinition
    from podtask.payloads.project.state import Project
    from podtask_runner.serialization.by_value import Packing, Travel

_SOURCE = (".py", ".pyc")


@dataclass(frozen=True)
class ModulePolicy:
    """The rules for one task."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    """Patterns of files beside modules; a setting, because the bundle is the project's."""

    def travels(self, name: str) -> bool:
        """Whether the module goes along."""
        if covers(self.exclude, name):
            return False
        return covers(self.include, name) or is_own(name, name in sys.modules)

    def place(self, name: str, *, at_home: bool) -> Travel:
        """How it goes. `at_home`: to another process of this machine."""
        from podtask.payloads.project.collect import is_shippable, source_of
        from podtask_runner.serialization.by_value import Travel

        if not self.travels(name):
            return Travel.NAME
        if not is_shippable(name) or (not at_home and _of_pytest(name)):
            return Travel.VALUE
        module = sys.modules.get(name)
        namespace = getattr(module, "__file__", None) is None and hasattr(module, "__path__")
        return Travel.BUNDLE if namespace or source_of(name) is not None else Travel.VALUE

    def project(self, *, at_home: bool = False) -> Project:
        """The project by these rules."""
        return _project(self, at_home)

    def packing(self, *, at_home: bool = False) -> Packing:
        """For one pickle of arguments."""
        return self.project(at_home=at_home).packing()


@functools.lru_cache(maxsize=64)
def _project(policy: ModulePolicy, at_home: bool) -> Project:  # noqa: FBT001 - part of the cache's key
    from podtask.payloads.project.state import Project

    place = functools.partial(policy.place, at_home=at_home)
    return Project(place, policy.include, policy.exclude, policy.data)


def policy_of(task: TaskDefinition) -> ModulePolicy:
    """What the task's options and the settings say."""
    from podtask import settings
    from podtask.options import modules_named

    given = settings.load()
    include, exclude = (modules_named(f"the setting '{name}'", _listed(text)) for name, text in _modules(given))
    options = task.options
    return ModulePolicy((*options.include, *include), (*options.exclude, *exclude), tuple(_listed(given.data)))


def _modules(settings: Any) -> list[tuple[str, str]]:
    return [("include", settings.include), ("exclude", settings.exclude)]


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def covers(packages: Iterable[str], name: str) -> bool:
    """Whether the module is one of the packages or inside of one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


@functools.lru_cache(maxsize=4096)
def is_own(name: str, loaded: bool) -> bool:  # noqa: FBT001 - part of the cache's key
    """Whether the module is the user's, and of pure Python. One that exists nowhere but in memory is."""
    from podtask_runner.hashing import modules

    if name == "__main__":
        return True
    where = _file(name) if loaded else _found(name)
    if where is None:
        return loaded and modules.is_own(name, "<memory>")
    return where.suffix in _SOURCE and modules.is_own(name, str(where))


def _found(name: str) -> Path | None:
    """Where a module is that is not loaded."""
    from podtask.payloads.project.collect import locate

    spec = locate(name)
    if spec is None or (spec.origin is not None and not spec.has_location):
        return None
    folders = list(spec.submodule_search_locations or ())
    return Path(spec.origin) if spec.origin is not None else Path(folders[0]) / "__init__.py" if folders else None


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


def _of_pytest(name: str) -> bool:
    loader = getattr(sys.modules.get(name), "__loader__", None)
    return type(loader).__module__.startswith("_pytest.")
