"""A status as JSON, and the smallest merge patch that makes the stored one equal to it.

Before: `podtask.core.lifecycle.rendering` (what is derived). Next: `status_writer` (the one status write).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from podtask.core.lifecycle.rendering import StatusView

_VIEW: TypeAdapter[StatusView] = TypeAdapter(StatusView)


def dump(view: StatusView) -> dict[str, Any]:
    """camelCase, times in UTC with microseconds, nothing empty."""
    dumped = _VIEW.dump_python(view, mode="json", by_alias=True, exclude_none=True)
    return {name: value for name, value in dumped.items() if value != []}


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) that turns `old` into `new`; what is equal is left out."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        was = old.get(name)
        if name in old and was == value:
            continue
        both = isinstance(was, Mapping) and isinstance(value, Mapping)
        patch[name] = merge_patch(was, value) if both else value  # type: ignore[arg-type]
    return patch
