"""TaskRuns as they change: a table that redraws itself in a terminal, a line per change elsewhere.

Up to FEW runs have a line each, more are counted by task name. Used by `podtask watch`, for TaskRuns and flow runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from podtask.cli.common import output
from podtask.core.api.names import State
from podtask.inspection.durations import span
from podtask.inspection.task_run import SeenTaskRun

if TYPE_CHECKING:
    from rich.console import RenderableType

FEW = 50
"""So many TaskRuns have a line each."""
HEAD = ("NAME", "TASK", "STATE", "ATTEMPT", "RAN", "MESSAGE")
COUNTED = ("TASK", "RUNS", "DONE", "STATES")
LONGEST = 60
PER_SECOND = 4


class StateLines:
    """A line per change of state; of many runs, counts by task name whenever they change."""

    def __init__(self) -> None:
        self._printed: dict[str, str] = {}

    def __enter__(self) -> None:
        """Nothing to open."""

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def show(self, runs: list[SeenTaskRun], now: datetime) -> None:  # noqa: ARG002 - as `StateTable.show`
        """Tell what is new."""
        news = (
            {run.uid: f"{run.name} {_what(run)}" for run in runs}
            if len(runs) <= FEW
            else {
                task: f"{task}: {' of '.join((done, total))} done, {states}"
                for task, total, done, states in counts(runs)
            }
        )
        for key, line in news.items():
            if self._printed.get(key) != line:
                output.out(line)
        self._printed = {**self._printed, **news}


class StateTable:
    """A table at the end of the terminal, redrawn; what is there at the end stays."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            console=Console(highlight=False, soft_wrap=True), refresh_per_second=PER_SECOND, vertical_overflow="crop"
        )

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, runs: list[SeenTaskRun], now: datetime) -> None:
        """Draw them."""
        self._live.update(_drawn(runs, now))


def _drawn(runs: list[SeenTaskRun], now: datetime) -> RenderableType:
    from rich.text import Text

    if len(runs) > FEW:
        text = output.table(COUNTED, counts(runs))
    else:
        text = output.table(HEAD, [row(run, now) for run in runs])
    return Text.from_ansi(text, no_wrap=True, overflow="ellipsis")


def row(run: SeenTaskRun, now: datetime) -> tuple[str, ...]:
    """One TaskRun."""
    began = run.status.started_at
    ran = span(((run.status.finished_at or now) - began).total_seconds()) if began else ""
    return run.name, run.task, output.state(run.word), str(run.raw.get("attempt", "")), ran, _why(run)


def counts(runs: Iterable[SeenTaskRun]) -> list[tuple[str, str, str, str]]:
    """By task name, in the order of their first runs: how many, how many have ended, how many are in which state."""
    by_task: dict[str, list[SeenTaskRun]] = {}
    for run in runs:
        by_task.setdefault(run.task, []).append(run)
    order = [word.value for word in State]
    rows = []
    for task, members in by_task.items():
        words = Counter(run.word for run in members)
        known = sorted(words, key=lambda word: order.index(word) if word in order else len(order))
        states = ", ".join(f"{words[word]} {output.state(word)}" for word in known)
        rows.append((task, str(len(members)), str(sum(run.finished for run in members)), states))
    return rows


def _what(run: SeenTaskRun) -> str:
    why = _why(run)
    return f"{output.state(run.word)}{': ' if why else ''}{why}"


def _why(run: SeenTaskRun) -> str:
    """Why it waits, or did not succeed."""
    if run.state in (State.RUNNING, State.RETRYING) or run.state.succeeded:
        return ""
    text = " ".join((run.status.message or str(run.status.reason or "")).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
