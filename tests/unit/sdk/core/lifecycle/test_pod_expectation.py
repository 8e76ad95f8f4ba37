"""What a process expects of a pod: every row of the table has its sentence, and no row is missing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from datetime import timedelta

import pytest
from tests.support.lifecycle_builders import at, refusal

from podtask.core.lifecycle.model import Presence
from podtask.core.lifecycle.pod_expectation import PRESENCE, TRANSITIONS, Creation, Fact, PodExpectation
from podtask.core.lifecycle.rules import LOOK_AGAIN

Row = tuple[Creation, Fact, Creation]

ROWS: dict[str, Row] = {
    "an attempt that this process recorded is this process's to create": (
        Creation.UNKNOWN,
        Fact.RECORDED,
        Creation.UNPOSTED,
    ),
    "an accepted POST is waited for": (Creation.UNPOSTED, Fact.ACCEPTED, Creation.ACCEPTED),
    "a refused POST is sent again with the same number": (Creation.UNPOSTED, Fact.REFUSED, Creation.UNPOSTED),
    "a POST without an answer is looked up before anything else": (
        Creation.UNPOSTED,
        Fact.UNANSWERED,
        Creation.IN_DOUBT,
    ),
    "a POST that met the pod of somebody else created none": (
        Creation.UNPOSTED,
        Fact.NAME_TAKEN,
        Creation.NAME_TAKEN,
    ),
    "after a restart the watch shows what another process created": (Creation.UNKNOWN, Fact.SHOWN, Creation.SEEN),
    "a POST of an earlier process, or one that met its own pod, is seen": (
        Creation.UNPOSTED,
        Fact.SHOWN,
        Creation.SEEN,
    ),
    "what was accepted is seen": (Creation.ACCEPTED, Fact.SHOWN, Creation.SEEN),
    "what was in doubt was applied": (Creation.IN_DOUBT, Fact.SHOWN, Creation.SEEN),
    "the other pod went and ours came": (Creation.NAME_TAKEN, Fact.SHOWN, Creation.SEEN),
    "a live GET may be older than the watch": (Creation.GONE, Fact.SHOWN, Creation.SEEN),
    "after a restart a pod that is not there is gone": (Creation.UNKNOWN, Fact.MISSING, Creation.GONE),
    "a pod that was accepted and is not there is gone": (Creation.ACCEPTED, Fact.MISSING, Creation.GONE),
    "a pod that was seen and is not there is gone": (Creation.SEEN, Fact.MISSING, Creation.GONE),
    "the other pod went, and ours was never created": (Creation.NAME_TAKEN, Fact.MISSING, Creation.UNPOSTED),
    "what was in doubt was not applied": (Creation.IN_DOUBT, Fact.MISSING, Creation.UNPOSTED),
}

VERBS: dict[Fact, Callable[[PodExpectation], PodExpectation]] = {
    Fact.RECORDED: lambda pod: pod.recorded(),
    Fact.ACCEPTED: lambda pod: pod.accepted("pod-1", at(0)),
    Fact.REFUSED: lambda pod: pod.refused(refusal()),
    Fact.UNANSWERED: lambda pod: pod.unanswered(),
    Fact.NAME_TAKEN: lambda pod: pod.name_taken(),
    Fact.SHOWN: lambda pod: pod.shown("pod-1"),
    Fact.MISSING: lambda pod: pod.missing(),
}
POSTED = (Creation.ACCEPTED, Creation.SEEN, Creation.GONE)
"""The pod is, or was, or may be there."""


def reached(states: Iterable[Creation]) -> set[Creation]:
    """Everything that any facts lead to."""
    found = set(states)
    while more := {after for (before, _), after in TRANSITIONS.items() if before in found} - found:
        found |= more
    return found


@pytest.mark.parametrize("sentence", ROWS)
def test_row(sentence: str) -> None:
    before, fact, after = ROWS[sentence]
    assert VERBS[fact](PodExpectation(1, before)).creation is after


def test_every_row_has_one_sentence() -> None:
    assert {(before, fact): after for before, fact, after in ROWS.values()} == TRANSITIONS
    assert len(ROWS) == len(TRANSITIONS)


@pytest.mark.parametrize(
    ("state", "fact"), sorted(set(itertools.product(Creation, Fact)) - set(TRANSITIONS), key=str), ids=str
)
def test_a_pair_that_has_no_row_changes_nothing(state: Creation, fact: Fact) -> None:
    assert VERBS[fact](PodExpectation(1, state)).creation is state


def test_a_number_whose_pod_was_accepted_or_seen_is_never_posted_again() -> None:
    assert reached(POSTED) == {Creation.ACCEPTED, Creation.SEEN, Creation.GONE}


def test_only_what_this_process_recorded_is_posted() -> None:
    ways = {(before, fact) for (before, fact), after in TRANSITIONS.items() if after is Creation.UNPOSTED}
    assert ways - {(Creation.UNPOSTED, Fact.REFUSED)} == {
        (Creation.UNKNOWN, Fact.RECORDED),
        (Creation.NAME_TAKEN, Fact.MISSING),
        (Creation.IN_DOUBT, Fact.MISSING),
    }


@pytest.mark.parametrize("state", Creation)
def test_after_a_look_up_the_rules_can_see_it(state: Creation) -> None:
    """The observer looks up where it is due, and learns that the pod is there, that there is none, or sees another."""
    pod = PodExpectation(1, state, accepted_at=at(0))
    if pod.look_up_due(at(0)):
        assert {pod.shown("pod-1").presence, pod.missing().presence} <= set(PRESENCE.values())
    else:
        assert pod.presence in (Presence.UNPOSTED, Presence.EXPECTED)


def test_what_was_accepted_is_looked_up_when_the_watch_shows_nothing_for_long() -> None:
    pod = PodExpectation(1).recorded().accepted("pod-1", at(0))
    assert not pod.look_up_due(at(0) + LOOK_AGAIN - timedelta(seconds=1))
    assert pod.look_up_due(at(0) + LOOK_AGAIN)
    assert pod.missing().uid == "pod-1"


def test_refusals_count_until_something_else_happens() -> None:
    refused = PodExpectation(1).recorded().refused(refusal()).refused(refusal())
    assert (refused.refusals, refused.refusal) == (2, refusal())
    for after in (refused.accepted("pod-1", at(0)), refused.name_taken(), refused.shown("pod-1")):
        assert (after.refusals, after.refusal) == (0, None)
    assert refused.unanswered().missing().refusals == 2
