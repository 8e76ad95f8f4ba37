"""What the last run of a flow came to, for a notebook that shows the flow: a few numbers, no runs and no values.

Written by: `podtask.engine.flow_engine`. Read by: `Flow._repr_html_`. Kept for as long as the flow is there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from podtask.display.tally import in_order
from podtask.support import notebook

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podtask.model.definitions import FlowDefinition
    from podtask.model.task_run import TaskRun

ROWS = 12
"""Tasks with a line of their own."""


@dataclass(frozen=True)
class LastRun:
    """Of one flow."""

    name: str
    tasks: tuple[tuple[str, dict[str, int]], ...]
    """The first tasks, and how many of their runs are in which state."""
    more: int
    """Tasks that are not among them."""

    def rows(self) -> list[tuple[str, object]]:
        """For `podtask.support.notebook.table`."""
        more = f"and {self.more} more tasks" if self.more else ""
        named = [(f"· {task}", notebook.share(counts)) for task, counts in self.tasks]
        return [("last run", self.name), *named, ("·", more)]


_kept: WeakKeyDictionary[FlowDefinition, LastRun] = WeakKeyDictionary()


def remember(flow: FlowDefinition, name: str, runs: Iterable[TaskRun]) -> None:
    """The run has ended. Nothing is kept where nobody could see it."""
    if notebook.shell() is None:
        return
    by_task: dict[str, Counter[str]] = {}
    for run in runs:
        by_task.setdefault(run.task.name, Counter())[str(run.status.state)] += 1
    first = tuple((task, dict(in_order(counts))) for task, counts in list(by_task.items())[:ROWS])
    _kept[flow] = LastRun(name, first, max(0, len(by_task) - ROWS))


def of(flow: FlowDefinition) -> LastRun | None:
    """What was kept."""
    return _kept.get(flow)
