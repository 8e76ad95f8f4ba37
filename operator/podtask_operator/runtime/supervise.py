"""Parts of the process that end are started again: a watch that died must not end the operator, or leave it deaf."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

FIRST_BACKOFF = 1.0
LAST_BACKOFF = 30.0
HEALTHY_SECONDS = 60.0


def pause(failures: int, first: float, last: float) -> float:
    """Seconds to wait after so many failures in a row: twice as long each time, from `first` up to `last`."""
    return min(last, first * 2.0 ** min(failures - 1, 100))  # a float ends at 2 ** 1023


def spread(seconds: float) -> float:
    """Up to a fifth less or more, so that those who failed together do not come back together."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - nothing secret hangs on it


async def forever(
    name: str,
    serve: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
    *,
    once: bool = False,
    last: float = LAST_BACKOFF,
) -> None:
    """Run `serve` until `stop`, again and again with back-off up to `last`; with `once`, until it succeeds."""
    loop, failures = asyncio.get_running_loop(), 0
    while not stop.is_set():
        began = loop.time()
        try:
            await serve()
            if once or stop.is_set():
                return
            why = "ended"
        except Exception as error:  # noqa: BLE001 - whatever it was, the answer is to start it again
            why = f"failed: {type(error).__name__}: {error}"
        failures = 1 if loop.time() - began > HEALTHY_SECONDS else failures + 1
        wait = spread(pause(failures, FIRST_BACKOFF, last))
        log.warning("%s %s; again in %.1f s", name, why, wait)
        try:
            await asyncio.wait_for(stop.wait(), wait)
        except asyncio.TimeoutError:
            continue
