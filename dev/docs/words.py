"""docs/reference/states.md: states, reasons, causes and Events, each with what it means and what to do.

The words are those of podtask.core.api.names; a word that is not described here fails the generator, and so the tests.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from dev.docs.markdown import code, page, table

from podtask.core.api.names import CacheOutcome, Cause, Ended, Reason, State
from podtask.states import TYPE_OF
from podtask_operator.pods.disruption import ENDED_BY_KUBELET, TARGETED, UNKNOWN_END
from podtask_operator.pods.waiting import REFUSED

HEAD = """\
`status.state` is a word for people. Machines read the conditions: `Succeeded` is True, False, or Unknown while the run
is under way; `Finished` is True at every end. `status.reason` and `status.message` say why, `status.error.cure` and
`status.attempts[].cure` what to do. How states follow each other: [Lifecycle](../explanation/lifecycle.md)."""

STATES: Mapping[State, str] = {
    State.PENDING: "Not started, or its pod does not run yet. The reason says what it waits for.",
    State.RUNNING: "Its container runs. Written only when that takes longer than a few seconds.",
    State.AWAITING_RETRY: "An attempt ended without a result, and another one follows at `status.nextAttemptAt`.",
    State.RETRYING: "An attempt after a failure is under way.",
    State.COMPLETED: "It has a stored result.",
    State.CACHED: "The result of an identical earlier run was used; no pod was started.",
    State.FAILED: "The task's own code failed and no retry is left, or the spec is invalid.",
    State.CRASHED: "The attempt ended without an answer of the task, or its budget for disruptions is used up.",
    State.TIMED_OUT: "It ran longer than it may, and no retry is left.",
    State.CANCELLED: "Somebody set `spec.cancel`.",
    State.NOT_READY: "A run it needs did not complete; it never started.",
}

PENDING: Mapping[Reason, tuple[str, str]] = {
    Reason.SUSPENDED: ("`spec.suspend` is true.", "Set it to false."),
    Reason.WAITING_FOR_UPSTREAM: ("A run it needs is not finished.", "Wait, or look at that run."),
    Reason.WAITING_FOR_CACHE: ("An identical run goes first; its result will be used.", "Wait."),
    Reason.QUEUED: (
        "It waits for a slot under a concurrency limit, which the message names; or a scheduling gate holds its pod.",
        "Wait, or ask the administrator to raise the limit; for Kueue, look at the pod's Workload.",
    ),
    Reason.SCHEDULING: ("The pod is being scheduled and started.", "Wait."),
    Reason.UNSCHEDULABLE: (
        "No node takes the pod; the message is the scheduler's.",
        "Ask for less, correct `nodeSelector` or `tolerations`, or add a node.",
    ),
    Reason.IMAGE_PULL: ("The image cannot be pulled.", "Check its name, its tag, and the pull secret."),
    Reason.CONTAINER_CONFIG: (
        "The container cannot be made; the message is the kubelet's.",
        "Create the Secret or ConfigMap that is named, or correct the name.",
    ),
    Reason.QUOTA: ("The namespace's quota is used up; it is tried again.", "Wait for other pods, or raise the quota."),
    Reason.POD_SECURITY: ("An admission rule refused the pod.", "Do what the server's sentence says."),
    Reason.POD_NAME_CONFLICT: (
        "Another object's pod has the name that this attempt needs.",
        "Wait until it is gone; after delete and apply of the same name that takes seconds. One that stays costs a "
        "disruption after `pendingTimeoutSeconds`, and the next attempt has another name.",
    ),
}

ENDS: Mapping[Reason, tuple[str, str]] = {
    Reason.COMPLETED: ("The task returned, and its result is stored.", ""),
    Reason.CACHED: ("The result of an identical run was used.", ""),
    Reason.EXCEPTION: ("The task raised an exception. Costs a retry.", "Read `status.error`."),
    Reason.CRASHED: (
        "The interpreter died, the task called `sys.exit`, or its result cannot be pickled. Not retried.",
        "Read the log; return data that can be pickled.",
    ),
    Reason.TIMED_OUT: ("It ran longer than `timeoutSeconds`. Costs a retry.", "Raise it, or make the task do less."),
    Reason.DEADLINE_EXCEEDED: (
        "The run was not done within `deadlineSeconds`, all attempts together. No attempt follows.",
        "Raise it, or make the task do less.",
    ),
    Reason.OUT_OF_MEMORY: (
        "The kernel killed it at its memory limit. Costs a retry, or, where given, one of `onOutOfMemory`.",
        "Raise `resources.limits.memory`, or let the task use less.",
    ),
    Reason.INVALID_SPEC: ("The spec asks for something impossible. Not retried.", "Do what `status.error.cure` says."),
    Reason.ENVIRONMENT_MISMATCH: (
        "Code or inputs were made with another Python minor than the image has. Not retried.",
        "Use the same minor on both sides.",
    ),
    Reason.INPUT_CORRUPTED: ("An input is not what its digest says. Not retried.", "Run the upstream again."),
    Reason.INTERRUPTED: ("The pod got SIGTERM before the task ended. Costs a disruption.", ""),
    Reason.EVICTED: (
        "The pod was evicted. Costs a disruption.",
        "Where the message names memory or disk: request as much as the task uses.",
    ),
    Reason.PREEMPTED: (
        "The pod made room for one of higher priority. Costs a disruption.",
        "Give it a priority with `podTemplate.priorityClassName`.",
    ),
    Reason.NODE_LOST: ("The pod's node is gone. Costs a disruption.", "Look at the node: `kubectl describe node`."),
    Reason.POD_DELETED: ("Somebody deleted the pod. Costs a disruption.", "To end a run, set `spec.cancel`."),
    Reason.ADMISSION: (
        "The node refused the pod. Costs a disruption.",
        "Check the node's free resources and its kubelet's log.",
    ),
    Reason.PENDING_TIMEOUT: (
        "The container did not start within `pendingTimeoutSeconds`. Costs a disruption.",
        "The message says what held it up.",
    ),
    Reason.STORE_UNAVAILABLE: (
        "The pod could not reach the bucket. Costs a disruption.",
        "Check `store.endpoint` of the chart: it is the address that pods use.",
    ),
    Reason.LOST: (
        "The attempt was recorded, and no pod and no outcome of it exist. Costs nothing.",
        "Nothing: the next attempt follows.",
    ),
    Reason.CANCELLED: ("Somebody set `spec.cancel`.", ""),
    Reason.UPSTREAM_FAILED: ("A run it needs did not complete.", "Repair that run; then create this one again."),
}

GOING_ON: Mapping[Reason, str] = {
    Reason.RUNNING: "The container runs.",
    Reason.AWAITING_RETRY: "The next attempt is due later.",
}

CAUSES: Mapping[Cause, str] = {
    Cause.FIRST: "The first attempt.",
    Cause.RETRY: "The attempt before failed by the task's own doing; taken from `retries`.",
    Cause.DISRUPTION: "The attempt before was ended by the cluster; taken from `maxDisruptions`.",
    Cause.OUT_OF_MEMORY: "The attempt before ran out of memory; this one has more, taken from `onOutOfMemory`.",
}

CACHE: Mapping[CacheOutcome, str] = {
    CacheOutcome.HIT: "An entry was found and used. `sourceRun` names the run that made it.",
    CacheOutcome.MISS: "No entry was found. `missReason` says why.",
    CacheOutcome.WAITING: "An identical run goes first. `sourceRun` names it.",
    CacheOutcome.OFF: "Caching was asked for and no key could be made. `missReason` says why.",
}

EVENTS = """\
## Events

