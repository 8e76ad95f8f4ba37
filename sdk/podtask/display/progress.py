"""What people see while a flow runs: a table that updates in a terminal or a notebook, plain lines on stderr elsewhere.

    run.report(status) ──> Tally.news ──> Lines, or podtask.display.live_table, notebook_table

`PODTASK_PROGRESS`: `auto` (the table in a notebook or a terminal that is no CI's, else lines), `plain` (lines) or
`off`. Unset it means auto, except on the local backend, which stays silent. Lines name runs while they are few, and
count them when they are many. Opened and closed by `podtask.engine.flow_engine`, one per outermost flow run, shared
by its subflows.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from podtask import settings
from podtask.core.api.names import State as Word
from podtask.display.tally import Tally
from podtask.errors import SettingsError
from podtask.support import notebook

if TYPE_CHECKING:
    from podtask.core.api.status import Status
    from podtask.model.task_run import TaskRun

FEW = 20
"""So many runs are named one by one."""
BETWEEN_SECONDS = 5.0
"""Between two lines about many runs."""
_UNTOLD = frozenset({Word.PENDING})
_EXPLAINED = frozenset({Word.AWAITING_RETRY, Word.FAILED, Word.CRASHED, Word.TIMED_OUT, Word.NOT_READY})
_LONGEST = 160


class ProgressLines(Tally):
    """A line per change while runs are few, then a count from time to time, and the count at the end."""

    def __init__(self, name: str, out: TextIO, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(name)
        self._out = out
        self._monotonic = monotonic
        self._last = monotonic()

    def news(self, run: TaskRun, before: Status, after: Status) -> None:
        """See `Tally.news`."""
        self.added(run)
        if after.state is before.state or after.state in _UNTOLD:
            return
        if len(self.runs) <= FEW:
            self._write(f"{self.name}: {run.name} {after.state}{_why(after)}")
        elif self._monotonic() - self._last >= BETWEEN_SECONDS:
            self._last = self._monotonic()
            self._write(self.summary())

    def close(self) -> None:
        """See `Tally.close`."""
        if self.runs:
            self._write(self.summary())

    def _write(self, text: str) -> None:
        try:
            self._out.write(f"{text}\n")
            self._out.flush()
        except (OSError, ValueError):  # a closed or broken stderr must not break the run
            return


def for_flow(name: str, backend: str) -> Tally | None:
    """What to show of a flow run on this backend; None: nothing. Raises `SettingsError` for an unknown word."""
    given = settings.load()
    word = given.progress.lower()
    if word not in ("auto", "plain", "off"):
        raise SettingsError(f"PODTASK_PROGRESS must be auto, plain or off, not '{given.progress}'")
    asked = (given.sources or {}).get("progress") != "default"
    if word == "off" or (backend == "local" and not asked):
        return None
    if word == "auto" and notebook.shell() is not None:
        from podtask.display.notebook_table import NotebookTable

        return NotebookTable(name)
    if word == "auto" and updates(sys.stderr):
        from podtask.display import live_table

        if (table := live_table.start(name)) is not None:
            return table
    return ProgressLines(name, sys.stderr)


def updates(out: TextIO) -> bool:
    """Whether lines can be drawn over: a terminal that somebody looks at."""
    dumb = os.environ.get("TERM") in ("dumb", "unknown") or bool(os.environ.get("CI"))
    return not dumb and out.isatty()


def _why(status: Status) -> str:
    if status.state not in _EXPLAINED or not status.message:
        return ""
    text = status.message.splitlines()[0]
    return f": {text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}"
