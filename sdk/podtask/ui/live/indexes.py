"""What one viewer looks at: a reflector for each namespace and flow run, made on first sight. Nothing is shared.

Another viewer has other rights, so what was read by one is never shown to another: each has an `Indexes` of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from podtask.core.api.names import FLOW_RUN_PLURAL, LABEL_FLOW_RUN
from podtask.kube.client import Api, Object
from podtask.ui.live.reflector import Reflector
from podtask.ui.live.source import Source
from podtask.ui.view.briefs import Brief, brief, brief_of_row
from podtask.ui.view.flow_runs import FlowRunBrief, flow_run_brief

T = TypeVar("T")
KEPT = 24
"""Reflectors at a time; the one that was not asked for longest ends."""
AGAIN_SECONDS = 10.0
"""After a refusal the cluster is asked again when a page is loaded so long later."""


class Indexes:
    """Of one viewer. Thread-safe."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._reflectors: dict[Source, Reflector[Any]] = {}

    def task_runs(self, namespace: str) -> Reflector[Brief]:
        """All TaskRuns of a namespace, as rows."""
        return self._of(Source(namespace, table=True), brief_of_row)

    def flow_runs(self, namespace: str) -> Reflector[FlowRunBrief]:
        """All FlowRuns of a namespace; they are small."""
        return self._of(Source(namespace, FLOW_RUN_PLURAL), flow_run_brief)

    def flow_run(self, namespace: str, name: str) -> Reflector[Brief]:
        """The TaskRuns of one flow run, with their attempts."""
        return self._of(Source(namespace, selector=f"{LABEL_FLOW_RUN}={name}"), brief)

    def flow_run_object(self, namespace: str, name: str) -> Reflector[str]:
        """One FlowRun: its version."""
        return self._of(Source(namespace, FLOW_RUN_PLURAL, fields=f"metadata.name={name}"), _version)

    def flow_run_page(self, namespace: str, name: str, *, subflows: bool) -> list[Reflector[Any]]:
        """Everything that the page of a flow run is drawn from."""
        own: list[Reflector[Any]] = [self.flow_run(namespace, name), self.flow_run_object(namespace, name)]
        return [*own, *([self.flow_runs(namespace)] if subflows else [])]

    def task_run(self, namespace: str, name: str) -> Reflector[str]:
        """One TaskRun: its version."""
        return self._of(Source(namespace, fields=f"metadata.name={name}"), _version)

    def close(self) -> None:
        """End all."""
        with self._lock:
            for one in self._reflectors.values():
                one.stop()
            self._reflectors.clear()

    def _of(self, source: Source, digest: Callable[[Object], T]) -> Reflector[T]:
        with self._lock:
            found = self._reflectors.get(source)
            if found is not None and not (found.over and time.monotonic() - found.used > AGAIN_SECONDS):
                return found
            made = self._reflectors[source] = Reflector(self._api, source, digest)
            for old in sorted(self._reflectors.values(), key=lambda one: one.used)[:-KEPT]:
                self._reflectors.pop(old.source).stop()
        made.start()
        return made


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion"))
