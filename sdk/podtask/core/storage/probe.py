"""Does this store keep its word on `put(..., if_absent=True)`? Asked once, at start-up, and by `podtask doctor`.

Some servers ignore `If-None-Match` and replace the object, some check first and write later. Conditional
writes are a second fence (keys carry the attempt, the status names the winner), so the answer is a warning, not an end.
"""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Literal

from podtask.core.storage.base import AlreadyStored, Store, StoreUnavailable

Answer = Literal["atomic", "racy", "none"]


def probe_conditional_writes(store: Store, prefix: str, *, rounds: int = 8, writers: int = 16) -> Answer:
    """`none`: a second write replaces the first. `racy`: of many at once several won. `atomic`: always exactly one.

    Writes `rounds + 1` small objects below `prefix` and removes them. Raises `StoreUnavailable`. A race that was
    not lost proves little, so "atomic" means: not caught in `rounds` tries.
    """
    base = f"{prefix.rstrip('/')}/{secrets.token_hex(8)}".lstrip("/")
    keys = [f"{base}-{number}" for number in range(rounds + 1)]
    try:
        if not _second_is_refused(store, keys[0]):
            return "none"
        with ThreadPoolExecutor(writers, thread_name_prefix="podtask-probe") as pool:
            return "atomic" if all(_one_wins(store, key, pool, writers) for key in keys[1:]) else "racy"
    finally:
        for key in keys:
            with suppress(StoreUnavailable):  # the answer counts; what is left over is a few bytes under a random name
                store.delete(key)


def _second_is_refused(store: Store, key: str) -> bool:
    try:
        store.put(key, b"first", if_absent=True)
        store.put(key, b"second", if_absent=True)
    except AlreadyStored:
        return store.get(key) == b"first"
    except StoreUnavailable as error:
        if error.code == "NotImplemented":
            return False
        raise
    return False


def _one_wins(store: Store, key: str, pool: ThreadPoolExecutor, writers: int) -> bool:
    start = threading.Barrier(writers)

    def write(data: bytes) -> bytes | None:
        start.wait()
        try:
            store.put(key, data, if_absent=True)
        except AlreadyStored:
            return None
        return data

    answers = pool.map(write, [f"writer {number}".encode() * 64 for number in range(writers)])
    winners = [answer for answer in answers if answer is not None]
    return len(winners) == 1 and store.get(key) == winners[0]
