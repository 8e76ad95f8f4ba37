"""Submitting or cancelling runs, several at a time, on a backend that answers over a network.

    make(call) ──> run ──> a thread of its own ──> backend.submit(run)

Runs are made in order, in the caller's thread, while earlier ones are on their way. An error ends it as it ends a
plain loop: it is raised at the call, the first in order, and nothing after it is begun; what was on its way then
is submitted all the same, and belongs to the flow run. So it is with an interrupt, which is why a single call takes
this way, too: in its own thread, Ctrl-C would cut a request off, and nobody would know what came of it. Cancelling
goes on to the last run, but an interrupt (a second Ctrl-C) ends it at once. Used by: `podtask.engine.flow_run`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podtask.model.task_run import TaskRun

log = logging.getLogger("podtask.backends")


class Together:
    """One call, or one `.map`: at most `limit` submissions at a time.

    An interrupt may come before any bytecode of the caller's thread, so nothing that has to happen stands behind one:
    the caller's thread and the others share no lock, each list has one kind of writer, and a thread of its own per call
    writes down that it begins before it looks whether the caller has left.
    """

    def __init__(self, submit: Callable[[TaskRun], None], limit: int, *, stays: bool = True) -> None:
        self._submit = submit
        self._limit = limit
        self._stays = stays
        """Whether an interrupt waits for what is on its way."""
        self._interrupted = False
        self._accepted: list[TaskRun] = []
        self._begun: list[TaskRun] = []
        self._ended: list[TaskRun] = []
        self._taken: set[TaskRun] = set()
        self._errors: dict[TaskRun, BaseException] = {}
        self._news: SimpleQueue[None] = SimpleQueue()

    def submit(self, runs: Iterable[TaskRun]) -> None:
        """Submit all calls. Raises the first error, including one of making a run."""
        try:
            self._begin_each(runs)  # a loop here would have jumps that no handler covers (Python 3.13)
            self._until(lambda: len(self._accepted) == len(self._ended))
        except KeyboardInterrupt:
            self._interrupted = True
            if self._stays:
                self._until(lambda: len(self._begun) == len(self._ended))
            raise
        except BaseException:
            self._until(lambda: len(self._accepted) == len(self._ended))
            raise
        if self._errors:
            raise next(self._errors[run] for run in self._accepted if run in self._errors)

    @property
    def submitted(self) -> list[TaskRun]:
        """The runs that the backend has taken, in order."""
        return [run for run in self._accepted if run in self._taken]

    def _begin_each(self, runs: Iterable[TaskRun]) -> None:
        """Start submissions up to the first error, `limit` at a time."""
        for run in runs:
            self._until(lambda: len(self._accepted) - len(self._ended) < self._limit)
            self._begin(run)
            if self._errors:
                return

    def _begin(self, run: TaskRun) -> None:
        """In a thread of its own; where the system has none left, after one of those that are on their way."""
        self._accepted.append(run)
        job = partial(copy_context().run, partial(self._one, run))
        while True:
            try:
                threading.Thread(target=job, name=f"podtask-submit-{len(self._accepted)}", daemon=True).start()
            except RuntimeError:
                if len(self._ended) == len(self._accepted) - 1:
                    self._accepted.pop()
                    raise
                self._news.get()
            else:
                return

    def _one(self, run: TaskRun) -> None:
        self._begun.append(run)
        try:
            if not self._interrupted:
                self._submit(run)
                self._taken.add(run)
        except BaseException as error:  # noqa: BLE001 - raised at the call
            self._errors[run] = error
        finally:
            self._ended.append(run)
            self._news.put(None)

    def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            self._news.get()


def cancel_each(runs: list[TaskRun], limit: int) -> None:
    """Ask for the end of these runs, at most `limit` at a time. An error of one is logged and keeps none of the others.

    It is not raised: the interrupt that made this call is on its way to the user already, and must arrive.
    """
    if limit == 1:
        for run in runs:
            _cancel(run)
    else:
        Together(_cancel, limit, stays=False).submit(runs)


def _cancel(run: TaskRun) -> None:
    try:
        run.cancel()
    except Exception as error:
        log.warning("Task run '%s' goes on, it could not be cancelled: %s", run.name, error, exc_info=True)
