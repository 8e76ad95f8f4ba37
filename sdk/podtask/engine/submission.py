"""Submitting or cancelling runs, several at a time, on a backend that answers over a network.

    make(call) ──> run ──> one of few threads ──> backend.submit(run)

Runs are made in order, in the caller's thread, while earlier ones are on their way. An error ends it as it ends a
plain loop: it is raised at the call, the first in order, and nothing after it is begun; what was on its way then
is submitted all the same, and belongs to the flow run. So it is with an interrupt, which is why a single call takes
this way, too: in its own thread, Ctrl-C would cut a request off, and nobody would know what came of it. Cancelling
goes on to the last run, but an interrupt (a second Ctrl-C) ends it at once. Used by: `podtask.engine.flow_run`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING

from podtask.support.thread_pool import Workers

if TYPE_CHECKING:
    from podtask.model.task_run import TaskRun

log = logging.getLogger("podtask.backends")


class Together:
    """One call, or one `.map`: at most `limit` submissions at a time."""

    def __init__(self, submit: Callable[[TaskRun], None], limit: int, *, stays: bool = True) -> None:
        self._submit = submit
        self._limit = limit
        self._stays = stays
        """Whether an interrupt waits for what is on its way."""
        self._changed = threading.Condition()
        self._on_their_way = 0
        self._given: list[TaskRun] = []
        self._errors: dict[TaskRun, BaseException] = {}

    def submit(self, runs: Iterable[TaskRun]) -> None:
        """All of them; raises the first error, also one of making a run."""
        with self._threads() as workers:
            for run in self._while_good(runs):
                with self._changed:
                    self._changed.wait_for(lambda: self._on_their_way < self._limit)
                    self._on_their_way += 1
                self._given.append(run)
                workers.submit(partial(copy_context().run, partial(self._one, run)))
        if self._errors:
            raise next(self._errors[run] for run in self._given if run in self._errors)

    @property
    def submitted(self) -> list[TaskRun]:
        """Those that the backend took, in order."""
        return [run for run in self._given if run not in self._errors]

    def _while_good(self, runs: Iterable[TaskRun]) -> Iterator[TaskRun]:
        for run in runs:
            yield run
            if self._errors:
                return

    def _one(self, run: TaskRun) -> None:
        try:
            self._submit(run)
        except BaseException as error:  # noqa: BLE001 - raised at the call
            self._errors[run] = error
        finally:
            with self._changed:
                self._on_their_way -= 1
                self._changed.notify()

    @contextmanager
    def _threads(self) -> Iterator[Workers]:
        """Left when everything on its way has arrived, as a rule also after an interrupt."""
        workers = Workers(self._limit, "podtask-map")
        try:
            yield workers
            self._until_all_arrived()
        except BaseException as error:
            if self._stays or not isinstance(error, KeyboardInterrupt):
                self._until_all_arrived()
            raise
        finally:
            workers.close()

    def _until_all_arrived(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._on_their_way)


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
