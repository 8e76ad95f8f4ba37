"""A viewer of what the backends `local` and `process` have recorded on this machine. Only for reading.

Implements `podtask.ui.access.viewer.Viewer`. There are no logs, no Events and nothing to be done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from podtask.backends.in_process import flow_records
from podtask.inspection.task_run import SeenTaskRun
from podtask.kube.client import Object
from podtask.ui.live.folder import flow_run_in, task_runs_in
from podtask.ui.live.indexes import LocalIndexes

NAMESPACE = "local"
"""In URLs, where a cluster has its namespaces."""


@dataclass
class LocalViewer:
    """See `Viewer`."""

    home: Path
    indexes: LocalIndexes = field(init=False)
    namespace: str = field(init=False, default=NAMESPACE)
    local: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        self.indexes = LocalIndexes(self.home)

    @property
    def context(self) -> str:
        """See `Viewer`."""
        return str(self.home)

    def close(self) -> None:
        """See `Viewer`."""
        self.indexes.close()

    def where(self, namespace: str) -> str:  # noqa: ARG002 - a `Viewer`
        """See `Viewer`."""
        return " --local"

    def may(self, namespace: str, verb: str, resource: str) -> bool:  # noqa: ARG002 - a `Viewer`
        """See `Viewer`."""
        return False

    def task_run(self, namespace: str, name: str) -> SeenTaskRun | None:  # noqa: ARG002 - a `Viewer`
        """A task run of whichever record has it: only files are opened in which its name stands."""
        for path in flow_records.files(self.home):
            if not flow_records.mentions(path, name):
                continue
            for one in task_runs_in(flow_records.read_one(path) or {}):
                if one["metadata"]["name"] == name:
                    return SeenTaskRun(one)
        return None

    def flow_run(self, namespace: str, name: str) -> Object | None:  # noqa: ARG002 - a `Viewer`
        """See `Viewer`."""
        found = flow_run_in(flow_records.read_one(flow_records.file_of(self.home, name)) or {})
        return found[0] if found else None

    def events(self, run: SeenTaskRun) -> list[Object]:  # noqa: ARG002 - a `Viewer`
        """See `Viewer`."""
        return []
