"""When may it try again? Delays are computed from recorded times, never slept. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone

from podtask.core.lifecycle.model import Policy

LONGEST = timedelta(days=3650)
"""No delay is longer: a task computes its own, and a number too big for a time must not stop the run."""
_END_OF_TIME = datetime.max.replace(tzinfo=timezone.utc) - timedelta(days=1)


def user_delay(policy: Policy, retry: int, uid: str, own: float | None = None) -> timedelta:
    """Delay before user retry number `retry` (from 1).

    `spec.retryDelaySeconds[retry-1]`, the last one repeating, unless the task computed its `own`; then jitter,
    which only ever makes it longer and is the same for the same run and retry, so a restart changes nothing.
    """
    delays = policy.retry_delays
    seconds = own if own is not None else delays[min(retry, len(delays)) - 1] if delays else 0.0
    jittered = max(0.0, seconds) * (1 + policy.retry_jitter * _share(f"{uid}/{retry}"))
    return timedelta(seconds=min(jittered, LONGEST.total_seconds()))


def disruption_delay(used: int) -> timedelta:
    """Delay before the re-creation after disruption number `used` (from 1): 0, 1, 3, 7 … at most 60 s."""
    return timedelta(seconds=min(60, 2 ** (min(used, 10) - 1) - 1))


def later(moment: datetime, seconds: float) -> datetime:
    """`moment` and so many seconds; far beyond anybody's life, simply the end of time instead of an overflow."""
    left = (_END_OF_TIME - moment).total_seconds()
    return moment + timedelta(seconds=seconds) if seconds < left else _END_OF_TIME


def _share(text: str) -> float:
    """A number in [0, 1), the same for the same text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48
