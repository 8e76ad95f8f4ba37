"""Log lines: JSON for machines, plain for people; kopf's own chatter only from WARNING up.

Every JSON line that is written while a TaskRun is worked on names it: `namespace`, `taskRun`, `attempt`. The fields
come from a context (`about`), which threads and tasks inherit, so nobody has to pass them on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pythonjsonlogger.json import JsonFormatter

from podtask_operator.settings import Settings

JSON_FORMAT = "json"

_ABOUT: ContextVar[dict[str, str | int] | None] = ContextVar("about", default=None)


@contextmanager
def about(namespace: str, name: str, attempt: int = 0) -> Iterator[None]:
    """What is logged inside is about this TaskRun, and its `attempt` where there is one."""
    fields: dict[str, str | int] = {"namespace": namespace, "taskRun": name}
    token = _ABOUT.set({**fields, "attempt": attempt} if attempt else fields)
    try:
        yield
    finally:
        _ABOUT.reset(token)


class Context(logging.Filter):
    """Notes on each record what it is about; the JSON formatter prints what is noted."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: nothing is left out."""
        record.__dict__.update(_ABOUT.get() or {})
        return True


def configure(settings: Settings) -> None:
    """Set the root logger up, once."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(settings.log_format))
    handler.addFilter(Context())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for noisy in ("kopf", "asyncio", "botocore", "aiohttp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It warns at every start that signals are not its business in a thread: they are `__main__`'s.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)


def formatter(log_format: str) -> logging.Formatter:
    """One line per record: JSON, times in UTC as RFC 3339; or text for people."""
    if log_format != JSON_FORMAT:
        return logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    fields = {"levelname": "level", "name": "logger", "exc_info": "traceback"}
    return JsonFormatter("%(levelname)s %(name)s %(message)s", rename_fields=fields, timestamp="time")
