"""Code that travels by value keeps the name of its file, and takes its source lines along, for tracebacks.

A pod has no file of the laptop, and cloudpickle from 3.1.3 on replaces the file's name by `<dynamic-code>`; without
both, a traceback shows neither where nor what. Used by `podtask_runner.serialization.pickling`; opened by
`podtask_runner.pickled_names.code`.
"""

from __future__ import annotations

import linecache
import types
from typing import Any, Final

import cloudpickle

from podtask_runner import pickled_names, shown_paths

MOST_LINES: Final = 2000
"""Of one function; what is longer is shown by its file and line numbers only."""
LONGEST_LINE: Final = 1000
"""Characters; generated code may have its data in one line."""


def reduced(code: types.CodeType) -> tuple[Any, ...]:
    """As cloudpickle reduces it, with its file and its lines."""
    _, parts = cloudpickle.Pickler.dispatch_table[types.CodeType](code)[:2]
    called = shown_paths.shown(code.co_filename)
    more = (called,) if called != code.co_filename else ()
    return pickled_names.code, (parts, code.co_filename, code.co_firstlineno, lines_of(code), *more)


def lines_of(code: types.CodeType) -> tuple[str, ...]:
    """The source from the first line of the code to its last one; empty where nobody has it."""
    first = code.co_firstlineno
    last = max((line for _, _, line in code.co_lines() if line is not None), default=first)
    if last - first >= MOST_LINES:
        return ()
    try:
        whole = linecache.getlines(code.co_filename)
    except Exception:  # noqa: BLE001 - a loader of the user's may do anything
        return ()
    return tuple(line if len(line) <= LONGEST_LINE else "\n" for line in whole[first - 1 : last])
