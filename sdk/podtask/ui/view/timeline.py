"""The timeline: every attempt as a bar, and between them what was waited for. Pure.

    created ┄┄waiting┄┄ recorded ▒starting▒ started ███ran███ finished ──delay── recorded ▒▒ ███ finished

Many task runs are drawn as one row for each task: how many of them ran at once, and where some failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from podtask.core.api.names import Ended
from podtask.ui.view.briefs import AttemptBrief, Brief
from podtask.ui.view.moments import lasted
from podtask.ui.view.scale import Fold, Interval, Scale, Tick, scale
from podtask.ui.view.states import in_order

SINGLE = 60
"""Task runs up to which each has a row of its own."""
GROUPS = 60
"""Rows for tasks, at most."""
COLUMNS = 100
"""Steps of a row that stands for many."""
NARROWEST = 0.35
"""Per cent of the width that a bar has at least, so that it can be seen."""
LEGEND = (
    ("waiting", "waiting"),
    ("starting", "starting"),
    ("running", "running"),
    ("done", "completed"),
    ("reused", "reused"),
    ("failed", "failed"),
    ("stopped", "cancelled"),
    ("disrupted", "disrupted"),
    ("delay", "retry delay"),
)
"""Kinds of bars, and their words."""
_ENDS = {
    Ended.COMPLETED.value: "done",
    Ended.DISRUPTION.value: "disrupted",
    Ended.CANCELLED.value: "stopped",
}


@dataclass(frozen=True)
class Bar:
    """A piece of a row; `kind`: waiting, starting, running, delay, done, failed, disrupted, stopped or reused."""

    kind: str
    at: float
    width: float
    text: str


@dataclass(frozen=True)
class RunRow:
    """One task run."""

    brief: Brief
    bars: list[Bar]


@dataclass(frozen=True)
class Column:
    """A step of a row that stands for many: its height in per cent of the highest."""

    at: float
    width: float
    height: float
    failed: bool


@dataclass(frozen=True)
class GroupRow:
    """All task runs of one task."""

    task: str
    count: int
    counts: list[tuple[str, int]]
    columns: list[Column]
    most: int
    """How many of them ran at once."""


@dataclass(frozen=True)
class Timeline:
    """The picture."""

    ticks: list[Tick]
    folds: tuple[Fold, ...]
    length: str
    rows: list[RunRow] = field(default_factory=list)
    groups: list[GroupRow] = field(default_factory=list)
    rows_left_out: int = 0
    groups_left_out: int = 0

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Words for the bars that are there."""
        return words_of(bar for row in self.rows for bar in row.bars)


def words_of(of: Iterable[Bar]) -> list[tuple[str, str]]:
    """Kinds of these bars with their words, in the order of the legend."""
    kinds = {bar.kind for bar in of}
    return [(kind, text) for kind, text in LEGEND if kind in kinds]


def timeline(briefs: Sequence[Brief], shown: Sequence[Brief], now: float) -> Timeline | None:
    """The timeline of what a filter lets through; `shown`: the rows of the table, where single rows would be too many.

    None where there is nothing.
    """
    if not briefs:
        return None
    tasks = len({one.task for one in briefs})
    if len(briefs) > SINGLE and 1 < tasks <= len(briefs) // 2:
        axis = axis_of(briefs, now)
        members: dict[str, list[Brief]] = {}
        for one in briefs:
            members.setdefault(one.task, []).append(one)
        drawn = sorted(list(members.items())[:GROUPS], key=lambda item: min(map(_began, item[1])))
        groups = [_group(task, runs, axis, now) for task, runs in drawn]
        return _picture(axis, groups=groups, groups_left_out=len(members) - len(groups))
    single = briefs if len(briefs) <= SINGLE else shown[:SINGLE]
    axis = axis_of(single, now)
    rows = [RunRow(one, bars(one, axis, now)) for one in sorted(single, key=lambda one: (_began(one), one.name))]
    return _picture(axis, rows=rows, rows_left_out=len(briefs) - len(single))


def _picture(axis: Scale, **parts: Any) -> Timeline:
    return Timeline(axis.ticks(), axis.folds, lasted(axis.begin, axis.end), **parts)


def axis_of(briefs: Sequence[Brief], now: float) -> Scale:
    """From the first creation to the last end, or to now where something goes on."""
    begin = min(one.created for one in briefs)
    end = max(_ended(one, now) for one in briefs)
    return scale(begin, end, (interval for one in briefs for interval in _busy(one, now)))


