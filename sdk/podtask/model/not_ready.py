"""The end of a run that was never started because what it needs did not complete, where the driver says so itself.

The words are those of `podtask.core.lifecycle`, so that a flow reads the same on every backend. Used by:
`podtask.backends.kubernetes.local_statuses`, `podtask.engine.batches`.
"""

from __future__ import annotations

from podtask.core import clock
from podtask.core.api.names import Reason, State
from podtask.core.api.reasons import cure_of
from podtask.core.api.status import ErrorInfo, Status


def not_ready(upstream: str, state: str) -> Status:
    """An upstream did not complete."""
    text = f"Upstream task run '{upstream}' did not reach a 'COMPLETED' state (it is {state})."
    reason = Reason.UPSTREAM_FAILED
    error = ErrorInfo(str(reason), text, cure=cure_of(reason))
    ended = clock.now()
    return Status(State.NOT_READY, reason, text, error=error, failed_upstream=upstream, finished_at=ended)
