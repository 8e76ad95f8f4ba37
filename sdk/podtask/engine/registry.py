"""Which backends there are, by name, and the one instance of each per process.

Public as `podtask.backends`. Asked by: `podtask.engine.flow_engine`.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable
from functools import partial

from podtask import settings as configuration
from podtask.engine.backend import Backend
from podtask.errors import BackendNotInstalled, UnknownBackend
from podtask.settings import Settings

Factory = Callable[[Settings], Backend]


OURS = {
    "local": "podtask.backends.local",
    "process": "podtask.backends.process",
    "kubernetes": "podtask.backends.kubernetes",
}
"""Modules with a function `create(settings)`; imported by the first flow that asks for the backend."""


def _create(name: str, settings: Settings) -> Backend:
    try:
        create: Factory = importlib.import_module(OURS[name]).create
    except ModuleNotFoundError as error:
        raise BackendNotInstalled(name, "kubernetes", error.name or "kubernetes") from error
    return create(settings)


_factories: dict[str, Factory] = {name: partial(_create, name) for name in OURS}
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
    settings = configuration.load(backend=name)
    if settings.backend not in _factories:
        raise UnknownBackend(settings.backend, known())
    key = f"{settings.backend} {settings.home} {settings.namespace} {settings.store} {settings.s3_endpoint_url}"
    with _lock:
        if key not in _instances:
            _instances[key] = _factories[settings.backend](settings)
        return _instances[key]


def _born() -> None:
    """Forget all backends in a forked child: the threads of the parent's backends do not exist there."""
    global _lock  # noqa: PLW0603 - a thread of the parent may have held it
    _lock = threading.Lock()
    _instances.clear()


os.register_at_fork(after_in_child=_born)
