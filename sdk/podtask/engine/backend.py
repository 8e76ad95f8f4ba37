"""The narrow waist: what a backend must do so that tasks can run on it.

    flow, tasks, futures ──submit──> Backend ──run.report(status, payload)──> futures, dependents

A backend receives a `podtask.model.task_run.TaskRun` and brings it to a finished `podtask.core.api.status.Status`. What
a status means to the user (states, exceptions, aggregation) is decided above, when and how often an attempt is made
below, in `podtask.core.lifecycle`. Implementations: `local`, `process`, and `kubernetes` in their modules.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from podtask.model.task_run import Executor

if TYPE_CHECKING:
    from podtask.core.api.status import ErrorInfo, ResultInfo
    from podtask.model.task_run import TaskRun


class Backend(Executor, Protocol):
    """Where task runs are executed. One instance per process, used from many threads at once."""

    name: str
    detachable: bool
    """Whether runs go on when this process is gone, and can be found again."""
    remote: bool
    """Whether tasks run on other machines, so that the user's own modules have to travel
    (`podtask.payloads.module_policy`)."""
    own_interpreter: bool
    """Whether another interpreter runs the task, on whatever machine: what it is called with is packed then."""
    submits_at_once: int
    """Submissions of one `.map`, or cancellations, under way together; 1 where they cost less than a thread."""

    def submit(self, run: TaskRun) -> None:
        """Take the run and return at once, whatever its upstreams are doing.

        From then on the backend owes exactly one finished status by `run.report(...)`, from any thread, whatever
        happens; statuses on the way are welcome. It starts nothing before all of `run.needs` completed, and
        reports NotReady when one of them does not. A run of the same id that exists already (a restarted driver) is
        taken over, not run twice. Raises `FlowReplayMismatch` when that run belongs to another call, and
        `PodtaskError` for what can be said at once; nothing is owed then.
        """
        ...

    def cancel(self, run: TaskRun) -> None:
        """Ask for the end of the run; does not wait. It ends as Cancelled, or Completed when a result was stored."""
        ...

    def read(self, run: TaskRun, what: ResultInfo | ErrorInfo) -> bytes:
        """The stored bytes behind a finished run's `status.result` or `status.error`; may block.

        Only asked when they came neither with the report nor inside the status. The caller checks the digest.
        Raises `ResultUnavailable`.
        """
        ...

    def fetch(self, run: TaskRun, what: ResultInfo | ErrorInfo, path: Path) -> tuple[Path, str]:
        """As `read`, for what is large: where the bytes are as a file, and their sha256 as they were read.

        They are written to `path`, or lie elsewhere on this machine and are only to be read. Raises as `read`.
        """
        ...

    def saved(self, run: TaskRun) -> Any:
        """The newest checkpoint of a run that has just ended otherwise than completed; may block.

        None where there is none, or none that can be read from here.
        """
        ...

    def close(self) -> None:
        """Let go of threads and connections. Runs in flight are not waited for."""
        ...
