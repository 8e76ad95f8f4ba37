"""The rules of `podtask.core.lifecycle.rules`, a sentence per case (the tables: `cases`)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.lifecycle_builders import at, over, refusal, running, seen, waiting
from tests.unit.sdk.core.lifecycle.cases import alive, ended, gates, laptop, stopping, warm

from podtask.core.api.names import Reason
from podtask.core.lifecycle import RULES, decide
from podtask.core.lifecycle.model import Policy, Presence, Why

TABLES = (stopping.CASES, alive.CASES, ended.CASES, gates.CASES, laptop.CASES, warm.CASES)
CASES = {sentence: case for table in TABLES for sentence, case in table.items()}


@pytest.mark.parametrize("sentence", CASES)
def test_decide(sentence: str) -> None:
    case = CASES[sentence]
    decision = decide(case.given, at(case.now))
    assert decision.rule == case.rule
    if case.state is not None:
        assert decision.status.state is case.state
    if case.reason is not ...:
        assert decision.status.reason is case.reason
    assert decision.effects == case.effects
    if case.again is not ...:
        assert decision.again_at == case.again
    assert (decision.status != case.given.status) is case.writes
    assert decision.queues is (case.rule == "queued")
    for name, value in (case.has or {}).items():
        assert getattr(decision.status, name) == value, name
    for name, value in (case.last or {}).items():
        assert decision.status.latest is not None
        assert getattr(decision.status.latest, name) == value, name


@pytest.mark.parametrize("sentence", CASES)
def test_a_decision_that_waits_names_a_later_time_and_an_end_has_no_next_attempt(sentence: str) -> None:
    case = CASES[sentence]
    decision = decide(case.given, at(case.now))
    if decision.again_at is not None and not decision.effects and decision.status == case.given.status:
        assert decision.again_at > at(case.now)
    if decision.status.finished:
        assert decision.status.state.finished
        assert decision.status.next_attempt_at is None
        assert decision.status.running is None


def test_no_sentence_is_in_two_tables() -> None:
    assert len(CASES) == sum(map(len, TABLES))


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES.values()} == {rule.__name__ for rule in RULES}


def test_texts_of_others_never_outgrow_the_status() -> None:
    long = Why(Reason.INVALID_SPEC, "x" * 5000, "y" * 5000)
    for given in (
        seen(invalid=long),
        seen(running(), pod=waiting(waiting=long)),
        seen(running(), pod=waiting(waiting=long, scheduled_at=at(-999))),
        seen(running(), presence=Presence.UNPOSTED, refusal=replace(refusal(final=True), why=long)),
        seen(running(), pod=over(disruption=long), policy=Policy(max_disruptions=0)),
    ):
        after = decide(given, at(5)).status
        texts = [after.message, *(t for a in after.attempts for t in (a.message, a.cure))]
        texts += [after.error.message, after.error.cure] if after.error else []
        assert all(len(text or "") <= 1024 for text in texts)
