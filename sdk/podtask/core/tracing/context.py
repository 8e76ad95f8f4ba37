"""W3C trace context, and ids that follow from the UID of a TaskRun. Pure: standard library only.

An id that follows from UID and attempt is known to everybody who knows these: the operator tells a pod its parent span
before that span is written, a restarted operator tells the same, and a span that is exported twice is one span.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

LENGTH: Final = 55
"""Characters of a `traceparent` of version 00."""
_FORM: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED: Final = 1


@dataclass(frozen=True, slots=True)
class TraceContext:
    """One span as others name it."""

    trace_id: int
    span_id: int
    sampled: bool = True

    @property
    def traceparent(self) -> str:
        """As the header, the annotation and the environment variable of that name carry it."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.sampled):02x}"


def read(traceparent: Any) -> TraceContext | None:
    """The context in a `traceparent`, which anybody may have written; None for everything that is none."""
    if not isinstance(traceparent, str) or len(traceparent) != LENGTH:
        return None
    parts = _FORM.fullmatch(traceparent)
    if parts is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in parts.groups())
    return TraceContext(trace_id, span_id, bool(flags & _SAMPLED)) if trace_id and span_id else None


def trace_id_of(uid: str) -> int:
    """The trace of a TaskRun that belongs to no other."""
    return _id(uid, "trace", 16)


def span_id_of(uid: str, part: str) -> int:
    """The id of one span of a TaskRun; `part` says which."""
    return _id(uid, part, 8)


def attempt_part(number: int) -> str:
    """The `part` of an attempt."""
    return f"attempt/{number}"


def of_attempt(uid: str, trace_id: int, number: int, *, sampled: bool) -> TraceContext:
    """The span of an attempt, before it is written."""
    return TraceContext(trace_id, span_id_of(uid, attempt_part(number)), sampled)


def inside_attempt(uid: str, number: int, traceparent: str | None) -> str | None:
    """What the code of an attempt is told, where whoever decides about it writes its spans; None: nobody traces."""
    parent = read(traceparent)
    return None if parent is None else of_attempt(uid, parent.trace_id, number, sampled=parent.sampled).traceparent


def _id(uid: str, part: str, size: int) -> int:
    digest = hashlib.sha256(f"podtask\0{part}\0{uid}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:size], "big") or 1  # 0 is no id
