"""Checkpoints on this machine: files in the directory store, as long as their run is under way.

The grants are those of a pod, with paths for URLs, and `podtask_runner.attempt.checkpoint` reads and writes under them;
for `local` in the driver's own process. No later process knows the run, so its checkpoints go with its end. Used by:
`podtask.backends.local`, `podtask.backends.process`, `podtask.backends.in_process.controller`.
"""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from podtask_runner.attempt.checkpoint import Checkpoint

if TYPE_CHECKING:
    from podtask.backends.in_process.result_cache import ResultCache
    from podtask.model.task_run import TaskRun
    from podtask_runner import protocol
    from podtask_runner.storage.client import Store

log = logging.getLogger("podtask.backends")
_PATIENCE_SECONDS = 5.0
"""Of a folder that cannot be written now; it is no bucket that may be away for minutes."""


def grant(results: ResultCache, uid: str, attempt: int) -> protocol.Checkpoints:
    """What an attempt may save and load."""
    from podtask.core.storage import checkpoints

    folder = results.root / results.bucket.checkpoints(uid)
    keys = [path.relative_to(results.root).as_posix() for path in folder.glob("*/*")]
    saved = checkpoints.newest(keys, results.bucket, uid, attempt)
    return checkpoints.grant(results.bucket, uid, attempt, saved, results.signer, 0.0)


def checkpoint(results: ResultCache, uid: str, attempt: int) -> Checkpoint:
    """The same for code in this process; nothing is looked for or made before the task asks."""

    def store() -> Store:
        from podtask_runner.protocol import Code, Grants, Put, Slot
        from podtask_runner.storage.client import Store

        none, granted, patience = Slot(Put(""), ""), grant(results, uid, attempt), _PATIENCE_SECONDS
        only = Grants("", "", uid, attempt, Code(), none, none, none, store_timeout_seconds=patience)
        return Store(replace(only, checkpoints=granted))

    return Checkpoint(attempt, store)


def last(results: ResultCache, run: TaskRun) -> Any:
    """The newest value that any attempt of the run saved; None where there is none, or none that can be read."""
    if run.uid is None:
        return None
    try:
        return checkpoint(results, run.uid, run.status.attempts_total + 1).load()
    except Exception as error:  # noqa: BLE001 - unpickling may raise anything
        log.warning("What task run '%s' saved cannot be read: %s", run.name, error)
        return None


def forget(results: ResultCache, uid: str) -> None:
    """The run is over. What cannot be removed stays: it harms nobody."""
    folder = results.root / results.bucket.checkpoints(uid)
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # the results of the run are there
        folder.parent.rmdir()
