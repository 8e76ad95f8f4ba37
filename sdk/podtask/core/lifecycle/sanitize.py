"""What a pod claims about its own end, made harmless. Pure.

Termination messages and stored outcomes are written by whoever runs in the pod: nothing in them may make a decision
raise, or make a status that the API server refuses, because then the run would never end. Here are all bounds of it.
Asked by: `judge` and `transitions` for every backend, and by the operator where it reads what a pod wrote
(`podtask_operator.pods.outcome`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from podtask.core.api.status import MESSAGE_LIMIT, PAYLOAD_LIMIT, WORD_LIMIT
from podtask.core.storage.layout import checked_digest
from podtask_runner.protocol import Error, Outcome, Result

LONGEST_DELAY: Final = 604800.0
"""Seconds; the bound of retryDelaySeconds holds for delays that a task computes, too."""
_CENTURIES: Final = 1e10
"""Seconds; compared before anything is converted, because JSON has integers that no float can hold."""


def plausible(outcome: Outcome) -> Outcome:
    """The outcome with everything left out that cannot be so, and every text short enough for a status."""
    return replace(outcome, result=_result(outcome.result), error=_error(outcome.error), timings=timings(outcome))


def timings(outcome: Outcome) -> dict[str, float]:
    """Seconds of a phase, or before the retry (`delay`), that one can calculate with: no NaN, nothing negative."""
    claims: Any = outcome.timings
    if not isinstance(claims, Mapping):
        return {}
    seconds = {
        str(name): float(min(value, _CENTURIES))
        for name, value in claims.items()
        if type(value) in (int, float) and value >= 0 and value != math.inf
    }
    if "delay" in seconds:
        seconds["delay"] = min(seconds["delay"], LONGEST_DELAY)
    return seconds


def _result(result: Result | None) -> Result | None:
    """The result, if its digest, size and serializer are what they should be."""
    if result is None or not _is_digest(result.digest) or not _is_size(result.size):
        return None
    if not isinstance(result.serializer, str) or len(result.serializer) > WORD_LIMIT:
        return None
    return replace(
        result,
        contentHash=_fits(result.contentHash, WORD_LIMIT),
        value=_fits(result.value, PAYLOAD_LIMIT),
        inline=_fits(result.inline, PAYLOAD_LIMIT),
        uncached=None if result.uncached is None else str(result.uncached)[:MESSAGE_LIMIT],
    )


def _error(error: Error | None) -> Error | None:
    if error is None:
        return None
    traceback, named = error.traceback, error.digest is None or _is_digest(error.digest)
    return Error(
        type=str(error.type)[:WORD_LIMIT],
        message=str(error.message)[:MESSAGE_LIMIT],
        traceback=traceback[-PAYLOAD_LIMIT:] if isinstance(traceback, str) else None,
        digest=error.digest if named else None,
        size=error.size if named and _is_size(error.size) else None,
        inline=_fits(error.inline, PAYLOAD_LIMIT),
        retryable=error.retryable is not False,
        cure=error.cure[:MESSAGE_LIMIT] if isinstance(error.cure, str) else None,
    )


def _is_digest(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(checked_digest(text))
    except ValueError:
        return False


def _is_size(size: Any) -> bool:
    return type(size) is int and 0 <= size < 2**63


def _fits(text: Any, limit: int) -> str | None:
    return text if isinstance(text, str) and len(text) <= limit else None
