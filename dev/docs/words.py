"""docs/reference/states.md: states, reasons, causes and Events, each with what it means and what to do.

The words are those of podtask.core.api.names, the sentences about reasons those of podtask.core.api.reasons. A word
that is not described fails the generator, and so the tests.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from dev.docs.markdown import code, page, table

from podtask.core.api.names import CacheOutcome, Cause, Ended, Reason, State
from podtask.core.api.reasons import CATALOGUE, Budget, Entry, ReasonScope
from podtask.core.api.symptoms import CONTAINER_WAITS, ENDED_BY_KUBELET, POD_EVENTS, TARGETED, UNKNOWN_END
from podtask.states import TYPE_OF

HEAD = """\
`status.state` is a word for people. Machines read the conditions: `Succeeded` is True, False, or Unknown while the run
is under way; `Finished` is True at every end. `status.reason` and `status.message` say why. What to do is in
`status.cure` while a run waits, in `status.error.cure` at its end, and in `status.attempts[].cure` of each attempt. How
states follow each other: [Lifecycle](../explanation/lifecycle.md). From what you see to what to do:
[Troubleshooting](troubleshooting.md)."""

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
    _whole(Reason, CATALOGUE)
    _whole(Cause, CAUSES)
    _whole(CacheOutcome, CACHE)
    states = [(code(s), TYPE_OF[s].value, "yes" if s.finished else "", STATES[s]) for s in State]
    return page(
        "States, reasons and Events",
        "podtask/core/api/reasons.py and dev/docs/words.py",
        HEAD,
        "## States\n\n" + table(("State", "Type in Python", "An end", "Meaning"), states),
        "## Why a run is Pending\n\n" + table(("Reason", "Meaning", "What to do"), _pending()),
        _kubelet(),
        "## How attempts and runs end\n\n"
        + table(("Reason", "Meaning", "Another attempt uses", "What to do"), _ends()),
        _disruptions(),
        "## Why a run goes on\n\n" + table(("Reason", "Meaning"), _going_on()),
        "## Outcomes of an attempt\n\n`status.attempts[].outcome` is one of " + _listed(Ended) + ".",
        "## Causes of an attempt\n\n" + table(("Cause", "Meaning"), [(code(k), v) for k, v in CAUSES.items()]),
        "## Cache outcomes\n\n" + table(("Outcome", "Meaning"), [(code(k), v) for k, v in CACHE.items()]),
        EVENTS,
    )


def _whole(words: type[enum.Enum], described: Mapping[object, object]) -> None:
    missing = [str(word) for word in words if word not in described]
    assert not missing, f"describe these {words.__name__}s in dev/docs/words.py: {', '.join(missing)}"


def _met(place: ReasonScope) -> list[tuple[Reason, Entry]]:
    return [(reason, entry) for reason, entry in CATALOGUE.items() if entry.place is place]


def _pending() -> list[tuple[str, str, str]]:
    return [(code(reason), entry.meaning, entry.cure or "Wait.") for reason, entry in _met(ReasonScope.PENDING)]


def _ends() -> list[tuple[str, str, str, str]]:
    uses = {Budget.NONE: "", Budget.FREE: "nothing"}
    return [
        (code(reason), entry.meaning, uses.get(entry.budget, code(entry.budget.value)), entry.cure or "")
        for reason, entry in _met(ReasonScope.END)
    ]


def _going_on() -> list[tuple[str, str]]:
    return [(code(reason), entry.meaning) for reason, entry in _met(ReasonScope.UNDER_WAY)]


def _listed(words: type[enum.Enum]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _kubelet() -> str:
    said = {**CONTAINER_WAITS, **POD_EVENTS}
    rows = [(code(word), code(symptom.reason), symptom.cure or "") for word, symptom in said.items()]
    return (
        "### What the kubelet says, and what podtask makes of it\n\n"
        f"{table(('Waiting container, or Event of the pod', 'Reason of the run', 'What to do'), rows)}"
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
