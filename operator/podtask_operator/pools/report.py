"""The status of a WarmPool: how many wait, which ones, and why there are not more. Pure."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Final

from podtask.core.api.names import CONDITION_READY, LABEL_POOL, LABEL_POOL_STATE, POOL_IDLE, Reason
from podtask.core.api.spec import plain
from podtask.core.api.warm_pool import IdlePod, WarmPoolStatus
from podtask.core.lifecycle.model import Why
from podtask_operator.warm_pods.pool import WarmPool
from podtask_operator.warm_pods.stock import Tally

STARTING: Final = Why(Reason.SCHEDULING, "Pods are being scheduled and started.")
FULL: Final = "Full"


def report(
    pool: WarmPool, pods: list[IdlePod], ready: int, tally: Tally, why: Why, now: datetime
) -> dict[str, Any] | None:
    """The fields to merge into the stored status; None where it says the same already."""
    full = ready >= pool.spec.size and why.reason is not Reason.INVALID_SPEC
    held = next((one for one in pool.status.conditions if one.type == CONDITION_READY), None)
    status = "True" if full else "False"
    moved = held is None or held.status != status
    since = now if moved or held is None else held.last_transition_time
    text = f"{ready} of {pool.spec.size} pods wait."
    condition = {
        "type": CONDITION_READY,
        "status": status,
        "reason": FULL if full else str(why.reason),
        "message": text if full else " ".join(part for part in (text, why.message, why.cure) if part)[:1024],
        "lastTransitionTime": f"{since.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S.%f}Z",
    }
    wanted = {
        "ready": ready,
        "claimed": pool.status.claimed + tally.claimed,
        "missed": pool.status.missed + tally.missed,
        "selector": f"{LABEL_POOL}={pool.key.name},{LABEL_POOL_STATE}={POOL_IDLE}",
        "pods": [plain(pod) for pod in sorted(pods, key=lambda pod: pod.name)],
        "conditions": [condition],
    }
    same = WarmPoolStatus.model_validate(wanted) == pool.status
    return None if same else wanted
