"""What one viewer looks at: a reflector for each namespace and flow run, made on first sight. Nothing is shared.

Another viewer has other rights, so what was read by one is never shown to another: each has an `Indexes` of its own.
`ClusterIndexes` asks the API server, `LocalIndexes` the records of this machine, whose one namespace is `local`.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from typing_extensions import override

from podtask.core.api.names import FLOW_RUN_PLURAL, LABEL_FLOW_RUN
from podtask.kube.client import Api, Object
from podtask.kube.list_watch import TABLE, ListWatch
from podtask.kube.lister_watcher import ListerWatcher
from podtask.ui.live.folder import Folder
from podtask.ui.live.reflector import Reflector
from podtask.ui.view.briefs import Brief, brief, brief_of_row
from podtask.ui.view.flow_runs import FlowRunBrief, flow_run_brief

T = TypeVar("T")
KEPT = 24
"""Reflectors at a time; the one that was not asked for longest ends."""
AGAIN_SECONDS = 10.0
"""After a refusal the cluster is asked again when a page is loaded so long later."""


class Indexes(ABC):
    """Of one viewer. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reflectors: dict[Hashable, Reflector[Any]] = {}

    @abstractmethod
    def task_runs(self, namespace: str) -> Reflector[Brief]:
        """All TaskRuns of a namespace, as rows."""

    @abstractmethod
    def flow_runs(self, namespace: str) -> Reflector[FlowRunBrief]:
        """All FlowRuns of a namespace; they are small."""

    @abstractmethod
    def flow_run(self, namespace: str, name: str) -> Reflector[Brief]:
        """The TaskRuns of one flow run, with their attempts."""

    @abstractmethod
    def flow_run_object(self, namespace: str, name: str) -> Reflector[str]:
        """One FlowRun: its version."""

    @abstractmethod
    def task_run(self, namespace: str, name: str) -> Reflector[str] | None:
        """One TaskRun: its version. None where one that is there does not change."""

    def flow_run_page(self, namespace: str, name: str, *, subflows: bool) -> list[Reflector[Any]]:
        """Everything that the page of a flow run is drawn from."""
        own: list[Reflector[Any]] = [self.flow_run(namespace, name), self.flow_run_object(namespace, name)]
        return [*own, *([self.flow_runs(namespace)] if subflows else [])]

    def task_run_page(self, namespace: str, name: str) -> list[Reflector[Any]]:
        """Everything that the page of a task run is drawn from."""
        one = self.task_run(namespace, name)
        return [] if one is None else [one]

    def close(self) -> None:
        """End all."""
        with self._lock:
            for one in self._reflectors.values():
                one.stop()
            self._reflectors.clear()

    def _of(self, key: Hashable, source: ListerWatcher, digest: Callable[[Object], T]) -> Reflector[T]:
        with self._lock:
            found = self._reflectors.get(key)
            if found is not None and not (found.over and time.monotonic() - found.used > AGAIN_SECONDS):
                return found
            made = self._reflectors[key] = Reflector(source, digest)
            for old in sorted(self._reflectors, key=lambda one: self._reflectors[one].used)[:-KEPT]:
                self._reflectors.pop(old).stop()
        made.start()
        return made


class ClusterIndexes(Indexes):
    """What the API server has."""

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._api = api

    def task_runs(self, namespace: str) -> Reflector[Brief]:
        return self._asking(ListWatch(self._api, namespace, form=TABLE), brief_of_row)

    def flow_runs(self, namespace: str) -> Reflector[FlowRunBrief]:
        return self._asking(ListWatch(self._api, namespace, FLOW_RUN_PLURAL), flow_run_brief)

    def flow_run(self, namespace: str, name: str) -> Reflector[Brief]:
        return self._asking(ListWatch(self._api, namespace, selector=f"{LABEL_FLOW_RUN}={name}"), brief)

    def flow_run_object(self, namespace: str, name: str) -> Reflector[str]:
        return self._asking(ListWatch(self._api, namespace, FLOW_RUN_PLURAL, fields=f"metadata.name={name}"), _version)

    def task_run(self, namespace: str, name: str) -> Reflector[str]:
        return self._asking(ListWatch(self._api, namespace, fields=f"metadata.name={name}"), _version)

    def _asking(self, source: ListWatch, digest: Callable[[Object], T]) -> Reflector[T]:
        return self._of(source, source, digest)


class LocalIndexes(Indexes):
    """What is recorded on this machine."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self._home = home

    @override
    def task_runs(self, namespace: str) -> Reflector[Brief]:
        return self._of("task runs", Folder(self._home), brief)

    @override
    def flow_runs(self, namespace: str) -> Reflector[FlowRunBrief]:
        return self._of("flow runs", Folder(self._home, FLOW_RUN_PLURAL), flow_run_brief)

    @override
    def flow_run(self, namespace: str, name: str) -> Reflector[Brief]:
        return self._of(("task runs", name), Folder(self._home, flow_run=name), brief)

    @override
    def flow_run_object(self, namespace: str, name: str) -> Reflector[str]:
        return self._of(("flow run", name), Folder(self._home, FLOW_RUN_PLURAL, name), repr)

    @override
    def task_run(self, namespace: str, name: str) -> None:
        """Recorded when its flow run has ended; it does not change any more."""
        return


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion"))
