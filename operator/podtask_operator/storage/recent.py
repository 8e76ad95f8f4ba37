"""The last runs of each task that stored a cache entry: what a miss is explained with, also after a restart.

One small object per task, read at the first miss of the task that this process sees, kept in memory from then on and
written with each new entry; a hit reads and writes nothing of it. It serves people only: whatever fails here is
no reason to stop. Blocking, called in threads by: `objects`. The sentences: `podtask.core.cache.explain`.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from typing import Final

from podtask.core.cache.entry import POINTER_LIMIT
from podtask.core.cache.explain import Compared, Earlier, dump_recent, load_recent, remember, why_missed
from podtask.core.storage import NotStored, Store
from podtask.core.storage.base import StoreError
from podtask.core.storage.layout import Bucket
from podtask_operator.task_runs.cache_key import Composed

log = logging.getLogger(__name__)
TASKS_HELD: Final = 1000
"""Tasks whose runs are kept in memory; those of others are read again."""


class Recent:
    """Of one bucket, all namespaces."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: OrderedDict[str, tuple[Earlier, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def why_missed(self, bucket: Bucket, composed: Composed) -> Compared | None:
        """What differs from the nearest earlier run of the task; None where nothing is known."""
        if composed.components is None:
            return None
        return why_missed(composed.components, self._of(bucket.recent(composed.task)))

    def add(self, bucket: Bucket, composed: Composed, task_run: str) -> None:
        """The run stored an entry."""
        if composed.components is None:
            return
        key = bucket.recent(composed.task)
        runs = remember(Earlier(task_run, composed.components), self._of(key))
        self._hold(key, runs)
        try:
            self._store.put(key, dump_recent(runs))
        except StoreError as error:
            log.warning("later misses may not be compared with %s: %s", task_run, error)

    def _of(self, key: str) -> tuple[Earlier, ...]:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        try:
            runs = load_recent(self._store.get(key, limit=POINTER_LIMIT + 1))
        except NotStored:
            runs = ()
        except StoreError as error:
            log.warning("a cache miss cannot be explained: %s", error)
            return ()
        self._hold(key, runs)
        return runs

    def _hold(self, key: str, runs: tuple[Earlier, ...]) -> None:
        with self._lock:
            self._held[key] = runs
            self._held.move_to_end(key)
            if len(self._held) > TASKS_HELD:
                self._held.popitem(last=False)
