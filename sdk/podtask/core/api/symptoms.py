"""What Kubernetes says about a pod, and what podtask makes of it: the reason, and a cure where it can be more exact.

The words are those of API server, scheduler and kubelet; no feature parses a sentence of podtask's own.
Read by the operator (`pods.waiting`, `pods.disruption`, `pods.refusal`) and by the documentation. Below: `reasons`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from podtask.core.api.names import Reason
from podtask.core.api.reasons import cure_of


@dataclass(frozen=True)
class Symptom:
    """One word of Kubernetes."""

    reason: Reason
    exact: str | None = None
    """The cure, where more can be said than for the reason."""

    @property
    def cure(self) -> str | None:
        """What to do."""
        return self.exact or cure_of(self.reason)


_RUNTIME: Final = (
    "Read the message: it is the container runtime's; a mount or a path inside the image is the usual reason."
)
_NETWORK: Final = "Look at the node's network plug-in and its kubelet: kubectl describe node."
_VOLUME: Final = (
    "Create the Secret, ConfigMap or volume that is named, or correct its name or key in spec.podTemplate.volumes. "
    "The pod starts by itself once it is there."
)

CONTAINER_WAITS: Final[Mapping[str, Symptom]] = {
    "ErrImagePull": Symptom(Reason.IMAGE_PULL),
    "ImagePullBackOff": Symptom(Reason.IMAGE_PULL),
    "InvalidImageName": Symptom(Reason.IMAGE_PULL, "Write the image as registry/name:tag or registry/name@sha256:…."),
    "ErrImageNeverPull": Symptom(
        Reason.IMAGE_PULL, "Load the image onto the nodes, or let runner.pullPolicy of the chart pull it."
    ),
    "ImageInspectError": Symptom(Reason.IMAGE_PULL),
    "RegistryUnavailable": Symptom(Reason.IMAGE_PULL, "Wait for the registry, or use another one."),
    "SignatureValidationFailed": Symptom(Reason.IMAGE_PULL, "Sign the image as the node's policy asks."),
    "CreateContainerConfigError": Symptom(Reason.CONTAINER_CONFIG),
    "CreateContainerError": Symptom(Reason.CONTAINER_CONFIG, _RUNTIME),
    "RunContainerError": Symptom(Reason.CONTAINER_CONFIG, _RUNTIME),
}
"""Reasons of a waiting container that do not pass by themselves. Others (ContainerCreating) are just time."""

POD_EVENTS: Final[Mapping[str, Symptom]] = {
    "FailedMount": Symptom(Reason.CONTAINER_CONFIG, _VOLUME),
    "FailedMapVolume": Symptom(Reason.CONTAINER_CONFIG, _VOLUME),
    "FailedAttachVolume": Symptom(
        Reason.CONTAINER_CONFIG, "Look at the volume and at the node that holds it: kubectl describe pv."
    ),
    "FailedCreatePodSandBox": Symptom(Reason.CONTAINER_CONFIG, _NETWORK),
    "NetworkNotReady": Symptom(Reason.CONTAINER_CONFIG, _NETWORK),
}
"""Events of the kubelet about a pod whose container waits without a reason that says more."""
POD_PROGRESS: Final = ("Pulling", "Pulled", "Created", "Started")
"""Events of the kubelet after which earlier trouble is over."""

NO_SCHEDULER: Final[Mapping[bool, Symptom]] = {
    False: Symptom(
        Reason.UNSCHEDULABLE,
        "Install that scheduler, or correct spec.podTemplate.schedulerName in a new run.",
    ),
    True: Symptom(Reason.UNSCHEDULABLE, "Look at the cluster's scheduler: kubectl get pods -n kube-system."),
}
"""A pod that no scheduler has looked at; True: the cluster's own should have."""

TARGETED: Final[Mapping[str, Reason]] = {
    "EvictionByEvictionAPI": Reason.EVICTED,
    "TerminationByKubelet": Reason.EVICTED,
    "PreemptionByScheduler": Reason.PREEMPTED,
    "DeletionByTaintManager": Reason.NODE_LOST,
    "DeletionByPodGC": Reason.NODE_LOST,
}
"""Reasons of the condition DisruptionTarget; one we do not know yet is an eviction, too."""

