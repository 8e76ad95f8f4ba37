"""The scenarios: one module per section of the semantics, one function per behaviour, its name a sentence.

Each takes the library (`p`, from `sides/`) and the trace (`t`), and runs unchanged on both sides.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

SECTIONS = (
    "task_objects",
    "calls",
    "async_calls",
    "upstreams",
    "containers",
    "failures",
    "retries",
    "caching",
    "flow_results",
    "flow_calls",
    "subflows",
    "futures",
    "run_context",
)


def all_scenarios() -> dict[str, dict[str, Any]]:
    """Section → scenario name → function, in the order of the files."""
    return {section: _of(importlib.import_module(f"{__name__}.{section}")) for section in SECTIONS}


def _of(module: Any) -> dict[str, Any]:
    found = inspect.getmembers(module, inspect.isfunction)
    own = [(name, fn) for name, fn in found if fn.__module__ == module.__name__ and not name.startswith("_")]
    return dict(sorted(own, key=lambda item: item[1].__code__.co_firstlineno))
