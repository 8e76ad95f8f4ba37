"""A digest of the fields of a spec that have no schema of their own: `parameters` and `podTemplate`. Pure.

The API server refuses a change of any field; of these two it does so by a comparison that newer servers or an older CRD
may make differently (with an open object, a renamed key counts as no change). So the digest is written with the record
of the first attempt, and no later attempt starts where the live spec has another one: it would run other parameters and
store its result under the key of the first ones.

Only these two: a digest of the whole spec would change with every default of a newer CRD.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from podtask.core.api.spec import TaskRunSpec

PREFIX: Final = "d1:"
"""Version of the form. What begins otherwise was written by another operator and is not compared."""


def digest(spec: TaskRunSpec) -> str:
    """`d1:` and a sha256 of both as canonical JSON; absent and null are one."""
    text = json.dumps([spec.parameters, spec.pod_template], sort_keys=True, separators=(",", ":"))
    return PREFIX + hashlib.sha256(text.encode()).hexdigest()


def changed(recorded: str | None, spec: TaskRunSpec) -> bool:
    """True where the digest in the status is one of ours and not that of this spec."""
    return recorded is not None and recorded.startswith(PREFIX) and recorded != digest(spec)
