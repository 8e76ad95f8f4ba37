"""`log_prints`: `print` inside a run goes to that run's logger, everywhere else it stays `print`.

The builtin is replaced while at least one such run is active; a context variable says whose print it is.
"""

from __future__ import annotations

import builtins
import io
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_LOGGER: ContextVar[logging.LoggerAdapter[Any] | None] = ContextVar("podtask_prints_to", default=None)
_lock = threading.Lock()
_active = 0
_original = builtins.print


@contextmanager
def prints_to(logger: logging.LoggerAdapter[Any]) -> Iterator[None]:
    """Inside, and in this context only, `print` without `file=` is `logger.info`."""
    token = _LOGGER.set(logger)
    _count(1)
    try:
        yield
    finally:
        _count(-1)
        _LOGGER.reset(token)


def _count(step: int) -> None:
    global _active, _original  # noqa: PLW0603 - there is one builtin
    with _lock:
        if _active == 0:
            _original = builtins.print
            builtins.print = _print
        _active += step
        if _active == 0:
            builtins.print = _original


def _print(*values: object, **options: Any) -> None:
    logger = _LOGGER.get()
    if logger is None or options.get("file") is not None:
        _original(*values, **options)
        return
    text = io.StringIO()
    _original(*values, sep=options.get("sep"), end="", file=text)
    logger.info("%s", text.getvalue())
