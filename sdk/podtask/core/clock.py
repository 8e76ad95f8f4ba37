"""The one place that reads the wall clock. Only entry points call it; below them `now` is a parameter."""

from __future__ import annotations

from datetime import datetime, timezone


def now() -> datetime:
    """The current time in UTC, with microseconds."""
    return datetime.now(timezone.utc)  # noqa: TID251 - this is that one place
