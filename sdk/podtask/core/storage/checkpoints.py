"""Which checkpoints an attempt may write and read: its grant, made of the keys that are there.

Few objects in any case: each attempt has `SLOTS`, and of earlier ones the newest are granted. Used by the operator
(`podtask_operator.storage.grants`) and the backends of this machine (`podtask.backends.in_process.progress`). What is
inside of an object is the task's own: nobody here opens one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from podtask.core.storage.base import Signer
from podtask.core.storage.layout import Bucket
from podtask_runner.protocol import Checkpoints, SavedCheckpoint, Slot

SLOTS: Final = 2
"""Objects of one attempt, so that the one before is whole while one is written."""
ATTEMPTS: Final = 2
"""Earlier attempts whose checkpoints are granted, of those that saved any: the second for the case that everything of
the first is damaged."""

Place = tuple[int, int]
"""Attempt and slot."""

_PLACE: Final = re.compile(r"([1-9][0-9]{0,8})/([0-9])")


def newest(keys: Iterable[str], bucket: Bucket, uid: str, attempt: int) -> list[Place]:
    """Where attempts before this one have saved something, the newest attempts only and first."""
    folder = bucket.checkpoints(uid)
    matches = (_PLACE.fullmatch(key.removeprefix(folder)) for key in keys)
    places = {(int(match[1]), int(match[2])) for match in matches if match}
    earlier = {place for place in places if place[0] < attempt and place[1] < SLOTS}
    attempts = sorted({number for number, _ in earlier}, reverse=True)[:ATTEMPTS]
    return sorted((place for place in earlier if place[0] in attempts), reverse=True)


def grant(
    bucket: Bucket, uid: str, attempt: int, saved: Iterable[Place], signer: Signer, seconds: float
) -> Checkpoints:
    """What the attempt may do; `saved` is of `newest`."""
    own = [bucket.checkpoint(uid, attempt, slot) for slot in range(SLOTS)]
    return Checkpoints(
        tuple(Slot(signer.sign_put(key, seconds, once=False), signer.sign_get(key, seconds)) for key in own),
        tuple(
            SavedCheckpoint(number, slot, signer.sign_get(bucket.checkpoint(uid, number, slot), seconds))
            for number, slot in saved
        ),
    )
