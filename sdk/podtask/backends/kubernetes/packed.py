"""What of a call is settled at the moment of the call, however late its TaskRun is made.

    call ──> code, definitions, overlay    call digest    cache components
                      └── the flow goes on, and sets globals ──> the POST sends what was packed

A call that waits for values, for another backend or for such a call itself is posted later. By then the script may have
set other globals, and changed what it passed: what is hashed and what runs are those of the call. A key that a user's
`cache_key_fn` makes of values is made when these are there. Used by: `podtask.backends.kubernetes.backend`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podtask.backends.kubernetes import cache_spec
from podtask.payloads.code import Shipment, shipment
from podtask.payloads.hashing import call_digest

if TYPE_CHECKING:
    from podtask.model.task_run import TaskRun


@dataclass(frozen=True)
class Packed:
    """One call as it is sent: its pickled inputs and its code."""

    sent: Shipment
    digest: str
    """Guards a run that is attached to again."""
    cache: dict[str, Any] | None
    """`spec.cache`; of a user's `cache_key_fn` nothing yet."""

    @classmethod
    def of(cls, run: TaskRun) -> Packed:
        """Pack a call. Raises `UnpicklableTask`, `ModuleChanged`, `SettingsError`."""
        sent = shipment(run.task, run.inputs, at_home=False)
        cache = None if cache_spec.needs_values(run) else cache_spec.plan(run, sent.identity)
        return cls(sent, call_digest(run), cache)
