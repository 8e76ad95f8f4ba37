"""The catalogue of reasons: what each one means, what to do about it, and which budget another attempt would use.

    Reason ──> Entry(meaning, cure, budget) ──> rules, judge, pods (statuses) · next step, doctor, page · documentation

The one place for these sentences. Beside: `symptoms`, which says what Kubernetes' own words mean in terms of reasons,
and has the cures that are more exact. A reason of a newer version is not in the catalogue: ask by `entry_of`.
A test checks that a cure names only fields and options that exist.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from podtask.core.api.names import Reason


class Budget(enum.Enum):
    """Which allowance another attempt would be taken from."""

    NONE = "the run ends here"
    RETRY = "spec.retries"
    DISRUPTION = "spec.maxDisruptions"
    MEMORY = "spec.onOutOfMemory.maxAttempts"
    FREE = "nothing: no pod of this attempt was ever known to exist; only the delay grows"


class ReasonScope(enum.Enum):
    """Where a reason is met."""

    PENDING = "a run that waits"
    END = "the end of an attempt or of a run"
    UNDER_WAY = "a run that goes on"


@dataclass(frozen=True)
class Entry:
    """What is to be said of one reason."""

    place: ReasonScope
    meaning: str
    cure: str | None = None
    """What the author of the run can do. None: nothing has to be done."""
    budget: Budget = Budget.NONE
    chart: str | None = None
    """What the administrator can do where the run itself asked for nothing special."""


CATALOGUE: Final[Mapping[Reason, Entry]] = {
    Reason.SUSPENDED: Entry(ReasonScope.PENDING, "spec.suspend is true.", "Set spec.suspend to false."),
    Reason.WAITING_FOR_UPSTREAM: Entry(ReasonScope.PENDING, "A run it needs is not finished."),
    Reason.WAITING_FOR_CACHE: Entry(ReasonScope.PENDING, "An identical run goes first. Its result will be used."),
    Reason.QUEUED: Entry(
        ReasonScope.PENDING,
        "It waits for a slot under a concurrency limit, which the message names. Or a scheduling gate holds its pod.",
        chart="Raise the limit. For Kueue, look at the pod's Workload.",
    ),
    Reason.SCHEDULING: Entry(ReasonScope.PENDING, "The pod is being scheduled and started."),
    Reason.UNSCHEDULABLE: Entry(
        ReasonScope.PENDING,
        "No node takes the pod. The message is the scheduler's, or says that no scheduler has looked at the pod.",
        "Ask for less in spec.resources, correct spec.nodeSelector or spec.tolerations, or add a node.",
        chart="No node takes the pod: kubectl describe nodes; taskDefaults of the chart.",
    ),
    Reason.IMAGE_PULL: Entry(
        ReasonScope.PENDING,
        "The image cannot be pulled. The message is the node's.",
        "Check the image's name and tag, and spec.podTemplate.imagePullSecrets where the registry asks who you are.",
        chart="Let the nodes pull it: runner.images, runner.pullPolicy and taskDefaults.imagePullSecrets of the chart.",
    ),
    Reason.CONTAINER_CONFIG: Entry(
        ReasonScope.PENDING,
        "The pod cannot be started on its node. The message is the kubelet's, and names what is missing.",
        "Create the Secret or ConfigMap that is named, or correct its name or key in spec.env or spec.podTemplate.",
        chart="kubectl describe pod; the Secret with the grants may be missing.",
    ),
    Reason.QUOTA: Entry(
        ReasonScope.PENDING,
        "A ResourceQuota of the namespace does not take the pod. It is tried again.",
        "Raise the ResourceQuota, or wait for other pods to end.",
        chart="Raise the quota of the namespace, or delete what uses it: kubectl describe quota.",
    ),
    Reason.POD_SECURITY: Entry(
        ReasonScope.PENDING,
        "The namespace's Pod Security level does not take the pod. It is tried again.",
        "Remove the named field from spec.podTemplate, or relax the namespace's level.",
        chart="The namespace's Pod Security is stricter than `restricted`, or another rule of admission objects.",
    ),
    Reason.ADMISSION: Entry(
        ReasonScope.PENDING,
        "The API server does not admit the pod: a rule, a policy or a webhook refused it, or could not be asked. "
        "It is tried again.",
        "Do what the server's sentence says, or ask the cluster's administrator.",
    ),
    Reason.POD_NAME_CONFLICT: Entry(
        ReasonScope.PENDING,
        "Another object's pod or Secret has the name that this attempt needs. After delete and apply of the same name "
        "that takes seconds. One that stays costs a disruption after pendingTimeoutSeconds, and the next attempt has "
        "another name.",
        "Delete the object that has the name, or give the run another name.",
    ),
    Reason.COMPLETED: Entry(ReasonScope.END, "The task returned, and its result is stored."),
    Reason.CACHED: Entry(ReasonScope.END, "The result of an identical run was used."),
    Reason.EXCEPTION: Entry(
        ReasonScope.END, "The task raised an exception.", "Read the traceback in status.error.", Budget.RETRY
    ),
    Reason.CRASHED: Entry(
        ReasonScope.END,
        "The interpreter died, the task called sys.exit, or its result cannot be pickled.",
        "Read the pod's log; check that the image has Python and the podtask runner.",
    ),
    Reason.TIMED_OUT: Entry(
        ReasonScope.END,
        "The attempt ran longer than timeoutSeconds, or than the activeDeadlineSeconds that somebody gave its pod.",
        "Raise spec.timeoutSeconds, or make the task do less.",
        Budget.RETRY,
    ),
    Reason.DEADLINE_EXCEEDED: Entry(
        ReasonScope.END,
        "The run was not done within deadlineSeconds, all attempts together.",
        "Raise spec.deadlineSeconds, or make the task do less.",
    ),
    Reason.OUT_OF_MEMORY: Entry(
        ReasonScope.END,
        "The kernel killed it at its memory limit. With onOutOfMemory the next attempt has more, from a budget of its "
        "own.",
        "Raise spec.resources.limits.memory, or let the task use less. A run without that limit has the one of the "
        "namespace's LimitRange: kubectl describe limitrange.",
        Budget.RETRY,
    ),
    Reason.INVALID_SPEC: Entry(
        ReasonScope.END,
        "The spec asks for something impossible.",
        "Correct what the message names; then create the run again under another name.",
    ),
    Reason.ENVIRONMENT_MISMATCH: Entry(
        ReasonScope.END,
        "Code or inputs were made with another Python minor, or with packages that the image does not have.",
        "Use an image with the Python and the packages that the message names.",
    ),
    Reason.INPUT_CORRUPTED: Entry(
        ReasonScope.END,
        "An input is not what its digest says.",
        "Create the run that stored it again (kubectl podtask retry), then this one.",
    ),
    Reason.INTERRUPTED: Entry(
        ReasonScope.END,
        "The pod was asked to stop (SIGTERM) before the task ended.",
        "See who stopped it: kubectl get events, and the node's log.",
        Budget.DISRUPTION,
    ),
    Reason.EVICTED: Entry(
        ReasonScope.END,
        "The pod was evicted.",
        "Nothing to correct in the run; what drains nodes can be slowed by a PodDisruptionBudget.",
        Budget.DISRUPTION,
    ),
    Reason.PREEMPTED: Entry(
        ReasonScope.END,
        "The pod made room for one of higher priority.",
        "Give the run a priority of its own with spec.podTemplate.priorityClassName.",
        Budget.DISRUPTION,
    ),
    Reason.NODE_LOST: Entry(
        ReasonScope.END, "The pod's node was lost.", "Look at the node: kubectl describe node.", Budget.DISRUPTION
    ),
    Reason.NODE_REFUSED: Entry(
        ReasonScope.END,
        "The node refused the pod.",
        "Check the node's free resources and its kubelet's log.",
        Budget.DISRUPTION,
    ),
    Reason.POD_DELETED: Entry(
        ReasonScope.END,
        "The pod was deleted before the task ended.",
        "Find out who deletes pods of podtask: a person, a clean-up job, a node that was drained.",
        Budget.DISRUPTION,
    ),
    Reason.PENDING_TIMEOUT: Entry(
        ReasonScope.END,
        "The container did not start within pendingTimeoutSeconds. The message says what held it up, and "
        "status.attempts[].heldUpBy has the reason.",
        "Remove what the message names; kubectl describe pod shows more while the next pod waits.",
        Budget.DISRUPTION,
    ),
    Reason.STORE_UNAVAILABLE: Entry(
        ReasonScope.END,
        "The pod could not reach the bucket.",
        "Check the store's endpoint as pods see it, and the NetworkPolicies of the namespace.",
        Budget.DISRUPTION,
        chart="The pod does not reach the bucket: store.endpoint as pods see it, NetworkPolicies.",
    ),
    Reason.LOST: Entry(
        ReasonScope.END,
        "The attempt was recorded, and no pod and no outcome of it were found.",
        "Nothing to do: the operator was restarted in between, and this costs no retry.",
        Budget.FREE,
    ),
    Reason.CANCELLED: Entry(
        ReasonScope.END, "Somebody set spec.cancel, cancelled or deleted the flow run, or deleted the TaskRun."
    ),
    Reason.UPSTREAM_FAILED: Entry(
        ReasonScope.END,
        "A run it needs did not complete. status.failedUpstream names it.",
        "Repair the upstream run; then create this one again.",
    ),
    Reason.RUNNING: Entry(ReasonScope.UNDER_WAY, "The container runs."),
    Reason.AWAITING_RETRY: Entry(ReasonScope.UNDER_WAY, "The next attempt is due later."),
}

_UNKNOWN: Final = Entry(ReasonScope.UNDER_WAY, "This version of podtask does not know the reason.")


def entry_of(reason: Reason) -> Entry:
    """The entry; for a reason of a newer version one that says so."""
    return CATALOGUE.get(reason, _UNKNOWN)


def meaning_of(reason: Reason) -> str:
    """The sentence of a reason."""
    return entry_of(reason).meaning


def cure_of(reason: Reason) -> str | None:
    """What to do where nothing more exact can be said."""
    return entry_of(reason).cure


def budget_of(reason: Reason) -> Budget:
    """What another attempt costs."""
    return entry_of(reason).budget
