"""The table in a notebook: one display of the cell, updated while the flow runs.

    Tally ──> NotebookTable.draw ──> display handle (text and HTML)          prints stay where they are, in the cell

Made by: `podtask.display.progress`. IPython is there, or there is no notebook.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextvars import copy_context
from typing import Any

from podtask.display.live_table import LiveTable
from podtask.display.tally import in_order
from podtask.support.notebook import Html, share, table
from podtask.support.terminal_text import visible

SECONDS = 0.5
"""Between two drawings: every one is a message to the browser."""


class NotebookTable(LiveTable):
    """See `LiveTable`; its screen is the cell's output."""

    seconds = SECONDS

    def __init__(self, name: str) -> None:
        super().__init__(name, screen=None)
        self._handle: Any = None
        self._shown: object = None

    def draw(self) -> None:
        """Once, now, if anything is different."""
        bundle = {"text/plain": "\n".join(map(visible, self.lines())), "text/html": self.html()}
        if bundle == self._shown:
            return
        self._shown = bundle
        if self._handle is None:
            from IPython.display import display

            show: Any = display
            self._handle = show(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

    def html(self) -> Html:
        """The table."""
        rows = self.rows()
        shown = [(visible(title.strip()), self._line(runs)) for title, runs in rows[1:]]
        total = self._line(rows[0][1])
        return table(visible(rows[0][0]), [("all", total), *shown, ("", self.left_out())])

    def _line(self, runs: list[Any]) -> Html:
        words = in_order(Counter(str(run.status.state) for run in runs))
        return Html(f"{sum(run.finished for run in runs):,}/{len(runs):,} finished {share(dict(words))}")

    def _start_drawing(self) -> threading.Thread:
        """The first drawing belongs to the cell's thread, and the others to the same cell."""
        self.draw()
        context = copy_context()
        return threading.Thread(target=context.run, args=(self._draw_on,), name="podtask-progress", daemon=True)
