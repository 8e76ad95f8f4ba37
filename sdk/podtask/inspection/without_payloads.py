"""A TaskRun without what only a pod reads, so that a list of ten thousand fits into memory. Pure.

Before: `podtask.kube.client`, which drops it from each page as it comes. Users: `list`, `wait`, `watch`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SPEC: Final = frozenset({"inputs", "files", "parameters", "env", "podTemplate"})
TASK: Final = frozenset({"source", "code", "bundle", "overlay"})
METADATA: Final = frozenset({"annotations", "managedFields"})


def without_payloads(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object with its status, names, labels, and the small fields of its spec."""
    spec = _without(obj.get("spec") or {}, SPEC)
    if "task" in spec:
        spec["task"] = _without(spec["task"] or {}, TASK)
    return {**obj, "metadata": _without(obj["metadata"], METADATA), "spec": spec}


def _without(part: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name not in names}
