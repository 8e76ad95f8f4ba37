"""Task runs in the record of a flow run: TaskRuns as on a cluster, as far as they are shown, within `ROOM`.

Before: `flow_records`. Attempts, errors and tracebacks are details: where those of the first have filled their part of
the room, the others go without.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from podtask.core.api.names import LABEL_FLOW, LABEL_FLOW_RUN
from podtask.core.lifecycle.rendering import span_text
from podtask.recording.document import as_time
from podtask.recording.values import TEXT_LIMIT, plain

if TYPE_CHECKING:
    from podtask.core.api.status import Attempt
    from podtask.model.task_run import TaskRun

Object = dict[str, Any]

RUNS_KEPT = 1000
"""Task runs in one file."""
ROOM = 3 * 1024 * 1024
"""Bytes of all task runs in one file."""
DETAILS = ROOM // 2
"""Of these, bytes that details may take."""
NEEDS_KEPT = 100
ATTEMPTS_KEPT = 20
TRACEBACK_LIMIT = 8 * 1024


def task_runs(runs: Sequence[TaskRun]) -> list[bytes]:
    """Each as JSON; of many the first."""
    kept: list[bytes] = []
    room, details = ROOM, DETAILS
    for run in runs[:RUNS_KEPT]:
        brief = _record(run)
        text = _json({**brief, "status": {**brief["status"], **_details(run)}})
        short = _json(brief)
        if len(text) - len(short) > details:
            text = short
        details -= len(text) - len(short)
        room -= len(text)
        if room < 0:
            break
        kept.append(text)
    return kept


def _json(value: Object) -> bytes:
    """In UTF-8, which every text here can be written in: an escaped one may be three times as long."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _record(run: TaskRun) -> Object:
    status = run.status
    began, ended = status.started_at, status.finished_at
    shown: Object = {
        "state": status.state.value,
        "reason": status.reason.value if status.reason else None,
        "message": plain(status.message, TEXT_LIMIT) if status.message else None,
        "startedAt": _time(began),
        "finishedAt": _time(ended),
        "attemptsTotal": status.attempts_total,
        "retriesUsed": status.retries_used or None,
        "duration": span_text((ended - began).total_seconds()) if began and ended else None,
    }
    return {
        "metadata": {
            "name": run.id,
            "namespace": "",
            "uid": run.id,
            "creationTimestamp": as_time(min(moment for moment in (run.history[0].timestamp, began, ended) if moment)),
            "labels": {LABEL_FLOW_RUN: run.key.flow_run_id, LABEL_FLOW: plain(run.flow.flow_name, 253)},
        },
        "spec": {
            "task": {"name": plain(run.title, 253)},
            "retries": run.task.options.retries,
            "upstream": [_need(up.id, run) for up in run.needs[:NEEDS_KEPT]],
        },
        "status": _filled(shown),
    }


def _need(name: str, run: TaskRun) -> Object:
    return {"taskRun": name, "allowFailure": True} if name in run.may_fail else {"taskRun": name}


def _details(run: TaskRun) -> Object:
    status = run.status
    found: Object = {"attempts": [_attempt(one) for one in status.attempts[-ATTEMPTS_KEPT:]] or None}
    if status.error is not None:
        error, trace = status.error, status.error.traceback
        found["error"] = _filled(
            {
                "type": plain(error.type, 253),
                "message": plain(error.message, TEXT_LIMIT),
                "traceback": plain(trace[-TRACEBACK_LIMIT:], TRACEBACK_LIMIT) if trace else None,
            }
        )
    if status.cache is not None:
        cache = status.cache
        found["cache"] = _filled(
            {
                "outcome": cache.outcome.value,
                "key": plain(cache.key, 253) if cache.key else None,
                "sourceRun": plain(cache.source_run, 253) if cache.source_run else None,
                "missReason": plain(cache.miss_reason, TEXT_LIMIT) if cache.miss_reason else None,
            }
        )
    return _filled(found)


def _attempt(one: Attempt) -> Object:
    return _filled(
        {
            "number": one.number,
            "cause": one.cause.value,
            "recordedAt": _time(one.recorded_at),
            "startedAt": _time(one.started_at),
            "finishedAt": _time(one.finished_at),
            "outcome": one.outcome.value if one.outcome else None,
            "exitCode": one.exit_code,
            "reason": one.reason.value if one.reason else None,
            "message": plain(one.message, TEXT_LIMIT) if one.message else None,
        }
    )


def _time(moment: datetime | None) -> str | None:
    return as_time(moment) if moment else None


def _filled(fields: Object) -> Object:
    return {name: value for name, value in fields.items() if value is not None}
