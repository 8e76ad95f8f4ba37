"""The runner's answer, read as what it is: bytes that a user's code could have written itself.

From the termination message (`status`) or the stored object `outcome` (`podtask_operator.storage.objects`).
`podtask_runner.protocol` reads the format, types are checked here, and `podtask.core.lifecycle.sanitize` has the
bounds: the status is made of these fields.
"""

from __future__ import annotations

import dataclasses

from pydantic import TypeAdapter, ValidationError

from podtask.core.lifecycle.sanitize import plausible
from podtask_runner import protocol

_TYPES: TypeAdapter[protocol.Outcome] = TypeAdapter(protocol.Outcome)


def parse(data: bytes) -> protocol.Outcome | None:
    """The outcome, or None for anything that is not one in every respect."""
    try:
        claims = _TYPES.validate_python(dataclasses.asdict(protocol.load_outcome(data)))
    except (ValueError, TypeError, RecursionError, ValidationError):
        return None
    harmless = plausible(claims)
    return None if claims.result is not None and harmless.result is None else harmless
