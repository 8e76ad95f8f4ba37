"""When may it try again? Delays are computed from recorded times, never slept. Pure."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from podtask.core.lifecycle.model import Policy


def user_delay(policy: Policy, retry: int, uid: str, own: float | None = None) -> timedelta:
    """Delay before user retry number `retry` (from 1).

    `spec.retryDelaySeconds[retry-1]`, the last one repeating, unless the task computed its `own`; then jitter,
    which only ever makes it longer and is the same for the same run and retry, so a restart changes nothing.
    """
    delays = policy.retry_delays
    seconds = own if own is not None else delays[min(retry, len(delays)) - 1] if delays else 0.0
    return timedelta(seconds=max(0.0, seconds) * (1 + policy.retry_jitter * _share(f"{uid}/{retry}")))


def disruption_delay(used: int) -> timedelta:
    """Delay before the re-creation after disruption number `used` (from 1): 0, 1, 3, 7 … at most 60 s."""
    return timedelta(seconds=min(60, 2 ** (min(used, 10) - 1) - 1))


def _share(text: str) -> float:
    """A number in [0, 1), the same for the same text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48
