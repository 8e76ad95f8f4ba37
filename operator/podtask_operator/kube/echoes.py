"""The echoes of this process's own writes, which kopf need not carry.

A write of a TaskRun's status is answered with the whole object, and the informer cache takes that answer in. The watch
then tells of the same version once more. That is two of the three events of an ordinary TaskRun, and kopf takes 0.4 ms
for each. Before: `client`, which notes each version. Next: `session`, which leaves their lines out.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final

MOST: Final = 4096
"""Versions that are remembered. An event that comes after so many other writes is handed on, which harms nobody."""
_VERSION: Final = re.compile(rb'"resourceVersion":"([0-9]+)"')


class Echoes:
    """Versions of objects that the answer to a write of this process has shown already. Any thread may ask."""

    def __init__(self) -> None:
        self._versions: set[bytes] = set()
        self._order: deque[bytes] = deque()

    def wrote(self, version: str) -> None:
        """The API server's answer to a write has this `metadata.resourceVersion`, and was taken in."""
        if len(self._order) >= MOST:
            self._versions.discard(self._order.popleft())
        self._order.append(version.encode())
        self._versions.add(version.encode())

    def told_by(self, line: bytes) -> bool:
        """Whether this line of a watch tells of such a version.

        A line that names several versions is none: what a tenant wrote into an object might look like its version.
        """
        named = _VERSION.findall(line)
        return len(named) == 1 and named[0] in self._versions
