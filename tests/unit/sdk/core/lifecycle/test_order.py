"""Which of two rules answers where both could: every such pair has a sentence, and no pair is missing.

A grid of observations, far beyond what happens, is shown to each rule alone. A pair conflicts where one observation
gets an answer from both and none from an earlier rule. A new rule, or another order, changes the set of pairs and
fails here until its sentences are written.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.support.lifecycle_builders import HIT, at, awaiting, over, pod, running, said_, seen, upstream, waiting
from tests.unit.sdk.core.lifecycle.cases.case import CACHE, FINISHED, INVALID, VIEW, limit

from podtask.core.api.names import Reason, State
from podtask.core.api.status import Claim, Status
from podtask.core.lifecycle import RULES, decide
from podtask.core.lifecycle.model import Observed, Policy, Presence, Why
from podtask_runner.protocol import Verdict

NOW = 50.0
STORED = said_(Verdict.COMPLETED)
PODS = {
    "none": {"presence": Presence.ABSENT},
    "to be posted": {"presence": Presence.UNPOSTED},
    "expected": {"presence": Presence.EXPECTED},
    "late": {"presence": Presence.LATE, "late_until": at(36)},
    "foreign": {"presence": Presence.FOREIGN},
    "waits": {"pod": waiting()},
    "runs": {"pod": pod()},
    "has stored its result": {"pod": pod(stopping=True, gone_by=at(1)), "stored": STORED},
    "has stored it, and waits as far as the watch knows": {"pod": waiting(), "stored": STORED},
    "is to be gone": {"pod": pod(stopping=True, gone_by=at(1))},
    "waits and is to be gone": {"pod": waiting(stopping=True, gone_by=at(1))},
    "ended": {"pod": over(Verdict.FAILED)},
    "ended before the attempt": {"pod": over(Verdict.NEVER_STARTED)},
    "is idle": {"presence": Presence.IDLE},
    "is another's": {"presence": Presence.UNCLAIMED},
}
STATUSES = (FINISHED, Status(), running(), running(claim=Claim("fast-1", "pod-1")), awaiting(40), awaiting(60))
ON_OFF = (False, True)
FLOW_CANCELLED = Why(Reason.CANCELLED, "Flow run 'etl' was cancelled.")

ALIVE = ("pod_to_come", "waiting_pod", "running_pod")
STANDING = ("deleted", "invalid", "suspended", "queued", "due")
"""Gates that could answer while an attempt is there; the others are asked before the first, or between two."""
GATES = ("deleted", "invalid", "suspended", "upstream", "cached", "delayed", "queued", "due")

ORDER: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (
        ("finished",),
        ("cancelled", "flow_cancelled", *(gate for gate in GATES if gate != "delayed")),
        "an end is written once, whatever is asked for afterwards",
    ),
    (
        ("stored_result",),
        ("lost_node", "cancelled", "flow_cancelled", "past_deadline", "waiting_pod", "running_pod", "ended_attempt"),
        "a stored result is success, whatever happens to the pod afterwards",
    ),
    (
        ("lost_node",),
        ("cancelled", "flow_cancelled", "past_deadline"),
        "what cannot be stopped is removed, whoever wants it to stop",
    ),
    (("lost_node",), ("waiting_pod", "running_pod"), "what its node says is old news"),
    (("cancelled",), ("flow_cancelled",), "who cancels the run itself is named"),
    (("cancelled", "flow_cancelled"), ("past_deadline",), "who cancels wants Cancelled"),
    (("cancelled", "flow_cancelled"), ALIVE, "what is alive is stopped, not told of"),
    (("past_deadline",), ALIVE, "what is alive is stopped, not told of"),
    (("cancelled", "flow_cancelled"), GATES, "a run that is to end asks no gate"),
    (
        ("past_deadline",),
        ("deleted", "invalid", "suspended", "delayed", "queued", "due"),
        "a run that is to end asks no gate",
    ),
    (
        ("cancelled", "flow_cancelled", "past_deadline"),
        ("ended_attempt",),
        "what is stopped first is judged when it has ended",
    ),
    (ALIVE, ("ended_attempt",), "what is alive is not judged"),
    (("unclaimed",), ("ended_attempt", *STANDING), "a number that was not used is used before another"),
    (("lost_node",), ("ended_attempt",), "a pod is judged when it is gone"),
    (
        ("stored_result", "lost_node", *ALIVE, "ended_attempt"),
        STANDING,
        "what runs or ended comes before what may start",
    ),
    (("deleted",), GATES[1:], "what is deleted asks no gate"),
    (("invalid",), GATES[2:], "no waiting cures an invalid spec"),
    (("suspended",), GATES[3:], "a suspended run starts, ends and looks up nothing"),
    (("upstream",), ("cached",), "a key is made of upstream results"),
    (("upstream", "cached"), ("queued",), "who waits for something else takes no place in the line"),
    (("delayed",), ("queued",), "a retry in its delay takes no place in the line"),
    (("upstream", "cached", "delayed", "queued"), ("due",), "a gate holds the launch"),
)
CONFLICTS = {pair: why for firsts, seconds, why in ORDER for pair in itertools.product(firsts, seconds)}


def grid() -> Iterator[Observed]:
    for status, where, cancel, suspend, late in itertools.product(STATUSES, PODS.values(), ON_OFF, ON_OFF, ON_OFF):
        policy = Policy(
            cancel=cancel,
            suspend=suspend,
            deadline_seconds=30 if late else None,
            force_after_seconds=10,
            cache=CACHE,
        )
        for flow_ended in (None, FLOW_CANCELLED):
            base = seen(status, policy=policy, flow_ended=flow_ended, **where)
            yield from gates(base)
            yield from (replace(given, deleting=True) for given in gates(base))


def gates(base: Observed) -> Iterator[Observed]:
    for invalid, blocked, hit, full in itertools.product(ON_OFF, ON_OFF, ON_OFF, ON_OFF):
        yield replace(
            base,
            invalid=INVALID if invalid else None,
            upstreams=(upstream(state=State.FAILED),) if blocked else (),
            cache=replace(VIEW, hit=HIT) if hit else None,
            limits=(limit(held=2),) if full else (),
        )


def found() -> dict[tuple[str, str], Observed]:
    """One observation for each pair of which the first answers and the second would have, too."""
    pairs: dict[tuple[str, str], Observed] = {}
    for given in grid():
        answers = [rule.__name__ for rule in RULES if rule(given, at(NOW)) is not None]
        for second in answers[1:]:
            pairs.setdefault((answers[0], second), given)
    return pairs


FOUND = found()


def test_every_pair_that_can_conflict_has_its_sentence() -> None:
    assert set(FOUND) - set(CONFLICTS) == set(), "pairs without a sentence"
    assert set(CONFLICTS) - set(FOUND) == set(), "sentences about nothing"


@pytest.mark.parametrize("pair", FOUND, ids=" before ".join)
def test_of_two_rules_that_could_answer_the_earlier_one_does(pair: tuple[str, str]) -> None:
    first, second = pair
    given = FOUND[pair]
    assert decide(given, at(NOW)).rule == first, CONFLICTS[pair]
    alone = {rule.__name__: rule for rule in RULES}
    assert alone[second](given, at(NOW)) is not None
