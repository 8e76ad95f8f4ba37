"""Why a pod does not run yet, in the words of whoever holds it up, with a cure.

Asked by: `status`. The words are those of scheduler, registry and kubelet: they name the taint, the tag, the key.
"""

from __future__ import annotations

from typing import Any, Final

from podtask.core.api.names import Reason
from podtask.core.api.reasons import cure_of
from podtask.core.api.status import MESSAGE_LIMIT
from podtask.core.api.symptoms import CONTAINER_WAITS
from podtask.core.lifecycle.model import Why
from podtask_operator.pods.fields import at, condition, container, mapping, mappings, number, text

KUEUE_QUEUE: Final = "kueue.x-k8s.io/queue-name"


def why(pod: Any) -> Why | None:
    """The reason, the message and the cure; None where nothing is wrong as far as the pod says."""
    return _gated(pod) or _unschedulable(pod) or _container(pod)


def gates(pod: Any) -> list[str]:
    """Names of the scheduling gates that hold the pod."""
    return [text(gate.get("name")) or "?" for gate in mappings(at(pod, "spec", "schedulingGates"))]


def may_have_been_gated(pod: Any) -> bool:
    """True where gates were removed, as far as one can tell: by Kueue's label, or by a spec that changed (1.33+)."""
    return (
        at(pod, "metadata", "labels", KUEUE_QUEUE) is not None or (number(at(pod, "metadata", "generation")) or 0) > 1
    )


def _gated(pod: Any) -> Why | None:
    names = gates(pod)
    if not names:
        return None
    text_ = f"The pod is held by the scheduling gate {', '.join(names)}."
    return Why(Reason.QUEUED, text_[:MESSAGE_LIMIT], "Its owner lets it go: for Kueue, look at the pod's Workload.")


def _unschedulable(pod: Any) -> Why | None:
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") != "False" or scheduled.get("reason") == "SchedulingGated":
        return None
    message = text(scheduled.get("message")) or "The scheduler found no node for the pod."
    return Why(Reason.UNSCHEDULABLE, message[:MESSAGE_LIMIT], cure_of(Reason.UNSCHEDULABLE))


def _container(pod: Any) -> Why | None:
    state = mapping(at(container(pod), "state", "waiting"))
    reason = text(state.get("reason")) or ""
    symptom = CONTAINER_WAITS.get(reason)
    if symptom is None:
        return None
    message = f"{reason}: {text(state.get('message')) or 'no further message'}"
    return Why(symptom.reason, message[:MESSAGE_LIMIT], symptom.cure)
