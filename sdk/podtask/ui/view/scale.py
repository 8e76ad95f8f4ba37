"""The time axis of a flow run: from moments to per cent, long gaps in which nothing happened folded. Pure.

A retry days later would squeeze everything else into a line; a folded gap has a fixed width and says how long it is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from podtask.inspection.durations import short, span

Interval = tuple[float, float]
FOLD_SECONDS = 120.0
"""Shorter gaps are never folded."""
FOLD_SHARE = 0.4
"""Gaps are folded that are longer than this share of all the time in which something happened."""
FOLD_WIDTH = 4.0
"""Per cent."""
FOLDS = 8
"""The longest so many gaps are folded."""
STEPS = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800),
)
LEAST_SECONDS = 0.02
"""The shortest axis: on this machine a flow run may be over in no time."""
TICKS = 7
TICK_DISTANCE = 12.0
"""Per cent between two ticks at least: `2m30s` fits between them on a phone."""


@dataclass(frozen=True)
class Fold:
    """A gap that is drawn narrow."""

    at: float
    width: float
    text: str


@dataclass(frozen=True)
class Tick:
    """A mark on the axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Scale:
    """Moments to per cent of the width."""

    pieces: tuple[tuple[float, float, float, float], ...]
    """Begin and end of a piece of time, and the per cents of both."""
    folds: tuple[Fold, ...]

    @property
    def begin(self) -> float:
        """The first moment."""
        return self.pieces[0][0]

    @property
    def end(self) -> float:
        """The last moment."""
        return self.pieces[-1][1]

    def at(self, moment: float) -> float:
        """Where a moment is, in per cent; what is outside is at the edge."""
        index = 0
        if len(self.pieces) > 1:
            index = max(0, bisect_right(self.pieces, (moment, float("inf"), 0.0, 0.0)) - 1)
        begin, end, left, right = self.pieces[index]
        if moment <= begin:
            return left
        return right if moment >= end else left + (right - left) * (moment - begin) / (end - begin)

    def ticks(self) -> list[Tick]:
        """Marks at round times since the beginning, none of them in a fold or close to another."""
        open_seconds = sum(end - begin for begin, end, left, right in self.pieces if not self._folded(left))
        step = next((one for one in STEPS if open_seconds / one <= TICKS), STEPS[-1])
        while open_seconds / step > TICKS:
            step *= 2
        ticks, last = [Tick(0.0, "0s")], 0.0
        for begin, end, left, _ in self.pieces:
            if self._folded(left):
                continue
            moment = self.begin + (int((begin - self.begin) // step) + 1) * step
            while moment < end:
                at = self.at(moment)
                if at - last >= TICK_DISTANCE and at <= 100 - TICK_DISTANCE / 2:
                    ticks.append(Tick(at, short(round(moment - self.begin, 3))))
                    last = at
                moment += step
        return ticks

    def _folded(self, left: float) -> bool:
        return any(fold.at == left for fold in self.folds)


def scale(begin: float, end: float, busy: Iterable[Interval]) -> Scale:
    """The axis from the first to the last moment; `busy`: when something happened."""
    end = max(end, begin + LEAST_SECONDS) if end > begin else begin + 1.0
    happened = _union(busy, begin, end)
    quiet = _between(happened, begin, end)
    worked = sum(stop - start for start, stop in happened)
    longest = sorted(quiet, key=lambda gap: gap[0] - gap[1])[:FOLDS]
    folded = {gap for gap in longest if gap[1] - gap[0] > max(FOLD_SECONDS, FOLD_SHARE * worked)} if worked else set()
    cuts = sorted({begin, end, *(moment for gap in folded for moment in gap)})
    opened = (end - begin) - sum(stop - start for start, stop in folded)
    room = 100.0 - FOLD_WIDTH * len(folded)
    pieces: list[tuple[float, float, float, float]] = []
    folds: list[Fold] = []
    at = 0.0
    for start, stop in pairwise(cuts):
        width = FOLD_WIDTH if (start, stop) in folded else room * (stop - start) / opened if opened else room
        pieces.append((start, stop, at, at + width))
        if (start, stop) in folded:
            folds.append(Fold(at, width, span(stop - start)))
        at += width
    return Scale(tuple(pieces), tuple(folds))


def _union(intervals: Iterable[Interval], begin: float, end: float) -> list[Interval]:
    found: list[Interval] = []
    for first, last in sorted(set(intervals)):  # thousands of task runs are created at the same moments
        start, stop = max(begin, first), min(end, last)
        if stop < start:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], stop))
        else:
            found.append((start, stop))
    return found


def _between(happened: list[Interval], begin: float, end: float) -> list[Interval]:
    edges = [begin, *(moment for interval in happened for moment in interval), end]
    return [(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True) if stop > start]
