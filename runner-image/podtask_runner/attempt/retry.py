"""Whether the task itself wants another attempt, and how long to wait before it: its own functions are asked here.

They run where the task ran, after it failed and while a retry is left. One that fails, or answers nonsense, ends the
run, and the outcome says so. Asked by `podtask_runner.attempt.execute`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, Protocol

from podtask_runner.pickled_names import Shipped

LONGEST_REASON: Final = 300
"""Characters of what such a function raised; it may be a whole web page."""


class RetryBudget(Protocol):
    """The part of `Grants` that says whether a retry condition is asked at all."""

    @property
    def retries_left(self) -> int:
        """User attempts after this one."""
        ...

    @property
    def retries_used(self) -> int:
        """User attempts before this one."""
        ...


def asked(shipped: Shipped, error: BaseException, attempt: int) -> tuple[bool, float | None, str | None]:
    """Whether to retry; the delay in seconds where the task computes its own; why not, where its functions failed."""
    of_batch: tuple[bool, float | None, str | None] | None = getattr(error, "__podtask_batch_retry__", None)
    if of_batch is not None:  # its items were asked about one by one
        return of_batch
    if getattr(error, "__podtask_never_retried__", False):
        return False, None, None
    option = "retry_condition_fn"
    try:
        if shipped.retry_condition is not None and not _answer(shipped.retry_condition, error, attempt):
            return False, None, None
        option = "retry_delay_seconds"
        return True, None if shipped.retry_delay is None else _seconds(shipped.retry_delay, error, attempt), None
    except (Exception, SystemExit) as inner:  # noqa: BLE001 - the user's own functions may fail
        return False, None, _sentence(option, inner)


def _answer(ask: Callable[[BaseException, int], Any], error: BaseException, attempt: int) -> Any:
    import inspect

    answer = ask(error, attempt)
    if inspect.iscoroutine(answer):
        answer.close()
        raise TypeError("it is async, and must be a plain function")
    return answer


def _seconds(ask: Callable[[BaseException, int], Any], error: BaseException, attempt: int) -> float | None:
    delay = _answer(ask, error, attempt)
    if delay is None:
        return None
    seconds = float(delay)
    if not math.isfinite(seconds):
        raise ValueError(f"it answered {delay!r} seconds")
    return max(0.0, seconds)


def _sentence(option: str, inner: BaseException) -> str:
    from podtask_runner.serialization.exceptions import message_of

    words = message_of(inner).encode("utf-8", "backslashreplace").decode()
    if len(words) > LONGEST_REASON:
        words = f"{words[:LONGEST_REASON]}…"
    how = " It is called with two arguments: (exception, attempt)." if isinstance(inner, TypeError) else ""
    return f"Not retried: {option} of the task raised {type(inner).__name__[:100]}: {words}.{how}"
