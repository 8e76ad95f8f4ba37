"""Reading a pod's fields whatever they are: each accessor answers with the wanted type or with nothing.

All of them are parts of parsed JSON, so an object is a `dict`: asking for a `Mapping` would take five times as long.
Asked by: `status`, `waiting`, `disruption`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from podtask.core.api.names import POD_CONTAINER


def mapping(value: Any) -> Mapping[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def of_type(value: Any) -> Mapping[str, Any] | None:
    """The object, or None: `running: {}` is a statement, an absent `running` is not."""
    return value if isinstance(value, dict) else None


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The objects in a list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def at(value: Any, *path: str) -> Any:
    """The value at a path of keys, or None."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def text(value: Any) -> str | None:
    """A string that says something, or None."""
    return value if isinstance(value, str) and value else None


def number(value: Any) -> int | None:
    """A whole number that fits where Kubernetes has one, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def when(value: Any) -> datetime | None:
    """A time as Kubernetes writes it (RFC 3339 with a zone), or None."""
    given = text(value)
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given[:-1] + "+00:00" if given.endswith("Z") else given)
        # Away from the ends of the calendar, so that sums and differences with it exist. The start of the epoch is no
        # time: containerd gives it to what never started.
        return found if found.tzinfo is not None and 1970 < found.year < 9000 else None
    except ValueError:
        return None


def condition(pod: Any, kind: str) -> Mapping[str, Any]:
    """The pod's condition of a type, or an empty object."""
    found = (entry for entry in mappings(at(pod, "status", "conditions")) if entry.get("type") == kind)
    return next(found, {})


def container(pod: Any) -> Mapping[str, Any]:
    """The status of the task's container, or an empty object."""
    statuses = mappings(at(pod, "status", "containerStatuses"))
    return next((status for status in statuses if status.get("name") == POD_CONTAINER), {})
