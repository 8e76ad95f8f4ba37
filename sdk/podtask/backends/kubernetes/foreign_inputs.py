"""Arguments that refer to runs of another backend: their results are put in by value, other references stay.

Used by: `backend`, for a flow on the cluster inside a local one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podtask_runner.files import File, reference

if TYPE_CHECKING:
    from podtask.model.task_run import TaskRun
    from podtask_runner.serialization.by_value import Packing
    from podtask_runner.storage.spool import Payload


@dataclass
class _Reference:
    """Stands for an upstream that has a TaskRun."""

    run_id: str


def _value(needed: TaskRun, *, batched: bool) -> Any:
    """As in `podtask.backends.in_process.attempt.value_or_failure`; an exception pickles with its causes."""
    from podtask.backends.in_process.attempt import value_or_failure
    from podtask_runner.serialization.exceptions import carried
    from podtask_runner.serialization.failures import Marked

    value = value_or_failure(needed)
    if needed.status.state.succeeded:
        return value
    return Marked(value) if batched else carried(value)


def with_values(run: TaskRun, elsewhere: set[str], packing: Packing) -> tuple[Payload, dict[str, File]]:
    """The pickled arguments with these upstreams loaded, and the files in them. Raises what `State.result` raises."""
    from podtask_runner.serialization.pickling import dump_payload, loads

    batched = run.task.batched is not None
    by_id = {upstream.id: upstream for upstream in run.upstreams}
    found: dict[str, Any] = dict(run.inputs.files)
    files: dict[str, File] = {}

    def resolve(ref: str) -> Any:
        if ref not in found:
            found[ref] = _value(by_id[ref], batched=batched) if ref in elsewhere else _Reference(ref)
        return found[ref]

    def refer(obj: object) -> str | None:
        if isinstance(obj, _Reference):
            return obj.run_id
        if isinstance(obj, File):
            ref = reference(obj)
            files[ref] = obj
            return ref
        return None

    arguments = loads(run.inputs.payload, resolve=resolve)
    return dump_payload(arguments, reference=refer, packing=packing), files
