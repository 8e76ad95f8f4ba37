"""Globals that a task's cache key is made of and that do not travel: what a pod has to have alike, by fingerprint.

    names that the code uses ── made by modules of the project at their import ──> {"conf": {"WORKERS": "h1:…"}}

What the text says literally is the same wherever the text is, and what was changed travels in the overlay. The rest is
computed by each interpreter for itself. Checked by `podtask_runner.bundle.verified`. Used by: `podtask.payloads.code`.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from podtask.payloads.project.changes import Changes
from podtask.payloads.project.collect import Source
from podtask.payloads.project.text import Text
from podtask_runner.bundle.verified import NEVER, fingerprint

Expected = dict[str, dict[str, str]]


def expected(used: Iterable[tuple[str, str, object]], sources: Mapping[str, Source], changes: Changes) -> Expected:
    """Of the globals that code uses (module, name, value)."""
    prints: Expected = {}
    for user, variable, value in used:
        module, name = (user, variable) if user in sources else changes.lookup(value) or (user, variable)
        if module not in sources:
            continue
        text = sources[module].read(module)
        if (own := _fingerprint(sys.modules[module], name, value, text, changes)) is not None:
            prints.setdefault(module, {})[name] = own
    return {module: dict(sorted(names.items())) for module, names in sorted(prints.items())}


def _fingerprint(module: types.ModuleType, name: str, value: object, text: Text, changes: Changes) -> str | None:
    variable = f"{module.__name__}.{name}"
    if any(stuck == variable or stuck.startswith(f"{variable}.") for stuck in changes.stuck):
        return NEVER
    if (module.__name__, name) in changes.carried or name in text.literals or _is_written_out(name, value, text):
        return None
    return fingerprint(module, value)


def _is_written_out(name: str, value: object, text: Text) -> bool:
    """Whether all data of a class stands in the text."""
    if not isinstance(value, type):
        return False
    return all(f"{name}.{member}" in text.literals for member in _data(vars(value).copy()))


def _data(members: Mapping[str, Any]) -> Collection[str]:
    return [name for name, item in members.items() if not name.startswith("_") and not callable(item)]
