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
        self._versions: dict[bytes, bytes] = {}
        """Version -> UID of the object."""
        self._order: deque[bytes] = deque()

    def wrote(self, uid: str, version: str) -> None:
        """The API server has answered a write with this object, whose `metadata.resourceVersion` is new."""
        if len(self._order) >= MOST:
            self._versions.pop(self._order.popleft(), None)
        self._order.append(version.encode())
        self._versions[version.encode()] = uid.encode()

    def told_by(self, line: bytes) -> bool:
        """Whether this line of a watch tells of such a version.

        A line that names several versions is none: what a tenant wrote into an object might look like its version.
        """
        named = _VERSION.findall(line)
        uid = self._versions.get(named[0]) if len(named) == 1 else None
        return uid is not None and uid in line
