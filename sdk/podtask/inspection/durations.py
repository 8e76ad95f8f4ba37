"""Durations and ages as kubectl writes them. Pure."""

from __future__ import annotations

from datetime import datetime

NONE = "<none>"


def age(since: datetime | None, now: datetime) -> str:
    """How long ago, as kubectl writes ages (k8s.io/apimachinery, duration.HumanDuration)."""
    return NONE if since is None else span((now - since).total_seconds())


def span(seconds: float) -> str:
    """`45s`, `3m10s`, `25m`, `2h5m`, `17h`, `3d4h`, `20d`, `2y30d`."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 8 * 365 else f"{days // 365}y"


def short(seconds: float) -> str:
    """As `span`, and of what is short the parts of a second: `40ms`, `2.5s`."""
    if seconds <= 0 or seconds >= 10 or seconds == int(seconds):
        return span(seconds)
    if seconds < 0.0995:
        return f"{max(1, round(seconds * 1000))}ms"
    return f"{seconds:.1f}s".replace(".0s", "s")


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large}{unit}{small}{smaller}" if small else f"{large}{unit}"
