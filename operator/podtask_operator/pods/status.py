"""From a pod to what the lifecycle knows of one: `read(pod) -> lifecycle.model.Pod`. Pure.

Before: the watch on pods, a live GET. Next: `observer` puts it into `Observed`. Beside: `build` (the way there),
`waiting` (why a pod does not run yet), `disruption` (which ends are the cluster's doing).
Pods come from the API server, yet anyone with rights on pods/status shapes them: every field is read defensively.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from podtask.core.api import names
from podtask.core.api.status import MESSAGE_LIMIT
from podtask.core.lifecycle.model import Pod, PodPhase
from podtask_operator.pods import disruption, outcome, waiting
from podtask_operator.pods.fields import at, condition, container, mapping, mappings, number, of_type, text, when
from podtask_operator.task_runs.parse import Malformed
from podtask_runner.names import OUT_OF_MEMORY
from podtask_runner.protocol import Error, Outcome, Verdict

START_ERRORS: Final = ("StartError", "ContainerCannotRun")
"""The runtime could not start the container's first process."""
STOP_DEADLINE: Final = 1
"""`activeDeadlineSeconds` of a pod that we asked to stop."""


def is_ours(pod: Any, run_uid: str) -> bool:
    """True when the pod's controller is this very run: a name can be taken by anybody, a UID cannot."""
    owners = mappings(at(pod, "metadata", "ownerReferences"))
    return bool(run_uid) and any(owner.get("controller") is True and owner.get("uid") == run_uid for owner in owners)


def read(pod: Any) -> Pod:
    """What a pod of ours says. Raises `Malformed` for what has no UID, and nothing else."""
    uid = text(at(pod, "metadata", "uid"))
    if not uid:
        raise Malformed("A pod has no metadata.uid.")
    state = mapping(container(pod).get("state"))
    ended = of_type(state.get("terminated"))
    phase = _phase(pod, state)
    said = _said(ended)
    return Pod(
        uid=uid,
        phase=phase,
        node=text(at(pod, "spec", "nodeName")),
        scheduled_at=_scheduled_at(pod),
        started_at=_started_at(state),
        waiting=waiting.why(pod) if phase is PodPhase.WAITING else None,
        stopping=_stopping(pod),
        gone_by=when(at(pod, "metadata", "deletionTimestamp")),
        outcome=said,
        exit_code=_exit_code(ended),
        disruption=disruption.why(pod, ended=phase is PodPhase.ENDED),
        oom_killed=_oom_killed(ended, said),
        deadline_exceeded=at(pod, "status", "reason") == "DeadlineExceeded",
    )


def _phase(pod: Any, state: Mapping[str, Any]) -> PodPhase:
    """Our container decides: beside it, an injected sidecar can keep a pod alive or hold it up.

    `terminated` is an end because containers here are never restarted (restartPolicy Never).
    A node that is lost leaves the last words of its kubelet: the pod still runs, as far as anyone knows.
    """
    reported = at(pod, "status", "phase")
    if reported in ("Succeeded", "Failed") or of_type(state.get("terminated")) is not None:
        return PodPhase.ENDED
    if of_type(state.get("running")) is not None:
        return PodPhase.RUNNING
    if of_type(state.get("waiting")) is None and reported == "Running":
        return PodPhase.RUNNING
    return PodPhase.WAITING


def _scheduled_at(pod: Any) -> datetime | None:
    """PodScheduled, or the first refusal, or the creation of a pod that no scheduler has looked at; None while
    scheduling gates hold the pod.

    A refusal after gates carries the time of the gates (seen with 1.35): the condition was False all along, and its
    transition time does not move with the reason. A pod that was gated tells a time only once it is scheduled; until
    then it counts from the first look at it without gates (`controller.observer`).
    """
    scheduled = condition(pod, "PodScheduled")
    if not scheduled and not waiting.gates(pod):
        return when(at(pod, "metadata", "creationTimestamp"))
    if scheduled.get("status") == "True":
        return when(scheduled.get("lastTransitionTime"))
    if scheduled.get("reason") != "Unschedulable" or waiting.gates(pod) or waiting.may_have_been_gated(pod):
        return None
    return when(scheduled.get("lastTransitionTime"))


def _started_at(state: Mapping[str, Any]) -> datetime | None:
    for kind in ("running", "terminated"):
        started = when(mapping(state.get(kind)).get("startedAt"))
        if started is not None:
            return started
    return None


