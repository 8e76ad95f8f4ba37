"""Which ends of a pod are the cluster's doing and not the task's: eviction, preemption, a lost node, a deletion.

Asked by: `status`. The pod's own condition DisruptionTarget is the best witness (Kubernetes, pod disruptions);
the status reason is what the kubelet wrote; a deletion is what remains.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from podtask.core.api.names import Reason
from podtask.core.api.reasons import cure_of, meaning_of
from podtask.core.api.status import MESSAGE_LIMIT
from podtask.core.api.symptoms import ENDED_BY_KUBELET, EVICTED_FOR, TARGETED, UNKNOWN_END
from podtask.core.lifecycle.judge import catalogued
from podtask.core.lifecycle.model import Why
from podtask_operator.pods.fields import at, condition, container, mapping, mappings, number, of_type, text, when

FIRST: Final = "podtaskFirst"
"""On a pod in the operator's cache: which was seen first, `DELETED` or `ENDED`. Absent: neither, or both at once."""
DELETED: Final = "deleted"
ENDED: Final = "ended"
SKEW: Final = timedelta(minutes=1)
"""Where the order was not seen it is told from times of two clocks, the node's and the API server's. In doubt it was
the deletion: a disruption costs nothing of the user's, and a crash without a word is never retried."""


def why(pod: Any, *, ended: bool) -> Why | None:
    """The disruption; None where the task itself ended. A deletion counts once the pod has `ended` by it."""
    if found := _targeted(pod) or _by_kubelet(pod) or _unknown_to_kubelet(pod):
        return found
    return (_deleted(pod) or _never_started(pod)) if ended else None


def _targeted(pod: Any) -> Why | None:
    target = condition(pod, "DisruptionTarget")
    if target.get("status") != "True":
        return None
    # The kubelet's own message says more than the condition's: which resource ran short, by how much.
    message = text(at(pod, "status", "message")) or text(target.get("message"))
    return _why(TARGETED.get(text(target.get("reason")) or "", Reason.EVICTED), message)


def _by_kubelet(pod: Any) -> Why | None:
    reason = text(at(pod, "status", "reason")) or ""
    kind = Reason.NODE_REFUSED if reason.startswith("OutOf") else ENDED_BY_KUBELET.get(reason)
    return None if kind is None else _why(kind, text(at(pod, "status", "message")))


def _unknown_to_kubelet(pod: Any) -> Why | None:
    """The kubelet came back and did not find the container as it had left it: its node was restarted."""
    ended = mapping(at(container(pod), "state", "terminated"))
    if ended.get("reason") not in UNKNOWN_END:
        return None
    return _why(Reason.NODE_LOST, text(ended.get("message")))


def _deleted(pod: Any) -> Why | None:
    """Deleted before its end; a pod that somebody cleans away after its end was not disrupted."""
    asked, first = _deletion_asked_at(pod), at(pod, "metadata", FIRST)
    if text(at(pod, "metadata", "deletionTimestamp")) is None or first == ENDED:
        return None
    finished = when(at(container(pod), "state", "terminated", "finishedAt"))
    if first != DELETED and asked is not None and finished is not None and finished < asked - SKEW:
        return None
    return catalogued(Reason.POD_DELETED)


def _never_started(pod: Any) -> Why | None:
    """The task's container had not run when the pod failed: an init container did, or the kubelet refused it."""
    state = mapping(container(pod).get("state"))
    status = mapping(at(pod, "status"))
    ran = any(of_type(state.get(kind)) is not None for kind in ("running", "terminated"))
    if ran or status.get("phase") != "Failed" or status.get("reason") == "DeadlineExceeded":
        return None
    init = failed_init(pod)
    if init is None:
        return _why(Reason.NODE_REFUSED, text(status.get("message")) or text(status.get("reason")))
    name, end = text(init.get("name")) or "?", mapping(at(init, "state", "terminated"))
    said = f"Init container {name} failed (exit code {number(end.get('exitCode'))}) before the task could start."
    cure = f"Somebody adds {name} to pods (a mesh, a secrets agent); read its log: kubectl logs -c {name} on the pod."
    return Why(Reason.CONTAINER_CONFIG, f"{said} {text(end.get('message')) or ''}".rstrip()[:MESSAGE_LIMIT], cure)


def failed_init(pod: Any) -> Mapping[str, Any] | None:
    """The status of the first init container that ended with an error; we make none ourselves."""
    for status in mappings(at(pod, "status", "initContainerStatuses")):
        if number(at(status, "state", "terminated", "exitCode")):
            return status
    return None


def _deletion_asked_at(pod: Any) -> datetime | None:
    """The deletion's timestamp says when it is due: the grace before it is when it was asked for."""
    due = when(at(pod, "metadata", "deletionTimestamp"))
    grace = number(at(pod, "metadata", "deletionGracePeriodSeconds")) or 0
    return due and due - timedelta(seconds=max(0, min(grace, 86400)))


def _why(kind: Reason, message: str | None) -> Why:
    words, cure = message or "", cure_of(kind)
    if kind is Reason.EVICTED:
        cure = next((exact for word, exact in EVICTED_FOR.items() if word in words), cure)
    return Why(kind, f"{meaning_of(kind)} {words}".rstrip()[:MESSAGE_LIMIT], cure)
