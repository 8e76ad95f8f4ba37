"""The status of a WarmPool: how many wait, which ones, and why there are not more. Pure."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Final

from podtask.core.api.names import CONDITION_READY, LABEL_POOL, LABEL_POOL_STATE, POOL_IDLE, Reason
from podtask.core.api.spec import plain
from podtask.core.api.warm_pool import IdlePod, WarmPoolStatus
from podtask.core.lifecycle.model import Why
from podtask_operator.pools.preloaded import preloaded
from podtask_operator.warm_pods.pool import WarmPool
from podtask_operator.warm_pods.stock import ClaimTally, Imports

STARTING: Final = Why(Reason.SCHEDULING, "Pods are being scheduled and started.")
FULL: Final = "Full"


def report(
    pool: WarmPool, pods: list[IdlePod], ready: int, tally: ClaimTally, why: Why, imports: Imports | None, now: datetime
) -> dict[str, Any] | None:
    """The fields to merge into the stored status; None where it says the same already."""
    full = ready >= pool.spec.size and why.reason is not Reason.INVALID_SPEC
    text = f"{ready} of {pool.spec.size} pods wait."
    filled = {
        "type": CONDITION_READY,
        "status": "True" if full else "False",
        "reason": FULL if full else str(why.reason),
        "message": text if full else " ".join(part for part in (text, why.message, why.cure) if part),
    }
    conditions = [_dated(each, pool, now) for each in (filled, preloaded(pool, imports)) if each is not None]
    wanted = {
        "ready": ready,
        "claimed": pool.status.claimed + tally.claimed,
        "missed": pool.status.missed + tally.missed,
        "selector": f"{LABEL_POOL}={pool.key.name},{LABEL_POOL_STATE}={POOL_IDLE}",
        "pods": [plain(pod) for pod in sorted(pods, key=lambda pod: pod.name)],
        "conditions": conditions,
    }
    same = WarmPoolStatus.model_validate(wanted) == pool.status
    return None if same else wanted


def _dated(condition: dict[str, Any], pool: WarmPool, now: datetime) -> dict[str, Any]:
    """With the time at which its status last changed."""
    held = next((each for each in pool.status.conditions if each.type == condition["type"]), None)
    since = now if held is None or held.status != condition["status"] else held.last_transition_time
    dated = f"{since.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S.%f}Z"
    return {**condition, "message": condition["message"][:1024], "lastTransitionTime": dated}
