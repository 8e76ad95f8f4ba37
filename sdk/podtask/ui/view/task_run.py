"""One task run: what `podtask describe` says, and its values where JSON carries them. Pure; nothing is unpickled.

The words are `podtask.inspection.description`'s.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from podtask.inspection import description
from podtask.inspection.description import Fields, Table
from podtask.inspection.next_step import next_step
from podtask.inspection.task_run import SeenTaskRun
from podtask.kube.bucket_access import human
from podtask.kube.client import Object
from podtask.ui.view.briefs import Brief, brief
from podtask.ui.view.scale import Fold, Tick
from podtask.ui.view.timeline import Bar, axis_of, bars, words_of

JSON_LIMIT = 32 * 1024
"""Characters of a value that are shown."""


@dataclass(frozen=True)
class Preview:
    """A value as text, or what it is where it cannot be shown."""

    text: str | None
    note: str


@dataclass(frozen=True)
class TaskRunPage:
    """Everything on the page of a task run but its log."""

    brief: Brief
    facts: Fields
    error: Fields
    traceback: str | None
    result: Preview | None
    parameters: Preview | None
    cache: Fields
    conditions: Table
    attempts: Table
    notes: list[tuple[int, str]]
    events: Table
    next: str
    """Empty where there is nothing to do."""
    bars: list[Bar]
    ticks: list[Tick]
    folds: tuple[Fold, ...]
    legend: list[tuple[str, str]]
    numbers: list[int]
    """Attempts whose log can be asked for, oldest first."""
    upstream: list[str]
    waits_for: list[str]


_ELSEWHERE = ("Name", "Namespace", description.STATE, "Flow", "Upstream", "Waits for")
"""Facts that the page says in other places."""
_HEADED = {"Error": "Message"}
"""Labels that stand below a heading of the same word."""
_AGAIN = "run the program again"
_CLUSTERS = ("Task",)
"""Facts that only a cluster has: how code gets into a pod."""


def task_run_page(
    run: SeenTaskRun, events: Sequence[Object], now: datetime, where: str, *, local: bool = False
) -> TaskRunPage:
    """The page of a TaskRun that was just read; `local`: from a record of this machine."""
    one = brief(run.obj)
    axis = axis_of([one], now.timestamp())
    drawn = bars(one, axis, now.timestamp())
    error = run.status.error
    elsewhere = _ELSEWHERE + (_CLUSTERS if local else ())
    facts = [pair for pair in description.identity(run, now) if pair[0] not in elsewhere]
    used = description.retries_used(run) if local else description.used(run)
    total = run.status.attempts_total
    return TaskRunPage(
        brief=one,
        facts=[*facts, ("Used", used)],
        error=[(_HEADED.get(label, label), text) for label, text in description.error(run)],
        traceback=error.traceback if error else None,
        result=_result(run),
        parameters=_parameters(run),
        cache=description.cache(run),
        conditions=description.conditions(run, now),
        attempts=description.attempts(run, now),
        notes=description.attempt_notes(run),
        events=description.events(events, now),
        next=_local_step(run) if local else next_step(run, now, where),
        bars=drawn,
        ticks=axis.ticks(),
        folds=axis.folds,
        legend=words_of(drawn),
        numbers=list(range(max(1, total - 19), total + 1)),
        upstream=run.upstream,
        waits_for=run.waits_for,
    )


def _local_step(run: SeenTaskRun) -> str:
    return _AGAIN if run.finished and not run.state.succeeded else ""


def _result(run: SeenTaskRun) -> Preview | None:
    info = run.status.result
    if info is None:
        return None
    note = f"{human(info.size)}, {info.serializer}, sha256 {info.digest[:12]}…"
    if info.value is None:
        return Preview(None, f"{note}. It is not shown: podtask result {run.name} -o FILE stores it.")
    return Preview(_pretty_text(info.value), note)


def _parameters(run: SeenTaskRun) -> Preview | None:
    given = run.spec.get("parameters")
    packed: dict[str, Any] = run.spec.get("inputs") or {}
    if given is None and not packed:
        return None
    size = packed.get("size") or len(packed.get("inline") or "") * 3 // 4
    note = f"{human(size)} of arguments are pickled; they are not opened here." if packed else ""
    return Preview(None if given is None else _cut(json.dumps(given, indent=2, ensure_ascii=False)), note)


def _pretty_text(text: str) -> str:
    """Indented, if it is JSON and stays the same by that; numbers that a float cannot hold are left as they are."""
    try:
        return _cut(_pretty(json.loads(text, parse_float=_Number, parse_int=_Number)))
    except (ValueError, RecursionError):
        return _cut(text)


class _Number(str):
    """Digits as they were written."""

    __slots__ = ()


def _pretty(value: Any, indent: str = "") -> str:
    inner = indent + "  "
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict) and value:
        parts = [
            f"{inner}{json.dumps(name, ensure_ascii=False)}: {_pretty(part, inner)}" for name, part in value.items()
        ]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + _pretty(part, inner) for part in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= JSON_LIMIT else f"{text[:JSON_LIMIT]}\n… {len(text) - JSON_LIMIT:,} more characters"