ENDED_BY_KUBELET: Final[Mapping[str, Reason]] = {
    "Evicted": Reason.EVICTED,
    "Preempting": Reason.PREEMPTED,  # a critical pod needed the room
    "Terminated": Reason.EVICTED,  # graceful shutdown of the node
    "Shutdown": Reason.EVICTED,
    "NodeShutdown": Reason.EVICTED,
    "NodeLost": Reason.NODE_LOST,
    # admission: the kubelet refused what the scheduler had sent
    "UnexpectedAdmissionError": Reason.NODE_REFUSED,
    "NodeAffinity": Reason.NODE_REFUSED,
    "NodeName": Reason.NODE_REFUSED,
    "NodePorts": Reason.NODE_REFUSED,
    "TaintToleration": Reason.NODE_REFUSED,
    "TopologyAffinityError": Reason.NODE_REFUSED,
    "AppArmor": Reason.NODE_REFUSED,
    "PodOSNotSupported": Reason.NODE_REFUSED,
    "PodLevelResourcesNotSupported": Reason.NODE_REFUSED,
}
"""`status.reason` of a failed pod. OutOfcpu, OutOfmemory, OutOfpods and the like are matched by their start."""

UNKNOWN_END: Final = ("ContainerStatusUnknown", "Unknown")
"""Why a container "terminated" of which nobody saw the end: the kubelet found no trace of it, or containerd found it
without its process (exit code 255), as after a crash or a reset of the node."""

EVICTED_FOR: Final[Mapping[str, str]] = {
    word: cure
    for words, cure in (
        (
            ("ephemeral", "EmptyDir", "disk"),
            "Write less to /tmp, or raise the ephemeral-storage request and limit, or mount a larger volume.",
        ),
        (
            ("memory",),
            "Request as much memory as the task uses: what exceeds its request goes first when a node runs short.",
        ),
    )
    for word in words
}
"""What ran short, by a word of the kubelet's message about an eviction."""

ADMISSION: Final[Mapping[str, Symptom]] = {
    "exceeded quota": Symptom(Reason.QUOTA),
    "failed quota": Symptom(
        Reason.QUOTA,
        "The quota takes only pods that say how much they use: create the run anew with what the message names in "
        "spec.resources, or give the namespace a LimitRange with defaults.",
    ),
    "PodSecurity": Symptom(Reason.POD_SECURITY),
    "usage per ": Symptom(
        Reason.ADMISSION,
        "A LimitRange of the namespace has that bound (kubectl describe limitrange): create the run anew with "
        "spec.resources, and spec.onOutOfMemory.maxMemory where set, within the bound, or have the bound changed.",
    ),
    "limit to request ratio per ": Symptom(
        Reason.ADMISSION,
        "A LimitRange of the namespace has that bound (kubectl describe limitrange): create the run anew with requests "
        "and limits of spec.resources closer together, or have the bound changed.",
    ),
    "error looking up service account": Symptom(
        Reason.ADMISSION, "Create the ServiceAccount that is named, or correct spec.serviceAccountName in a new run."
    ),
    "RuntimeClass": Symptom(
        Reason.ADMISSION,
        "Create the RuntimeClass that is named, or correct spec.podTemplate.runtimeClassName in a new run.",
    ),
    "no PriorityClass with name": Symptom(
        Reason.ADMISSION,
        "Create the PriorityClass that is named, or correct spec.podTemplate.priorityClassName in a new run.",
    ),
    "failed calling webhook": Symptom(
        Reason.ADMISSION, "An admission webhook does not answer: ask the cluster's administrator to repair it."
    ),
}
"""How the API server says that it does not admit a pod, in the order in which the words are looked for."""

INVALID: Final[Mapping[str, str]] = {
    "must be less than or equal to": (
        "Raise spec.resources.limits, or ask for less in spec.resources.requests. A run without a limit has the one of "
        "the namespace's LimitRange: kubectl describe limitrange."
    ),
}
"""How the API server says that a pod cannot be valid, and what to do beyond correcting the field."""
