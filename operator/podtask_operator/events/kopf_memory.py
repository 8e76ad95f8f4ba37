"""kopf remembers nothing of an object between two events: ours are in the informer cache.

It would keep a record of each object that a watch has shown, of 0.9 KB, until a watch shows its deletion: for daemons,
timers, indices and handlers that are resumed, and there are none. Used by: `kopf_source`.
"""

from __future__ import annotations

from typing import Any

from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory


class NoMemories(ResourceMemories):
    """What kopf makes for one event ends with it."""

    async def recall(self, *arguments: Any, **options: Any) -> ResourceMemory:
        """A record for this event. `ephemeral` is kopf's word for one that is not kept."""
        return await super().recall(*arguments, **{**options, "ephemeral": True})
