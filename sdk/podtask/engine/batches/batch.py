"""A batch in the driver: one task run that a backend executes, and the task runs of its items, which end with it.

    batch run ──report──> Batch ──report──> runs of its items ──> futures, dependents

An item is a task run like any other, whose executor is its batch. For backends it is a run of somewhere else: what it
gave goes to the task that needs it by value, from the driver. Made by: `podtask.engine.flow_run`.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podtask.core import clock
from podtask.core.api.names import Reason, State
from podtask.core.api.status import MESSAGE_LIMIT, ErrorInfo, Status
from podtask.engine import task_result
from podtask.engine.batches import ends
from podtask.model.not_ready import not_ready
from podtask.support.thread_pool import Workers
from podtask_runner.batch_entries import unpacked
from podtask_runner.pickled_names import BatchFailed
from podtask_runner.protocol import load_outcome

if TYPE_CHECKING:
    from podtask.core.api.status import ResultInfo
    from podtask.engine.backend import Backend
    from podtask.engine.batches.ends import Entry
    from podtask.model.task_run import TaskRun

log = logging.getLogger("podtask.backends")
_readers = Workers(4, "podtask-batch")
"""Read what batches say that failed on a cluster: the thread that brings the news must not wait for a bucket."""


class Batch:
    """Executes its items in one run of the backend. Implements `podtask.model.task_run.Executor`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.detachable = backend.detachable
        self.submits_at_once = backend.submits_at_once
        self.run: TaskRun | None = None
        """What the backend executes; None where no item can run."""
        self.items: list[TaskRun] = []
        """Those that run with it, by their numbers."""
        self._numbers: dict[TaskRun, int] = {}
        self._lock = threading.Lock()
        self._entries: dict[int, Entry] | None = None
        self._begun = False

    def attach(self, run: TaskRun, items: list[TaskRun]) -> None:
        """Connect the items with the run of the batch. They follow its states from now on."""
        self.run, self.items = run, items
        self._numbers = {item: number for number, item in enumerate(items)}
        for item in items:
            item.part_of = run
        run.on_finished(self._finished)

    @property
    def _run(self) -> TaskRun:
        assert self.run is not None, "of an item that runs"
        return self.run

    def news(self, run: TaskRun, before: Status, after: Status) -> None:  # noqa: ARG002 - a `Listener`
        """The batch has started, so its items count as started."""
        if after.finished or after.state is State.PENDING or self._begun:
            return
        self._begun = True
        for item in self.items:
            item.report(ends.running(after))

    def cancel(self, run: TaskRun) -> None:
        """End the item at once. The batch runs on for the other items, and is cancelled with the last one."""
        text = "The item was cancelled; the other items of its batch go on."
        run.report(Status(State.CANCELLED, Reason.CANCELLED, text, finished_at=clock.now()))
        if self.run is not None and all(each.finished for each in self.items):
            self.run.cancel()

    def read(self, run: TaskRun, what: ResultInfo | ErrorInfo) -> bytes:
        """The stored error of the batch, for an item without an entry."""
        del run
        return self._backend.read(self._run, what)

    def fetch(self, run: TaskRun, what: ResultInfo | ErrorInfo, path: Path) -> tuple[Path, str]:
        """As `read`."""
        del run
        return self._backend.fetch(self._run, what, path)

    def load(self, item: TaskRun) -> Any:
        """The value of an item. The first call fetches the values of all items of the batch."""
        if item.status.state.succeeded and item.payload is None:
            outcome, payload = self._read_entries()[self._numbers[item]]
            item.arrived(ends.result_of(load_outcome(outcome)), payload)
        return task_result.load(item)

    def _read_entries(self) -> dict[int, Entry]:
        """Read the entries of the finished batch. Raises `ResultUnavailable`."""
        with self._lock:
            if self._entries is None:
                self._entries = self._read()
            return self._entries

    def _read(self) -> dict[int, Entry]:
        if self._run.status.state.succeeded:
            return unpacked(task_result.load(self._run))
        failure = task_result.failure(self._run)
        if isinstance(failure, BatchFailed):
            return failure.entries
        return dict(self._backend.saved(self._run) or {})

    def _finished(self) -> None:
        """End the items. Where entries must be read from a cluster, a thread reads them."""
        if self._backend.remote and not self._run.status.state.succeeded:
            with suppress(RuntimeError):  # no thread is left: slower, but each item has its end
                _readers.submit(self._end_items)
                return
        self._end_items()

    def _end_items(self) -> None:
        """End every item, also when the entries cannot be read."""
        status, entries, why = self._run.status, dict[int, "Entry"](), ""
        try:
            if not status.state.succeeded and status.state is not State.NOT_READY:
                entries = self._read_entries()
        except Exception as error:  # noqa: BLE001 - whatever keeps it from being read
            why = f"What it says of its items cannot be read: {error}"
        for number, item in enumerate(self.items):
            try:
                end, payload = self._end(number, item, entries, why)
                item.report(end, payload)
            except Exception as error:
                log.exception("The end of task run '%s' cannot be read", item.name)
                text = f"{type(error).__name__}: {error}"[:MESSAGE_LIMIT]
                info = ErrorInfo(type(error).__name__, text)
                item.report(Status(State.CRASHED, Reason.CRASHED, text, error=info, finished_at=clock.now()))

    def _end(self, number: int, item: TaskRun, entries: dict[int, Entry], why: str) -> tuple[Status, bytes | None]:
        if item.failed_needs:
            failed = item.failed_needs[0]
            return not_ready(failed.id, failed.status.state), None
        if self._run.status.state.succeeded:
            return ends.completed(self._run.status), None
        if number in entries:
            return ends.of_entry(self._run.status, entries[number]), entries[number][1]
        return ends.lost(self._run.status, self._run.name, why), self._run.payload
