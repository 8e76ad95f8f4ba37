"""What a run that has ended saved of its progress: the newest checkpoint in the bucket, opened in the driver.

For a batch that ended otherwise than by its own word (`podtask.engine.batches`). Used by: `backend`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from podtask_runner.attempt.checkpoint_object import opened

if TYPE_CHECKING:
    from podtask.kube.bucket_access import BucketAccess
    from podtask.model.task_run import TaskRun

log = logging.getLogger("podtask.backends")


def last(access: BucketAccess, run: TaskRun, uid: str | None) -> Any:
    """None where nothing was saved, and where it cannot be read from here; the log says why not."""
    from podtask.core.storage import checkpoints

    if uid is None:
        return None
    try:
        store, bucket = access.open(f"What task run '{run.name}' saved is in the cluster's bucket", "map it again")
        keys = [found.key for found in store.list(bucket.checkpoints(uid))]
        places = checkpoints.newest(keys, bucket, uid, run.status.attempts_total + 1)
        for attempt in sorted({number for number, _ in places}, reverse=True):
            saved = [opened(store.get(bucket.checkpoint(uid, *place))) for place in places if place[0] == attempt]
            whole = [one for one in saved if one is not None]
            if whole:
                return max(whole, key=lambda one: one[0])[1]()
    except Exception as error:  # noqa: BLE001 - a bucket may refuse, and unpickling may raise anything
        log.warning("What task run '%s' saved cannot be read: %s", run.name, error)
    return None
