"""How the items of a finished batch ended: an entry of the batch becomes the status and the payload of its item. Pure.

Used by: `podtask.engine.batches.batch`. The entries are made by `podtask_runner.attempt.batch`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from podtask.core.api.names import Reason, State
from podtask.core.api.status import MESSAGE_LIMIT, ErrorInfo, ResultInfo, Status
from podtask.core.lifecycle.sanitize import plausible
from podtask_runner.protocol import Verdict, load_outcome

if TYPE_CHECKING:
    from podtask_runner.protocol import Outcome

Entry = tuple[bytes, "bytes | None"]
_LOST_CURE = "Map these items again, in smaller batches if they do not fit into one pod."


def running(batch: Status) -> Status:
    """The status of an item while its batch runs. Which items have finished is known at the end of the batch."""
    return Status(State.RUNNING, batch.reason, batch.message, attempts_total=1, started_at=batch.started_at)


def completed(batch: Status) -> Status:
    """The status of a completed item whose value is read later."""
    cached = batch.state is State.CACHED
    state, reason = (State.CACHED, batch.reason) if cached else (State.COMPLETED, Reason.COMPLETED)
    return replace(_ended(batch, state), reason=reason, message=batch.message if cached else "The task completed.")


def of_entry(batch: Status, entry: Entry) -> Status:
    """The status of an item by its entry, in the words of the lifecycle."""
    outcome = plausible(load_outcome(entry[0]))
    if outcome.outcome is Verdict.COMPLETED:
        return replace(completed(batch), result=result_of(outcome))
    error, crashed = outcome.error, outcome.outcome is Verdict.CRASHED
    status = _ended(batch, State.CRASHED if crashed else State.FAILED)
    if error is None:
        return status
    text = error.message if crashed else f"{error.type}: {error.message}"
    info = ErrorInfo(error.type, error.message, error.traceback, error.digest, error.size, cure=error.cure)
    reason = Reason.CRASHED if crashed else Reason.EXCEPTION
    return replace(status, reason=reason, message=text[:MESSAGE_LIMIT], error=info)


def result_of(outcome: Outcome) -> ResultInfo | None:
    """Digest, size and serializer of a value."""
    found = outcome.result
    return None if found is None else ResultInfo(found.digest, found.size, found.serializer, found.contentHash)


def lost(batch: Status, name: str, why: str = "") -> Status:
    """The status of an item without an entry: the batch ended earlier, or its entries cannot be read."""
    text = f"What became of this item is not known. Its batch '{name}' is {batch.state}: {batch.message or ''}"
    text = f"{text} {why}".rstrip(": ")[:MESSAGE_LIMIT]
    status = replace(_ended(batch, batch.state), reason=batch.reason, message=text)
    if batch.error is None:
        return status
    return replace(status, error=replace(batch.error, cure=batch.error.cure or _LOST_CURE))


def _ended(batch: Status, state: State) -> Status:
    return Status(
        state,
        attempts_total=batch.attempts_total,
        retries_used=batch.retries_used,
        started_at=batch.started_at,
        finished_at=batch.finished_at,
    )
