"""Definitions that the calls of one task share: written once beside the code, and only named by the arguments.

    arguments ── (lent, identity) ──> here <── definitions, opened with the code    in a pod
                                      here <── whatever was lent                    in the driver

A map over ten thousand objects of a class of the script names the class ten thousand times and carries it once. Written
by `podtask.payloads.arguments`; opened by `podtask_runner.pickled_names`.
"""

from __future__ import annotations

import io
import pickle
import weakref
from typing import Final

from podtask_runner.script import identity
from podtask_runner.script.definitions import OPENER

_lent: Final[weakref.WeakValueDictionary[identity.Identity, object]] = weakref.WeakValueDictionary()
_kept: Final[list[object]] = []
"""What was opened here; nothing else may hold it before the arguments do."""


class Lender:
    """Notes what one pickle of arguments only names."""

    def __init__(self) -> None:
        self.objects: dict[identity.Identity, object] = {}

    def lends(self, obj: object, who: identity.Identity) -> bool:
        """Whether the object is named. What has no identity that leads back to it is not."""
        if not who.path:
            return False
        self.objects[who] = obj
        _lent[who] = obj
        return True

    def definitions(self) -> list[tuple[tuple[str, ...], object]]:
        """To be pickled beside the code."""
        return [(tuple(who), obj) for who, obj in self.objects.items()]


def opened(payload: bytes) -> None:
    """From now on arguments that name these definitions can be opened here.

    Their header is that of the code around them, which was checked.
    """
    stream = io.BytesIO(payload)
    stream.readline()
    for who, obj in OPENER.get()(stream).load():
        _kept.append(obj)
        _lent.setdefault(identity.Identity(*who), obj)


def get(who: identity.Identity) -> object:
    """What an argument names."""
    found = _lent.get(who)
    if found is None:
        found = identity.find(who)
    if found is None:
        raise pickle.UnpicklingError(
            f"the arguments name {who.path!r} of {who.module!r}, whose definition travels with the code of the task"
        )
    return found
