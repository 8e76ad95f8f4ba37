"""Log lines: JSON for machines, plain for people; kopf's own chatter only from WARNING up."""

from __future__ import annotations

import logging

from pythonjsonlogger.json import JsonFormatter

from podtask_operator.settings import Settings

JSON_FORMAT = "json"


def configure(settings: Settings) -> None:
    """Set the root logger up, once."""
    handler = logging.StreamHandler()
    if settings.log_format == JSON_FORMAT:
        fields = {"asctime": "time", "levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=fields))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for noisy in ("kopf", "asyncio", "botocore", "aiohttp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It warns at every start that signals are not its business in a thread: they are `__main__`'s.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
