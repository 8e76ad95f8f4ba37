"""Flow runs and task runs of this machine, from the files that the backends `local` and `process` write.

A file is one flow run with its task runs, written as a whole; so a change is a file that was written anew. A run whose
process has died changes without that, so files of running flow runs are read at every look.
Below: `podtask.backends.in_process.flow_records`. Asked by: `reflector`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from podtask.backends.in_process import flow_records
from podtask.core.api.names import FLOW_RUN_PLURAL, PLURAL, FlowState
from podtask.kube.client import Object
from podtask.kube.list_watch import PAGE
from podtask.ui.view.briefs import brief
from podtask.ui.view.flow_runs import flow_run_brief

LOOK_SECONDS = 1.0
UNSOUND = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading a record raises that another version, or a person, wrote."""


@dataclass
class Folder:
    """A `ListerWatcher` of all records, or of one."""

    home: Path
    resource: str = PLURAL
    flow_run: str = ""
    """Only of this flow run."""
    pause: Callable[[float], object] = time.sleep
    _seen: dict[Path, tuple[object, list[Object]]] = field(default_factory=dict)
    """What each file was, and the `metadata` of what was in it."""

    def pages(self) -> Iterator[tuple[list[Object], str]]:
        """See `ListerWatcher`."""
        self._seen.clear()
        together: list[Object] = []
        for path in sorted(self._paths(), key=_written, reverse=True):
            together += self._read(path)
            if len(together) >= PAGE:
                yield together, ""
                together = []
        yield together, ""

    def changes(self, version: str, seconds: int) -> Iterator[tuple[str, Object, str]]:
        """See `ListerWatcher`; between two looks at the folder comes a bookmark, so that whoever asks can end."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            there = set(self._paths())
            for path in [*(self._seen.keys() - there), *there]:
                before = self._seen.get(path)
                if path in there and before is not None and before[0] == _signature(path):
                    continue
                now = self._read(path) if path in there else []
                if path not in there:
                    del self._seen[path]
                names = {one["metadata"]["uid"] for one in now}
                gone = [meta for meta in (before[1] if before else ()) if meta["uid"] not in names]
                yield from (("DELETED", {"metadata": meta}, version) for meta in gone)
                yield from (("MODIFIED", one, version) for one in now)
            yield "BOOKMARK", {}, version
            self.pause(LOOK_SECONDS)

    def _paths(self) -> list[Path]:
        if not self.flow_run:
            return flow_records.files(self.home)
        path = flow_records.file_of(self.home, self.flow_run)
        return [path] if path.exists() else []

    def _read(self, path: Path) -> list[Object]:
        signature = _signature(path)
        found = flow_records.read_one(path) or {}
        items = flow_run_in(found) if self.resource == FLOW_RUN_PLURAL else task_runs_in(found)
        running = any((one.get("status") or {}).get("state") == FlowState.RUNNING.value for one in flow_run_in(found))
        self._seen[path] = (None if running else signature), [_identity(one) for one in items]
        return items


def flow_run_in(record: Object) -> list[Object]:
    """The flow run of a record, without its task runs; none where it cannot be shown."""
    one = {name: value for name, value in record.items() if name != "taskRuns"}
    with suppress(*UNSOUND):
        flow_run_brief(one)
        return [one]
    return []


def task_runs_in(record: Object) -> list[Object]:
    """The task runs of a record that can be shown."""
    sound = []
    listed = record.get("taskRuns")
    for one in listed if isinstance(listed, list) else ():
        with suppress(*UNSOUND):
            brief(one)
            sound.append(one)
    return sound


def _identity(one: Object) -> Object:
    return {"name": one["metadata"]["name"], "uid": str(one["metadata"]["uid"])}


def _signature(path: Path) -> object:
    with suppress(OSError):
        stat = path.stat()
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
    return None


def _written(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
