"""The name of a TaskRun in the cluster: what informer cache, work queue and Events are keyed by."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple


class Key(NamedTuple):
    """Namespace and name of a TaskRun, a pod or another object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass
class Keys:
    """A set of keys with an index by namespace."""

    _of: dict[str, dict[Key, None]] = field(default_factory=dict)

    def add(self, key: Key) -> None:
        """Add a key."""
        self._of.setdefault(key.namespace, {})[key] = None

    def discard(self, key: Key) -> None:
        """Remove a key, where it is there."""
        held = self._of.get(key.namespace)
        if held is not None:
            held.pop(key, None)
            if not held:
                del self._of[key.namespace]

    def within(self, namespace: str | None) -> Collection[Key]:
        """The keys of one namespace, or all (None)."""
        if namespace is None:
            return [key for held in self._of.values() for key in held]
        return self._of.get(namespace, {}).keys()