`kubectl describe ptr NAME` shows them. They tell the story; they are best effort, and nothing depends on them.

| Reason | Type | When |
|---|---|---|
| `AttemptStarted` | Normal | An attempt was recorded; its pod follows. |
| `Attempt` and the outcome, such as `AttemptFailed` | Warning | An attempt ended otherwise than Completed. |
| `StoreRefused` | Warning | The bucket refuses the operator. The run goes on once that is repaired. |
| `CacheEntryDropped` | Warning | The entry for the run's key was of no use: unreadable, or its result gone. |
| the reason, such as `WaitingForUpstream` | Normal | A run waits for something, for more than a few seconds. |
| the state, such as `Completed` | Normal, or Warning for a bad end | The run ended. |"""


def text() -> str:
    """The whole page. Raises `AssertionError` for a word that is not described."""
    _whole(State, STATES)
    _whole(Reason, {**PENDING, **ENDS, **GOING_ON})
    _whole(Cause, CAUSES)
    _whole(CacheOutcome, CACHE)
    states = [(code(s), TYPE_OF[s].value, "yes" if s.finished else "", STATES[s]) for s in State]
    return page(
        "States, reasons and Events",
        "podtask/core/names.py and dev/docs/words.py",
        HEAD,
        "## States\n\n" + table(("State", "Type in Python", "An end", "Meaning"), states),
        "## Why a run is Pending\n\n" + table(("Reason", "Meaning", "What to do"), _rows(PENDING)),
        _kubelet(),
        "## How attempts and runs end\n\n" + table(("Reason", "Meaning", "What to do"), _rows(ENDS)),
        _disruptions(),
        "## Why a run goes on\n\n" + table(("Reason", "Meaning"), [(code(k), v) for k, v in GOING_ON.items()]),
        "## Outcomes of an attempt\n\n`status.attempts[].outcome` is one of " + _listed(Ended) + ".",
        "## Causes of an attempt\n\n" + table(("Cause", "Meaning"), [(code(k), v) for k, v in CAUSES.items()]),
        "## Cache outcomes\n\n" + table(("Outcome", "Meaning"), [(code(k), v) for k, v in CACHE.items()]),
        EVENTS,
    )


def _whole(words: type[enum.Enum], described: Mapping[object, object]) -> None:
    missing = [str(word) for word in words if word not in described]
    assert not missing, f"describe these {words.__name__}s in dev/docs/words.py: {', '.join(missing)}"


def _rows(words: Mapping[Reason, tuple[str, str]]) -> list[tuple[str, str, str]]:
    return [(code(reason), meaning, cure) for reason, (meaning, cure) in words.items()]


def _listed(words: type[enum.Enum]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _kubelet() -> str:
    rows = [(code(word), code(reason), cure) for word, (reason, cure) in REFUSED.items()]
    return (
        "### What the kubelet says, and what podtask makes of it\n\n"
        f"{table(('Reason of the waiting container', 'Reason of the run', 'What to do'), rows)}"
    )


def _disruptions() -> str:
    rows = [(code(word), "condition DisruptionTarget", code(reason)) for word, reason in TARGETED.items()]
    rows += [(code(word), "status of the pod", code(reason)) for word, reason in ENDED_BY_KUBELET.items()]
    rows += [(code(word), "end of the container", code(Reason.NODE_LOST)) for word in UNKNOWN_END]
    return (
        "### Disruptions\n\nEnds that the cluster made. They use `maxDisruptions`, never `retries`. A condition "
        "DisruptionTarget with another reason counts as an eviction, and a reason that begins with `OutOf` as refused "
        "by the node, as does any other failure of the pod before the task's container ran; unless an init container "
        "that somebody injected failed: that is `ContainerConfig`, and the message names it.\n\n"
        f"{table(('Kubernetes says', 'Where', 'Reason'), rows)}"
    )
