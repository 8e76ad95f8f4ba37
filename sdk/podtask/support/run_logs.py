"""Run logs are visible without any set-up: on stderr, unless the application configured logging itself.

Installed by the first flow run, never at import. Once the root logger has handlers, ours stays silent.
"""

from __future__ import annotations

import logging
import sys

_NAME = "podtask"


class _DefaultHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if logging.getLogger().handlers:
            return
        try:
            sys.stderr.write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 - as logging does: a broken stderr must not break the run
            self.handleError(record)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        who = getattr(record, "task_run_name", None) or getattr(record, "flow_run_name", None) or record.name
        record.who = who
        return super().format(record)


def show_by_default() -> None:
    """Make `podtask` loggers speak from INFO upwards, where nobody else decided."""
    logger = logging.getLogger(_NAME)
    if logger.handlers or logger.level != logging.NOTSET:
        return
    handler = _DefaultHandler()
    handler.setFormatter(_Formatter("%(asctime)s | %(levelname)-7s | %(who)s | %(message)s", "%H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
