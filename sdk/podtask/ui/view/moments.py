"""Times as the page counts with them: seconds since the epoch. Pure.

A driver writes times into FlowRuns by its own clock and hand, so reading is lenient: what is no time is None.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone

from podtask.inspection.durations import short, span

LATEST = 253402300800.0
"""The year 10000, which no calendar of Python has."""
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")


def epoch(text: object) -> float | None:
    """Seconds since the epoch of a time as the API server writes it; any number of digits behind the point."""
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    zone = "+00:00" if match[3] == "Z" else match[3]
    try:
        seconds = datetime.fromisoformat(match[1] + zone).timestamp() + float(match[2] or 0)
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < LATEST else None


def utc(seconds: float) -> str:
    """`2026-01-02 03:04:05 UTC`."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def iso(seconds: float) -> str:
    """For the attribute `datetime` of the element `time`."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def ago(seconds: float, now: float) -> str:
    """`3m10s ago`; a clock that runs ahead does not make a future of it."""
    return f"{span(now - seconds)} ago"


def lasted(began: float | None, ended: float | None) -> str:
    """The time between two moments, with parts of a second where it is short; nothing where one of them is missing."""
    if began is None or ended is None:
        return ""
    return short(max(0.0, ended - began))
