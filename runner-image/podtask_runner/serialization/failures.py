"""The exception that stands for an upstream which failed and may: what `allow_failure(future)` gives.

Where the task failed, its own exception as it was raised. Otherwise one of `podtask.errors` with a sentence: the same
on every backend. Asked by: `podtask_runner.attempt.loading` in a pod, and the SDK for tasks of its own process.
"""

from __future__ import annotations

import importlib
import os
from typing import Any, Final

from podtask_runner import pickled_names
from podtask_runner.protocol import Failure
from podtask_runner.serialization.exceptions import carried
from podtask_runner.storage.spool import Buffer

_FAILED: Final = "Failed"
_CRASHED: Final = "Crashed"
_KINDS: Final = {
    _FAILED: "RemoteError",
    _CRASHED: "TaskCrashed",
    "TimedOut": "TaskTimedOut",
    "Cancelled": "TaskCancelled",
    "NotReady": "UpstreamNotReady",
}


def exception_of(failure: Failure, stored: Buffer | os.PathLike[str] | None) -> BaseException:
    """`stored`: the verified, pickled exception; None where there is none. Nothing is raised."""
    own = None if stored is None else _opened(stored)
    if own is not None and failure.state == _FAILED:
        return pickled_names.failed(own)
    error: BaseException = _kind(_KINDS.get(failure.state, "RunError"))(failure.text)
    error.__cause__ = own
    return pickled_names.failed(error)


class Marked:
    """An exception that `exception_of` gave, on its way to a batch: it is marked there as well."""

    def __init__(self, exc: BaseException) -> None:
        self._content = carried(exc)

    def __reduce__(self) -> tuple[Any, ...]:
        return pickled_names.failed, (self._content,)


def _opened(stored: Buffer | os.PathLike[str]) -> BaseException | None:
    from podtask_runner.serialization.pickling import loads

    try:
        found = loads(stored)
    except Exception:  # noqa: BLE001 - its class may need what is not here; then its words are told
        return None
    if isinstance(found, pickled_names.RemoteError):
        stand_in: BaseException = _kind("RemoteError")(str(found))
        return pickled_names.exception(
            stand_in,
            getattr(found, "__podtask_traceback__", ""),
            list(getattr(found, "__notes__", ())),
            found.__suppress_context__,
            found.__cause__,
            found.__context__,
        )
    return found if isinstance(found, BaseException) else None


def _kind(name: str) -> Any:
    """A class of `podtask.errors`: the SDK is where tasks run, and the runner itself does not stand on it."""
    try:
        return getattr(importlib.import_module("podtask.errors"), name)
    except ImportError:
        return Exception
