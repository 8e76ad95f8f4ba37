"""The person in front of the browser: what they may read, and what they may do.

In `podtask ui` there is one viewer, the one who started it: as the cluster knows them (`cluster_viewer`), or as the
owner of this machine's records (`local_viewer`).
"""

from __future__ import annotations

from typing import Protocol

from podtask.inspection.task_run import SeenTaskRun
from podtask.kube.client import Object
from podtask.ui.live.indexes import Indexes


class Viewer(Protocol):
    """One set of credentials, and what was read with them."""

    @property
    def namespace(self) -> str:
        """Where the page begins."""
        ...

    @property
    def context(self) -> str:
        """What is looked at, for people: the kube context, or a folder."""
        ...

    @property
    def local(self) -> bool:
        """True where there is no cluster: nothing can be done, and nothing but the records is there."""
        ...

    @property
    def indexes(self) -> Indexes:
        """Lists that follow."""
        ...

    def close(self) -> None:
        """End what reads, and forget it."""
        ...

    def where(self, namespace: str) -> str:
        """Options that a suggested command needs."""
        ...

    def may(self, namespace: str, verb: str, resource: str) -> bool:
        """Whether a button makes sense."""
        ...

    def task_run(self, namespace: str, name: str) -> SeenTaskRun | None:
        """A TaskRun as it is now."""
        ...

    def flow_run(self, namespace: str, name: str) -> Object | None:
        """A FlowRun as it is now."""
        ...

    def events(self, run: SeenTaskRun) -> list[Object]:
        """Events of a TaskRun and its newest pod."""
        ...
