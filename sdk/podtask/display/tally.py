"""The task runs of a flow run, counted by state: what lines and table show.

    run.report(status) ──> Tally.news

Used by: `podtask.display.progress`, `podtask.display.live_table`.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from podtask.core.api.names import State as Word

if TYPE_CHECKING:
    from podtask.core.api.status import Status
    from podtask.model.task_run import TaskRun


class Tally:
    """The task runs of one flow run and those of its subflows."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.runs: dict[str, TaskRun] = {}
        self._lock = threading.Lock()

    def added(self, run: TaskRun) -> None:
        """A call was submitted."""
        with self._lock:
            self.runs.setdefault(run.id, run)

    def news(self, run: TaskRun, before: Status, after: Status) -> None:  # noqa: ARG002 - a `Listener`
        """A run changed (see `podtask.model.task_run.Listener`)."""
        self.added(run)

    def close(self) -> None:
        """The flow is over."""

    def snapshot(self) -> list[TaskRun]:
        """The runs so far."""
        with self._lock:
            return list(self.runs.values())

    def summary(self) -> str:
        """`etl-6f0ceff0: 10 task runs: 7 Completed, 1 Failed, 2 Running`."""
        runs = self.snapshot()
        words = Counter(str(run.status.state) for run in runs)
        told = ", ".join(f"{count} {word}" for word, count in in_order(words))
        return f"{self.name}: {len(runs)} task run{'s' * (len(runs) != 1)}: {told}"


def in_order(words: Counter[str]) -> list[tuple[str, int]]:
    """States with their counts, in the order of a run's life."""
    order = [str(word) for word in Word]
    return sorted(words.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))
