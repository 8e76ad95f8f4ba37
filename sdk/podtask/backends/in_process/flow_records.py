"""The record of flow runs of this machine: one small file each below PODTASK_HOME, the newest `KEPT` of them.

    <home>/flow-runs/<id>.json     a FlowRun as on a cluster, and its `taskRuns` (see `task_records`)

Written when the flow starts and when it ends, each time as a whole and by one rename. A run whose process is gone
without an end is told as crashed by who reads it: the process is on this machine, so it can be looked for.
Before: `podtask.recording.record`. Read by: `podtask.cli.flows.local`, `podtask.ui.live.folder`.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podtask.backends.in_process import task_records
from podtask.core import clock
from podtask.core.api.names import API_VERSION, FLOW_RUN_KIND, LABEL_ROOT_FLOW_RUN, FlowState
from podtask.recording.document import as_time

if TYPE_CHECKING:
    from podtask.engine.flow_run import FlowRun

Object = dict[str, Any]
log = logging.getLogger("podtask.recording")

FOLDER = "flow-runs"
KEPT = 1000
"""Files that are kept; the oldest go first."""
SLACK = 100
"""So many more are let grow before the folder is cleaned."""
LARGEST = 4 * 1024 * 1024
"""Bytes of a file that is read."""
_said = False


class LocalFlowRecords:
    """`podtask.recording.record.FlowRunRecords` of a folder."""

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER
        self._until_cleaning = 0

    def begin(self, flow: FlowRun, spec: Object) -> LocalRecord | None:
        """See `FlowRunRecords.begin`."""
        if self._until_cleaning == 0:
            self._until_cleaning = SLACK
            _clean(self._folder)
        self._until_cleaning -= 1
        around = flow.parent if flow.parent is not None and flow.parent.backend.name in ("local", "process") else None
        if around is not None:
            spec = {**spec, "parent": {"name": around.info.id, "uid": around.info.id}}
        record = LocalRecord(self._folder, flow, spec)
        try:
            record.write({"state": FlowState.RUNNING.value, "startedAt": as_time(clock.now())})
        except OSError as no:
            _not_written(no)
            return None
        return record


class LocalRecord:
    """One flow run that is being recorded."""

    def __init__(self, folder: Path, flow: FlowRun, spec: Object) -> None:
        self._path = folder / f"{flow.info.id}.json"
        self._flow = flow
        meta = {
            "name": flow.info.id,
            "uid": flow.info.id,
            "creationTimestamp": as_time(clock.now()),
            "labels": {LABEL_ROOT_FLOW_RUN: flow.root.info.id},
        }
        process = {"pid": os.getpid(), "host": socket.gethostname()}
        self._document: Object = {"apiVersion": API_VERSION, "kind": FLOW_RUN_KIND, "metadata": meta, "spec": spec}
        self._document["process"] = process

    def end(self, status: Object) -> None:
        """See `RecordedFlowRun.end`."""
        kept = {name: value for name, value in status.items() if value is not None}
        kept["counts"] = {word: count for word, count in (status.get("counts") or {}).items() if count}
        try:
            self.write(kept, task_records.task_runs(self._flow.runs))
        except OSError as no:
            _not_written(no)

    def leave(self) -> None:
        """See `RecordedFlowRun.leave`: what runs here ends with the process, and the file shows that it is gone."""

    def write(self, status: Object, runs: Sequence[bytes] = ()) -> None:
        """The whole file; `runs` are JSON already. Raises `OSError`."""
        folder = self._path.parent
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        head = json.dumps({**self._document, "status": status}, separators=(",", ":"))
        text = b'%s,"taskRuns":[%s]}' % (head[:-1].encode(), b",".join(runs))
        handle, name = tempfile.mkstemp(dir=folder, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(text)
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _not_written(no: OSError) -> None:
    """Said once in a process, whatever number of flows it runs."""
    global _said  # noqa: PLW0603 - one per process
    if not _said:
        _said = True
        log.warning(
            "Flow runs of this process are not recorded, and run all the same: %s. For 'podtask flows --local' set "
            "PODTASK_HOME to a folder that can be written.",
            f"'{no.filename}': {no.strerror}" if no.filename else no,
        )


def read_all(home: Path) -> list[Object]:
    """Every flow run that is recorded; a file that cannot be read is left out."""
    return [obj for path in files(home) if (obj := read_one(path)) is not None]


def files(home: Path) -> list[Path]:
    """The files of all flow runs, in no order."""
    return list((home / FOLDER).glob("*.json"))


def file_of(home: Path, name: str) -> Path:
    """The file of the flow run with that id, which has no slash in it."""
    return home / FOLDER / f"{name}.json"


def read_one(path: Path) -> Object | None:
    """The flow run in a file; None for a file that cannot be read."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        if path.stat().st_size <= LARGEST:
            return _checked(json.loads(path.read_bytes()))
    return None


def mentions(path: Path, text: str) -> bool:
    """Whether the text stands in the file, which is cheaper to know than what the file says."""
    with suppress(OSError):
        return path.stat().st_size <= LARGEST and text.encode() in path.read_bytes()
    return False


def _checked(obj: Object) -> Object:
    """With the end that nobody could write. Raises `KeyError`, `TypeError` for what is no record."""
    if not all(isinstance(text, str) for text in (obj["metadata"]["name"], obj["metadata"]["creationTimestamp"])):
        raise TypeError("a record has a name and a time")
    if not isinstance(obj["spec"]["flow"], str):
        raise TypeError("a record names its flow")
    status, process = obj.get("status") or {}, obj.get("process") or {}
    running = status.get("state") in (None, FlowState.RUNNING.value)
    if running and process.get("host") == socket.gethostname() and not _alive(int(process["pid"])):
        text = "The process ended without a word."
        return {**obj, "status": {**status, "state": FlowState.CRASHED.value, "message": text}}
    return obj


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _clean(folder: Path) -> None:
    """The oldest files go; another process may do the same at this moment."""
    files = []
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                files.append((path.stat().st_mtime, path))
    for _, path in sorted(files, reverse=True)[KEPT:]:
        with suppress(OSError):
            path.unlink()
