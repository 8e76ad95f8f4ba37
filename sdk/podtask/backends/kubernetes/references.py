"""Arguments that refer to runs of another backend: their results are put in by value, other references stay.

Used by: `backend`, for a flow on the cluster inside a local one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podtask.runs import TaskRun
    from podtask_runner.packing import Packing


@dataclass
class _Reference:
    """Stands for an upstream that has a TaskRun."""

    run_id: str


def with_values(run: TaskRun, elsewhere: set[str], packing: Packing) -> bytes:
    """The pickled arguments with these upstreams loaded. Raises what `State.result` raises."""
    from podtask_runner.pickling import dumps, loads

    by_id = {upstream.id: upstream for upstream in run.upstreams}
    found: dict[str, Any] = {}

    def resolve(ref: str) -> Any:
        if ref not in found:
            found[ref] = by_id[ref].load() if ref in elsewhere else _Reference(ref)
        return found[ref]

    arguments = loads(run.inputs.payload, resolve=resolve)
    return dumps(arguments, reference=lambda obj: obj.run_id if isinstance(obj, _Reference) else None, packing=packing)