def _exit_code(ended: Mapping[str, Any] | None) -> int | None:
    """Of what has run. For a container that never did, the kubelet makes 137 up, which reads like out of memory."""
    ran = when(mapping(ended).get("startedAt")) is not None
    return number(mapping(ended).get("exitCode")) if ran else None


def _stopping(pod: Any) -> bool:
    deleted = text(at(pod, "metadata", "deletionTimestamp"))
    return bool(deleted) or number(at(pod, "spec", "activeDeadlineSeconds")) == STOP_DEADLINE


def _said(ended: Mapping[str, Any] | None) -> Outcome | None:
    """The runner's outcome; for a container that never ran, the runtime's words in the same form."""
    message = text(mapping(ended).get("message"))
    if not message:
        return None
    reason = text(mapping(ended).get("reason"))
    if reason in START_ERRORS:
        cure = "Check that the image has python3 and the podtask runner, and that it is built for the node's processor."
        return Outcome(Verdict.CRASHED, error=Error(reason, message[:MESSAGE_LIMIT], retryable=False, cure=cure))
    return outcome.parse(message.encode("utf-8", "replace"))


def _oom_killed(ended: Mapping[str, Any] | None, outcome: Outcome | None) -> bool:
    """The kernel killed the container, whatever its exit code, or only the child, as the runner saw."""
    if mapping(ended).get("reason") == "OOMKilled":
        return True
    return outcome is not None and outcome.error is not None and outcome.error.type == OUT_OF_MEMORY


_METADATA = ("name", "namespace", "uid", "generation", "resourceVersion", "creationTimestamp")
_LABELS = (
    names.LABEL_TASK_RUN,
    names.LABEL_ATTEMPT,
    waiting.KUEUE_QUEUE,
    names.LABEL_POOL,
    names.LABEL_POOL_STATE,
)
_DELETION = ("deletionTimestamp", "deletionGracePeriodSeconds")


def project(pod: Any) -> dict[str, Any]:
    """What the operator's cache keeps of a pod: `read` and `is_ours` answer alike for it, at a tenth of the size."""
    metadata, spec, status = (mapping(at(pod, part)) for part in ("metadata", "spec", "status"))
    labels = mapping(metadata.get("labels"))
    pooled = names.LABEL_POOL in labels
    spare: dict[str, Any] = {}
    if pooled:  # what only a choice among idle pods needs
        spare = {"ephemeralContainers": [{}]} if mappings(spec.get("ephemeralContainers")) else {}
    kinds = ("PodScheduled", "DisruptionTarget", *(("Ready",) if pooled else ()))
    ours, init = container(pod), disruption.failed_init(pod)
    return {
        "metadata": {
            **_only(metadata, (*_METADATA, *_DELETION)),
            "labels": _only(labels, _LABELS),
            "ownerReferences": [o for o in mappings(metadata.get("ownerReferences")) if o.get("controller") is True],
        },
        "spec": {**_only(spec, ("nodeName", "activeDeadlineSeconds", "schedulingGates")), **spare},
        "status": {
            **_only(status, ("phase", "reason", "message")),
            "conditions": [found for kind in kinds if (found := condition(pod, kind))],
            "containerStatuses": [_only(ours, ("name", "state"))] if ours else [],
            **({"initContainerStatuses": [_only(init, ("name", "state"))]} if init else {}),
        },
    }


def with_first_deletion(pod: dict[str, Any], before: Any) -> dict[str, Any]:
    """The cached pod, deleted when an earlier version of it was, and with what came first: its deletion or its end.

    Once the containers of a deleted pod have ended, the kubelet deletes it again, without grace and with the time of
    that: it would look as if the pod had ended by itself, and somebody had cleaned it away.
    """
    first = mapping(at(before, "metadata"))
    if first.get("uid") != pod["metadata"].get("uid"):
        return pod
    if first.get("deletionTimestamp") is not None:
        pod["metadata"].update(_only(first, _DELETION))
    order = first.get(disruption.FIRST) or _first_of_two(before)
    if order is not None:
        pod["metadata"][disruption.FIRST] = order
    return pod


def _first_of_two(pod: Any) -> str | None:
    """Whether a pod was deleted or had ended, where exactly one of the two is the case by now."""
    deleted = at(pod, "metadata", "deletionTimestamp") is not None
    ended = _phase(pod, mapping(container(pod).get("state"))) is PodPhase.ENDED
    if deleted == ended:
        return None
    return disruption.DELETED if deleted else disruption.ENDED


def _only(source: Mapping[str, Any], wanted: tuple[str, ...]) -> dict[str, Any]:
    return {name: source[name] for name in wanted if source.get(name) is not None}
