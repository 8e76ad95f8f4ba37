"""From a flow run to its FlowRun: the spec when it starts, the status while it goes on and when it ends. Pure.

The models are `podtask.core.api.flow_run`; a driver writes plain dicts, so that a flow loads no model library.
"""

from __future__ import annotations

import os
import platform
import socket
import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from podtask.core.api.names import CONDITION_FINISHED, CONDITION_SUCCEEDED, FlowState, State
from podtask.core.lifecycle.rendering import span_text
from podtask.recording.values import TEXT_LIMIT, as_text, parameters, plain

if TYPE_CHECKING:
    from podtask.context import FlowRunInfo
    from podtask.model.task_run import TaskRun

Object = dict[str, Any]

SHORT, WORD, TAGS_KEPT = 253, 63, 32
_process = (os.getpid(), uuid.uuid4().hex)


def driver(task_run: str | None = None) -> Object:
    """This process as `spec.driver`. `task_run`: the TaskRun it runs in, for a driver in the cluster."""

    here: Object = {"id": driver_id(), "host": plain(socket.gethostname(), SHORT)}
    if task_run:
        here["taskRun"] = plain(task_run, SHORT)
    program = PurePath(sys.argv[0] if sys.argv else "").name
    if program and program not in ("-c", "-m"):
        here["program"] = plain(program, SHORT)
    return {**here, "sdkVersion": _sdk_version()[:WORD], "python": platform.python_version()[:WORD]}


def driver_id() -> str:
    """Drawn once per process; a forked child is another driver."""
    global _process  # noqa: PLW0603 - one per process
    if _process[0] != os.getpid():
        _process = (os.getpid(), uuid.uuid4().hex)
    return _process[1]


def spec(
    info: FlowRunInfo,
    values: Mapping[str, Any],
    *,
    tags: Iterable[str] = (),
    record: bool = True,
    ttl_seconds: int | None = None,
    task_run: str | None = None,
) -> Object:
    """`FlowRun.spec` of a run that is called with `values`."""
    made: Object = {
        "flow": plain(info.flow_name, SHORT) or "flow",
        "title": plain(info.name, SHORT),
        "parameters": parameters(values, record=record),
        "tags": [plain(tag, WORD) for tag in sorted(tags)[:TAGS_KEPT]],
        "driver": driver(task_run),
        "pin": None if info.pin is None else plain(info.pin, SHORT),
        "ordinal": info.ordinal,
        "ttlSecondsAfterFinished": ttl_seconds,
    }
    return {name: value for name, value in made.items() if value not in (None, [])}


def progress(runs: Iterable[TaskRun]) -> Object:
    """What the status says about the task runs; a state that no run is in is null, which a merge patch removes."""
    listed = list(runs)
    counts = Counter(str(run.status.state) for run in listed)
    return {
        "tasks": f"{sum(run.finished for run in listed)}/{len(listed)}",
        "counts": {str(word): counts.get(str(word)) for word in State},
    }


def ended(
    state: FlowState, message: str | None, started_at: datetime, now: datetime, result: Any = None, *, record: bool
) -> Object:
    """The part of the status that is written once, at the end."""
    text, omitted = as_text(result) if record and state is FlowState.COMPLETED and result is not None else (None, None)
    said = plain(message, TEXT_LIMIT) if message else None
    made: Object = {
        "state": state.value,
        "message": said,
        "result": text if omitted is None else None,
        "startedAt": as_time(started_at),
        "finishedAt": as_time(now),
        "duration": span_text((now - started_at).total_seconds()),
    }
    verdict = "True" if state is FlowState.COMPLETED else "False"
    made["conditions"] = [
        condition(CONDITION_SUCCEEDED, verdict, state.value, said or "", now),
        condition(CONDITION_FINISHED, "True", state.value, said or "", now),
    ]
    return made


def reopened(status: Mapping[str, Any], here: Object, now: datetime) -> Object:
    """The patch by which this process, `here`, becomes the driver of a run that another process has driven."""
    emptied = dict.fromkeys(("message", "result", "finishedAt", "duration", "conditions", "counts", "tasks"))
    return {
        **emptied,
        "state": FlowState.RUNNING.value,
        "runs": int(status.get("runs") or 1) + 1,
        "heartbeat": int(status.get("heartbeat") or 0) + 1,
        "driver": here,
        "startedAt": as_time(now),
    }


def condition(kind: str, status: str, reason: str, message: str, now: datetime) -> Object:
    """A Kubernetes condition."""
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": as_time(now)}


def as_time(moment: datetime) -> str:
    """As Kubernetes writes times."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def _sdk_version() -> str:
    """Of the package around this module, which cannot be imported from below."""
    return str(getattr(sys.modules.get("podtask"), "__version__", ""))
