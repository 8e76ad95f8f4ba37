"""Which backends there are, and the one instance of each per process.

`base` is the protocol. `local` and `process` share `loop`, `shelf`, `timers` and `workers`; `kubernetes` stands alone.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable

from podtask import settings
from podtask.engine.backend import Backend
from podtask.errors import BackendNotInstalled, UnknownBackend

__all__ = ["Backend", "get", "known", "register"]

Factory = Callable[[settings.Settings], Backend]


def _local(given: settings.Settings) -> Backend:
    from podtask.backends.local import LocalBackend

    return LocalBackend(given.home)


def _process(given: settings.Settings) -> Backend:
    from podtask.backends.process import ProcessBackend

    return ProcessBackend(given.home)


def _kubernetes(given: settings.Settings) -> Backend:
    module = "podtask.backends.kubernetes"
    try:
        create: Factory = importlib.import_module(module).create
    except ModuleNotFoundError as error:
        missing = error.name or "kubernetes"
        raise BackendNotInstalled("kubernetes", "kubernetes", missing) from error
    return create(given)


_factories: dict[str, Factory] = {"local": _local, "process": _process, "kubernetes": _kubernetes}
_instances: dict[str, Backend] = {}
_lock = threading.Lock()


def known() -> list[str]:
    """Names that `get` accepts."""
    return list(_factories)


def register(name: str, factory: Factory) -> None:
    """Add a backend, or put another in the place of one; for plugins and tests."""
    with _lock:
        _factories[name] = factory
        for key in [key for key in _instances if key.split(" ")[0] == name]:
            del _instances[key]


def get(name: str | None = None) -> Backend:
    """The backend of this name, or of `PODTASK_BACKEND`. Raises `UnknownBackend`, `BackendNotInstalled`."""
    given = settings.load(backend=name)
    if given.backend not in _factories:
        raise UnknownBackend(given.backend, known())
    key = f"{given.backend} {given.home} {given.namespace} {given.store} {given.s3_endpoint_url}"
    with _lock:
        if key not in _instances:
            _instances[key] = _factories[given.backend](given)
        return _instances[key]


def _born() -> None:
    """A forked child has none of its parent's threads: what their backends were given would never run."""
    global _lock  # noqa: PLW0603 - a thread of the parent may have held it
    _lock = threading.Lock()
    _instances.clear()


os.register_at_fork(after_in_child=_born)
