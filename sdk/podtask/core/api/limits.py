"""The bounds of a TaskRun that an option of the SDK can meet: the numbers of the CRD, and the sentences about them.

The same call is refused on every backend and with the same words, so that what ran on a laptop is not refused by the
cluster. Read by: `podtask.core.api.spec` (the schema), `podtask.options`, `podtask.context`. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

RETRIES_LIMIT = 100
"""Also of the list of delays."""
DISRUPTIONS_LIMIT = 1000
DELAY_LIMIT = 7 * 24 * 3600
JITTER_LIMIT = 10
TIMEOUT_LIMIT = 30 * 24 * 3600
DEADLINE_LIMIT = 365 * 24 * 3600
TAG_LIMIT = 63
"""Characters."""
TAGS_LIMIT = 32
KEY_LIMIT = 1024
"""Characters of a cache key."""

UPSTREAMS_LIMIT = 1000
"""Also of `wait_for`."""
FILES_LIMIT = 256
IMAGE_LIMIT = 1024
NAME_LIMIT = 253
"""Characters of the name of an object, and of an environment variable."""
ENV_LIMIT = 64
ENV_VALUE_LIMIT = 32768
SELECTOR_LIMIT = 32
LABEL_LIMIT = 63
"""Characters of the value of a label, and of a taint."""
TOLERATIONS_LIMIT = 32
TAINT_LIMITS = {"key": 316, "operator": 16, "value": LABEL_LIMIT, "effect": 32}
RESOURCES_LIMIT = 16
CLIENT_LIMIT = 16
CLIENT_VALUE_LIMIT = 1024
"""Characters."""


def few(what: str, count: int, most: int, cure: str = "") -> None:
    """Raises `ValueError` where there are more than `most`."""
    if count > most:
        raise ValueError(f"there may be at most {most} {what}, not {count}{cure and '; '}{cure}")


def short(what: str, value: object, most: int, cure: str = "") -> None:
    """Raises `ValueError` where the value has more than `most` characters as text."""
    if len(str(value)) > most:
        raise ValueError(f"{what} may have at most {most} characters, not {len(str(value))}{cure and '; '}{cure}")


def text(what: str, value: object) -> None:
    """Raises `ValueError` unless the value is text that can be stored; None stands for a default."""
    if value is not None and (not isinstance(value, str) or not _encodable(value)):
        raise ValueError(f"{what} must be text that UTF-8 can carry, not {value!r}")


def tags(words: Iterable[Any] | None) -> frozenset[str]:
    """The tags of one task run. Raises `TypeError` and `ValueError` that name the tag."""
    if isinstance(words, str):
        raise TypeError(f"tags must be several strings, such as {{{words!r}}}, not one string")
    found = frozenset(words or ())
    for tag in found:
        if not isinstance(tag, str):
            raise TypeError(f"a tag must be a string, not {tag!r}")
        if len(tag) > TAG_LIMIT:
            raise ValueError(f"a tag may have at most {TAG_LIMIT} characters; {tag!r} has {len(tag)}")
        if not _encodable(tag):
            raise ValueError(f"a tag must be text that UTF-8 can carry, not {tag!r}")
    if len(found) > TAGS_LIMIT:
        raise ValueError(
            f"a task run may have at most {TAGS_LIMIT} tags, those of `tags(...)` around the call included; "
            f"there are {len(found)}"
        )
    return found


def whole(name: str, value: Any, most: int) -> None:
    """Raises `ValueError` unless the value is a whole number from 0 to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 0 to {most}, not {value!r}")


def batch_size(value: Any) -> None:
    """Raises `ValueError` unless the value is a whole number from 1, or None."""
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ValueError(f"batch_size must be a whole number, 1 or more, not {value!r}")


def number(name: str, value: Any, *, most: float, positive: bool = False) -> None:
    """Raises `ValueError` unless the value is a number from 0 (`positive`: above 0) to `most`."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and 0 <= value <= most and not (positive and value == 0):  # NaN is in no range
        return
    least = "greater than 0" if positive else "0 or more"
    days = f" ({most / 86400:g} days)" if most >= 86400 else ""
    raise ValueError(f"{name} must be a number, {least} and at most {most:g}{days}, not {value!r}")


def expiration(value: Any) -> timedelta | None:
    """`cache_expiration` as a timedelta; a number stands for seconds. Raises `ValueError`."""
    if value is None or isinstance(value, timedelta):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return timedelta(seconds=value)
        except (OverflowError, ValueError):  # infinity, NaN, more than timedelta has
            pass
    raise ValueError(
        f"cache_expiration must be a timedelta, a number of seconds, or None for ever, not {value!r}; "
        f"write cache_expiration=timedelta(hours=1)"
    )


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
