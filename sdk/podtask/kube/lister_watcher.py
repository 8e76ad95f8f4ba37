"""Where a list, and what changes after it, come from: the port of `resumable_watch`.

Implemented by `list_watch` (the API server) and `podtask.ui.live.folder` (records of this machine).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from podtask.kube.client import Object


class ListerWatcher(Protocol):
    """Objects of one kind. Raises as `podtask.kube.client.Api` does."""

    def pages(self) -> Iterator[tuple[list[Object], str]]:
        """Pages of the list, each with the version to watch from."""
        ...

    def changes(self, version: str, seconds: int) -> Iterator[tuple[str, Object, str]]:
        """Type of the event, the object, and the version after it, for at most `seconds`."""
        ...
