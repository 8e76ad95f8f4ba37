"""Ends that are made or held here: what was needed did not complete, or the submission failed.

The words are those of `podtask.core.lifecycle`, so that a flow reads the same on every backend. Used by: `backend`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from podtask.core import clock
from podtask.core.api.names import Reason, State
from podtask.core.api.status import MESSAGE_LIMIT, ErrorInfo, Status
from podtask.model.not_ready import not_ready

__all__ = ["after_the_cause", "cancelled", "crash", "not_ready"]

if TYPE_CHECKING:
    from collections.abc import Callable

    from podtask.model.task_run import TaskRun


def after_the_cause(run: TaskRun, report: Callable[[], None]) -> None:
    """Report a NotReady after the end that caused it: that one may still be fetching its prints, and is what the
    user's exception is chained to."""
    told = threading.Lock()

    def look() -> None:
        ended = [needed for needed in run.needs if needed.finished]
        if (run.failed_needs or len(ended) == len(run.needs)) and told.acquire(blocking=False):
            report()

    look()
    for needed in run.needs:
        needed.on_finished(look)


def cancelled() -> Status:
    """Cancelled while it waited here."""
    return Status(
        State.CANCELLED, Reason.CANCELLED, "The run was cancelled before it was submitted.", finished_at=clock.now()
    )


def crash(run: TaskRun, error: BaseException) -> None:
    """The end of a run whose `cache_key_fn`, or whose late submission, failed: never retried (as in Prefect 2.0b5)."""
    from podtask_runner.serialization.exceptions import dump_exception, message_of

    text = f"{type(error).__name__}: {message_of(error)}"[:MESSAGE_LIMIT]
    status = Status(
        State.CRASHED,
        Reason.CRASHED,
        f"Execution was interrupted by an unexpected exception: {text}",
        error=ErrorInfo(type(error).__name__, text),
        finished_at=clock.now(),
    )
    run.report(status, dump_exception(error))
