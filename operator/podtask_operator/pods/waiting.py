"""Why a pod does not run yet, in the words of whoever holds it up, with a cure.

Asked by: `podstatus`. The words are those of scheduler, registry and kubelet: they name the taint, the tag, the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from podtask.core.api.names import Reason
from podtask.core.api.status import MESSAGE_LIMIT
from podtask.core.lifecycle.model import Why
from podtask_operator.pods.fields import at, condition, container, mapping, mappings, number, text

KUEUE_QUEUE: Final = "kueue.x-k8s.io/queue-name"

_IMAGE = "Check the image's name and tag, and spec.podTemplate.imagePullSecrets where the registry asks who you are."
_CONFIG = "Create the Secret or ConfigMap that is named, or correct its name or key in spec.env or spec.podTemplate."
_RUNTIME = "Read the message: it is the container runtime's; a mount or a path inside the image is the usual reason."

REFUSED: Final[Mapping[str, tuple[Reason, str]]] = {
    "ErrImagePull": (Reason.IMAGE_PULL, _IMAGE),
    "ImagePullBackOff": (Reason.IMAGE_PULL, _IMAGE),
    "InvalidImageName": (Reason.IMAGE_PULL, "Write the image as registry/name:tag or registry/name@sha256:…."),
    "ErrImageNeverPull": (Reason.IMAGE_PULL, "Load the image onto the nodes, or let the operator's pull policy pull."),
    "ImageInspectError": (Reason.IMAGE_PULL, _IMAGE),
    "RegistryUnavailable": (Reason.IMAGE_PULL, "Wait for the registry, or use another one."),
    "SignatureValidationFailed": (Reason.IMAGE_PULL, "Sign the image as the node's policy asks."),
    "CreateContainerConfigError": (Reason.CONTAINER_CONFIG, _CONFIG),
    "CreateContainerError": (Reason.CONTAINER_CONFIG, _RUNTIME),
    "RunContainerError": (Reason.CONTAINER_CONFIG, _RUNTIME),
}
"""Reasons of a waiting container that do not pass by themselves; others (ContainerCreating) are just time."""


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
    cure = "Ask for less in spec.resources, correct spec.nodeSelector or spec.tolerations, or add a node."
    return Why(Reason.UNSCHEDULABLE, message[:MESSAGE_LIMIT], cure)


def _container(pod: Any) -> Why | None:
    state = mapping(at(container(pod), "state", "waiting"))
    reason = text(state.get("reason")) or ""
    if reason not in REFUSED:
        return None
    kind, cure = REFUSED[reason]
    return Why(kind, f"{reason}: {text(state.get('message')) or 'no further message'}"[:MESSAGE_LIMIT], cure)
