"""`spec.onOutOfMemory` on a pod's resources: what an attempt starts with, and what it has after kills. Pure.

Asked by: `observer` (the lifecycle's growth), `validate`, `build`. The arithmetic is `podtask.core.lifecycle.memory`.
"""

from __future__ import annotations

from typing import Any

from podtask.core.api.quantity import in_bytes, in_words, is_quantity
from podtask.core.api.spec import OnOutOfMemory
from podtask.core.lifecycle.memory import MemoryGrowth

Json = dict[str, Any]

MEMORY = "memory"


def growth(asked: OnOutOfMemory | None, resources: Json) -> MemoryGrowth | None:
    """The growth of a container with these `resources`; None where none was asked for or none is possible."""
    base = starts_with(resources)
    if asked is None or base is None or not is_quantity(asked.max_memory):
        return None
    return MemoryGrowth(asked.memory_factor, in_bytes(asked.max_memory), asked.max_attempts, base)


def starts_with(resources: Json) -> int | None:
    """Bytes that are grown: the limit, else the request; None where neither is given."""
    given = [resources[part][MEMORY] for part in ("limits", "requests") if MEMORY in resources.get(part, {})]
    return in_bytes(given[0]) if given and is_quantity(given[0]) else None


def grown(resources: Json, more: MemoryGrowth | None, kills: int) -> Json:
    """The resources after so many out-of-memory kills: request and limit grow alike, the rest stays."""
    if more is None or kills == 0:
        return resources
    return {
        part: {
            name: in_words(more.grown(in_bytes(amount), kills)) if name == MEMORY else amount
            for name, amount in amounts.items()
        }
        for part, amounts in resources.items()
    }
