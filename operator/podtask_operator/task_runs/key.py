"""The name of a TaskRun in the cluster: what informer cache, work queue and Events are keyed by."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """One TaskRun."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