def bars(one: Brief, axis: Scale, now: float) -> list[Bar]:
    """What happened to one task run, from left to right."""
    return [_bar(kind, begin, end, text, axis) for kind, begin, end, text in pieces(one, now) if end >= begin]


def pieces(one: Brief, now: float) -> Iterator[tuple[str, float, float, str]]:
    """The same with the times themselves: kind, begin, end, text."""
    before, last = one.created, None
    for attempt in one.attempts:
        recorded = attempt.recorded or attempt.started or before
        if last is None:
            yield "waiting", before, recorded, f"Waited {lasted(before, recorded)}"
        else:
            yield "delay", before, recorded, f"Delay of {lasted(before, recorded)} before attempt {attempt.number}"
        yield from _attempt(attempt, recorded, now)
        before, last = attempt.finished or now, attempt
    if last is None:
        end = one.finished or now
        why = f": {one.reason}" if one.reason else ""
        yield "waiting", before, end, f"{'Waited' if one.finished else 'Waiting'} {lasted(before, end)}{why}"
        if one.state == "Cached":
            yield "reused", end, end, "The result of an earlier run was used"
    elif last.outcome is not None and one.finished is None:
        yield "delay", before, now, f"Waiting {lasted(before, now)} for the next attempt"


def _attempt(attempt: AttemptBrief, recorded: float, now: float) -> Iterator[tuple[str, float, float, str]]:
    label = f"Attempt {attempt.number} ({attempt.cause})" if attempt.cause else f"Attempt {attempt.number}"
    end = attempt.finished or now
    ready = attempt.started if attempt.started is not None else end
    if ready > recorded or attempt.started is None:
        yield "starting", recorded, ready, f"{label}: starting, {lasted(recorded, ready)}"
    if attempt.started is not None or attempt.outcome is not None:
        place = f" on {attempt.node}" if attempt.node else ""
        verdict = f": {attempt.outcome}" if attempt.outcome else ": running"
        why = f" ({attempt.reason})" if attempt.reason and attempt.reason != attempt.outcome else ""
        yield _kind(attempt), ready, end, f"{label}{verdict}{why}, {lasted(ready, end) or '0s'}{place}"


def _kind(attempt: AttemptBrief) -> str:
    if attempt.outcome is None:
        return "running"
    return _ENDS.get(attempt.outcome, "failed")


def _bar(kind: str, begin: float, end: float, text: str, axis: Scale) -> Bar:
    left = min(axis.at(begin), 100.0 - NARROWEST)
    return Bar(kind, left, max(NARROWEST, axis.at(end) - left), text)


def _group(task: str, members: list[Brief], axis: Scale, now: float) -> GroupRow:
    steps = [0] * (COLUMNS + 1)
    failed = [False] * COLUMNS
    for one in members:
        for attempt in one.attempts:
            begin = attempt.started or attempt.recorded
            if begin is None:
                continue
            end = attempt.finished or now
            first, last = _column(axis.at(begin)), _column(axis.at(end))
            steps[first] += 1
            steps[last + 1] -= 1
            failed[last] = failed[last] or _kind(attempt) == "failed"
    heights, running = [], 0
    for step in steps[:COLUMNS]:
        running += step
        heights.append(running)
    most = max(heights)
    width = 100.0 / COLUMNS
    columns = [
        Column(index * width, width, 100.0 * height / most, failed[index])
        for index, height in enumerate(heights)
        if height
    ]
    return GroupRow(task, len(members), in_order(Counter(one.state for one in members)), columns, most)


def _column(at: float) -> int:
    return min(COLUMNS - 1, int(at * COLUMNS / 100.0))


def _began(one: Brief) -> float:
    """Its place among the rows: what never started stands where it ended, and what waits stands last."""
    if one.attempts:
        return one.attempts[0].recorded or one.created
    return one.finished or float("inf")


def _ended(one: Brief, now: float) -> float:
    """Until when it is drawn."""
    if one.finished is not None:
        return one.finished
    return one.created if one.suspended and not one.attempts else now


def _busy(one: Brief, now: float) -> Iterator[Interval]:
    yield one.created, one.created
    for attempt in one.attempts:
        begin = attempt.recorded or attempt.started
        if begin is not None:
            yield begin, attempt.finished or now
    if one.finished is not None:
        yield one.finished, one.finished
