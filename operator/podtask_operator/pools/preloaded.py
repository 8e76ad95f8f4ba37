"""The condition `Preloaded` of a WarmPool: whether its pods could import what `spec.preload` names. Pure.

    datagram of a waiting pod ──> `events.doorbell` ──> `warm_pods.stock` ──> here ──> status

A pod proves nothing by what it says, and nothing hangs on it: the text is for people. Of its words only printable ones
are shown, and no more than a few hundred characters. Where no datagram arrives, the condition stays as it is stored.
"""

from __future__ import annotations

from typing import Any, Final

from podtask.core.api.names import CONDITION_PRELOADED
from podtask.core.api.spec import plain
from podtask_operator.warm_pods.pool import WarmPool
from podtask_operator.warm_pods.stock import Imports

IMPORTED: Final = "Imported"
FAILED: Final = "ImportFailed"
WORDS: Final = 300
CURE: Final = (
    "The pods serve attempts all the same, which import what they need by themselves. Install it in the image, or make "
    "a WarmPool under another name without it."
)


def preloaded(pool: WarmPool, imports: Imports | None) -> dict[str, Any] | None:
    """The condition without its time; None where nobody has said anything yet, or nothing is preloaded."""
    names = pool.spec.preload
    if not names:
        return None
    if imports is None:
        held = next((each for each in pool.status.conditions if each.type == CONDITION_PRELOADED), None)
        return None if held is None else {**plain(held), "lastTransitionTime": None}
    failed = [names[number] for number in imports.failed if 0 <= number < len(names)]
    if not failed:
        return _condition("True", IMPORTED, f"A waiting pod has imported {', '.join(names)}.")
    why = "".join(character if character.isprintable() else " " for character in imports.why[:WORDS]).strip()
    text = f"A waiting pod could not import {', '.join(failed)}: {why.rstrip('.') or 'it does not say why'}. {CURE}"
    return _condition("False", FAILED, text)


def _condition(status: str, reason: str, message: str) -> dict[str, Any]:
    return {"type": CONDITION_PRELOADED, "status": status, "reason": reason, "message": message}
