"""Names modules that the pod will not have, before anything is submitted.

    code, arguments ──pickled──> modules they need by name ──> standard library? runner image? ──> refuse, or warn

What runner images have is published by the chart; where nobody says so, podtask's own images are assumed and a warning
is all there is. An image of the task's own is not known here: then nothing is said. Used by: `backend`.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable

from podtask.core.api.runner_image import MODULES, PUBLISHED
from podtask.errors import PodtaskError
from podtask.kube.client_config import Published, client_config
from podtask.payloads.module_policy import covers

log = logging.getLogger("podtask.backends")


class ModuleMissing(PodtaskError, ImportError):
    """The task needs a module that is neither in the image nor travels with it."""

    def __init__(self, task_name: str, names: list[str]) -> None:
        what = "module " + _listed(names) if len(names) == 1 else "modules " + _listed(names)
        given = ", ".join(repr(name) for name in names)
        super().__init__(
            f"Task '{task_name}' needs the {what}, which the cluster's runner image does not have. Give the task an "
            f"image that has it (@task(image=...)), let it travel along where it is pure Python "
            f"(@task(include=[{given}])), or say that the image has it after all (@task(exclude=[{given}]), or "
            f"runner.modules of the chart)."
        )


class CompiledModule(PodtaskError, ImportError):
    """The task needs a module of the project that is machine code, and only source files travel."""

    def __init__(self, task_name: str, name: str, file: str) -> None:
        super().__init__(
            f"Task '{task_name}' needs the module '{name}' of the project, which is compiled ({file}); only source "
            f"files travel. Give the task an image that has it (@task(image=..., exclude=['{name}'])), or let the "
            f"import be one that may fail (try: ... except ImportError)."
        )


class ImageContents:
    """What the cluster's runner images can import; asked for once, and only when something is in doubt."""

    def __init__(self, namespace: str, published: Published) -> None:
        self._namespace = namespace
        self._published = published
        self._names: frozenset[str] | None = None
        self._asked = False
        self._warned: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def check(self, task_name: str, needed: Iterable[str], imported: Iterable[str], there: Iterable[str]) -> None:
        """Raise `ModuleMissing` for `needed` modules that the image lacks; warn of others, and where nobody knows.

        `imported` are imports inside of functions, which may be prepared for their absence. `there`: what the user
        says the image has.
        """
        doubtful, later = (_doubtful(names, there) for names in (needed, imported))
        if not doubtful and not later:
            return
        known = self._contents()
        if known is None:
            self._warn(task_name, doubtful | later, "podtask's own runner images do not have it (yours may)")
            return
        if missing := sorted(doubtful - known):
            raise ModuleMissing(task_name, missing)
        self._warn(task_name, later - known, "the cluster's runner image does not have it")

    def _warn(self, task_name: str, names: Iterable[str], why: str) -> None:
        for name in sorted(names):
            if (task_name, name) not in self._warned:
                self._warned.add((task_name, name))
                log.warning(
                    "Task '%s' needs the module '%s', and %s: set image=, include= or exclude=.", task_name, name, why
                )

    def _contents(self) -> frozenset[str] | None:
        with self._lock:
            if not self._asked:
                text = (client_config(self._namespace, self._published, PUBLISHED) or {}).get(PUBLISHED, "")
                names = frozenset(name.strip() for name in text.split(",") if name.strip())
                self._names, self._asked = names or None, True
            return self._names


def _doubtful(names: Iterable[str], there: Iterable[str]) -> frozenset[str]:
    """Top-level names that are neither the standard library nor podtask's own."""
    given = tuple(there)
    tops = {name.partition(".")[0] for name in names if name and not covers(given, name)}
    return frozenset(tops - sys.stdlib_module_names - frozenset(MODULES) - {"__main__"})


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
