"""The script's own `logging` set-up, as far as it can travel: levels, and the format of the root's first handler.

A task runs in a process that no `logging.basicConfig` of the script has seen; without this, only warnings come out.
Made by the SDK where the script configured the root logger; opened by `podtask_runner.pickled_names.logging_as`.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from podtask_runner import pickled_names

MOST: Final = 200
"""Loggers with a level of their own."""


class Configured:
    """Pickles as its content; where it is opened, records come out as in this process."""

    def __init__(self, content: object) -> None:
        self._content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return pickled_names.logging_as, (*found(), self._content)


def is_configured() -> bool:
    """Whether somebody decided about records; without a handler Python itself shows warnings."""
    return bool(logging.getLogger().handlers)


def found() -> tuple[dict[str, int], str | None, str | None]:
    """Levels by logger ("" is the root), and the format of lines and times."""
    root = logging.getLogger()
    named = {name: item.level for name, item in root.manager.loggerDict.items() if isinstance(item, logging.Logger)}
    levels = {name: level for name, level in sorted(named.items()) if level and name.partition(".")[0] != "podtask"}
    kept = {"": root.level, **dict(list(levels.items())[:MOST])}
    form = root.handlers[0].formatter if root.handlers else None
    style = getattr(form, "_style", None)
    if type(form) is not logging.Formatter or type(style) is not logging.PercentStyle:
        return kept, None, None
    try:
        form.format(logging.LogRecord("name", logging.INFO, "file.py", 1, "text", None, None))
    except (KeyError, ValueError, TypeError):  # it shows what only a filter of this process knows
        return kept, None, None
    return kept, style._fmt, form.datefmt  # noqa: SLF001
