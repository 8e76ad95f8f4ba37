"""The runner's answer, read as what it is: bytes that a user's code could have written itself.

From the termination message (`podstatus`) or the stored object `outcome` (observe). `podtask_runner.protocol` reads the
format; here types, digests and lengths are checked, because the status is made of these fields and a value
that the API server refuses, or that no arithmetic can use, would stop the run for ever.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import replace
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from podtask_runner import protocol

SHORT: Final = 1024
"""Characters of a type, a message, a cure: what the CRD allows for them in the status."""
LONG: Final = 8192
"""Characters of a traceback, of an inline value."""
LONGEST_DELAY: Final = 604800.0
"""Seconds; the bound of retryDelaySeconds holds for delays that a task computes, too."""

_TYPES: TypeAdapter[protocol.Outcome] = TypeAdapter(protocol.Outcome)
_DIGEST = re.compile(r"[0-9a-f]{64}")


def parse(data: bytes) -> protocol.Outcome | None:
    """The outcome, or None for anything that is not one in every respect."""
    try:
        said = protocol.load_outcome(data)
        said = _TYPES.validate_python(dataclasses.asdict(said))
    except (ValueError, TypeError, RecursionError, ValidationError):
        return None
    result, error = said.result, said.error
    if result is not None and not _is_result(result):
        return None
    if result is not None and result.uncached is not None:
        result = replace(result, uncached=result.uncached[:SHORT])
    if error is not None and error.digest is not None and not _DIGEST.fullmatch(error.digest):
        error = replace(error, digest=None, size=None)
    return replace(said, result=result, error=error and _short(error), timings=_usable(said.timings))


def _is_result(result: protocol.Result) -> bool:
    """True for a result that can be named in a status: a digest, a size, texts within their bounds."""
    texts = ((result.serializer, SHORT), (result.contentHash, SHORT), (result.value, LONG), (result.inline, LONG))
    bounded = all(text is None or len(text) <= limit for text, limit in texts)
    return bounded and bool(_DIGEST.fullmatch(result.digest)) and 0 <= result.size < 2**63


def _short(error: protocol.Error) -> protocol.Error:
    inline = error.inline if error.inline is None or len(error.inline) <= LONG else None
    size = error.size if error.size is not None and 0 <= error.size < 2**63 else None
    return replace(
        error,
        type=error.type[:SHORT],
        message=error.message[:SHORT],
        traceback=error.traceback and error.traceback[-LONG:],
        cure=error.cure and error.cure[:SHORT],
        inline=inline,
        size=size,
    )


def _usable(timings: Any) -> dict[str, float]:
    """Seconds one can calculate with: no NaN, nothing negative, nothing longer than a week of delay."""
    known = {name: value for name, value in timings.items() if math.isfinite(value) and value >= 0}
    if "delay" in known:
        known["delay"] = min(known["delay"], LONGEST_DELAY)
    return known
