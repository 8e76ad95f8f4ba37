"""The table that updates in a terminal: a block of lines at its end, drawn over a few times a second.

    Tally ──> Table.lines ──> Screen.draw          others' writes to the terminal ──> above the block

Plain cursor movements (ECMA-48), words and no colours, so NO_COLOR has nothing to turn off. Only streams that are
terminals are looked after; a redirected stdout is left alone. Made by: `podtask.display.progress`.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from podtask.display.tally import Tally, in_order
from podtask.support.terminal_text import visible

if TYPE_CHECKING:
    from podtask.model.task_run import TaskRun

ROWS = 12
"""Tasks with a line of their own."""
SECONDS = 0.2
"""Between two drawings."""
_taken = threading.Lock()


def start(name: str) -> LiveTable | None:
    """The table of this flow run; None while another one has the terminal."""
    if not _taken.acquire(blocking=False):
        return None
    return LiveTable(name, Screen(sys.stderr), _taken.release)


class Screen:
    """The end of a terminal. What is written through `above` scrolls, the block stays under it."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._height = 0
        self._block: list[str] = []
        self._open = False
        self._lock = threading.RLock()

    def draw(self, lines: list[str]) -> None:
        """Put the block there, over the last one; not while somebody is in the middle of a line."""
        width = shutil.get_terminal_size().columns - 1
        with self._lock:
            self._block = [visible(line)[:width] for line in lines]
            if not self._open:
                self._put()

    def above(self, stream: TextIO, text: str) -> int:
        """Write what somebody else writes."""
        with self._lock:
            self._erase("")
            self._open = not text.endswith("\n") if text else self._open
            written = stream.write(text)
            stream.flush()
            if not self._open:
                self._put()  # at once: a terminal that shows many prints would be without the block most of the time
            return written

    def leave(self) -> None:
        """The block stays where it is; who still holds one of our streams writes below it."""
        with self._lock:
            self._block, self._height = [], 0

    def _put(self) -> None:
        self._erase("".join(f"{line}\n" for line in self._block))
        self._height = len(self._block)

    def _erase(self, then: str) -> None:
        up = f"\x1b[{self._height}A\x1b[J" if self._height else ""  # CUU, ED
        self._height = 0
        if up or then:
            self._out.write(up + then)
            self._out.flush()


class LiveTable(Tally):
    """See `Tally`; a line for the flow run, and one per task."""

    seconds = SECONDS

    def __init__(
        self,
        name: str,
        screen: Screen | None,
        closed: Callable[[], object] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name)
        self._screen = screen
        self._closed = closed
        self._monotonic = monotonic
        self._started = monotonic()
        self._over = threading.Event()
        self._appeared = False
        self._drawer: threading.Thread | None = None
        self._others: list[tuple[str, Any, Any]] = []

    def added(self, run: TaskRun) -> None:
        """See `Tally.added`; the first one makes the table appear."""
        super().added(run)
        with self._lock:
            if self._appeared:
                return
            self._appeared = True
        self._drawer = self._start_drawing()
        self._drawer.start()

    def close(self) -> None:
        """See `Tally.close`; the last table stays."""
        self._over.set()
        if self._drawer is not None:
            self._drawer.join()
            self.draw()
        if self._screen is not None:
            self._screen.leave()
        for attribute, ours, theirs in self._others:
            if getattr(sys, attribute) is ours:
                setattr(sys, attribute, theirs)
        self._closed()

    def draw(self) -> None:
        """Once, now."""
        assert self._screen is not None
        try:
            self._screen.draw(self.lines())
        except (OSError, ValueError):  # the terminal is gone; the run goes on
            self._over.set()

    def lines(self) -> list[str]:
        """The block."""
        rows = self.rows()
        width = max(len(title) for title, _ in rows)
        lines = [f"{title:{width}}  {_told(those)}" for title, those in rows]
        return [*lines, *([f"  {more}"] if (more := self.left_out()) else [])]

    def rows(self) -> list[tuple[str, list[TaskRun]]]:
        """The flow run with all of its task runs, and the first tasks with theirs."""
        minutes, seconds = divmod(int(self._monotonic() - self._started), 60)
        by_task = self._by_task()
        first = (f"{self.name}  {minutes}:{seconds:02}", self.snapshot())
        return [first, *((f"  {name}", of_task) for name, of_task in list(by_task.items())[:ROWS])]

    def left_out(self) -> str:
        """Of how many tasks there is no row."""
        count = len(self._by_task()) - ROWS
        return f"and {count} more tasks" if count > 0 else ""

    def _by_task(self) -> dict[str, list[TaskRun]]:
        by_task: dict[str, list[TaskRun]] = defaultdict(list)
        for run in self.snapshot():
            by_task[run.task.name].append(run)
        return by_task

    def _start_drawing(self) -> threading.Thread:
        self._look_after_others()
        return threading.Thread(target=self._draw_on, name="podtask-progress", daemon=True)

    def _draw_on(self) -> None:
        self.draw()
        while not self._over.wait(self.seconds):
            self.draw()

    def _look_after_others(self) -> None:
        """Prints and log lines to the same terminal go above the block."""
        assert self._screen is not None
        for attribute in ("stdout", "stderr"):
            theirs = getattr(sys, attribute)
            if theirs is not None and theirs.isatty():
                ours = Above(self._screen, theirs)
                self._others.append((attribute, ours, theirs))
                setattr(sys, attribute, ours)


class Above:
    """A terminal stream while a block is at its end."""

    def __init__(self, screen: Screen, stream: TextIO) -> None:
        self._screen = screen
        self._stream = stream

    def write(self, text: str) -> int:
        """As the stream's own."""
        return self._screen.above(self._stream, text)

    def writelines(self, lines: Any) -> None:
        """As the stream's own."""
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _told(runs: list[TaskRun]) -> str:
    finished = sum(run.finished for run in runs)
    words = in_order(Counter(str(run.status.state) for run in runs))
    return f"{finished}/{len(runs)} finished  " + "  ".join(f"{word} {count}" for word, count in words)
