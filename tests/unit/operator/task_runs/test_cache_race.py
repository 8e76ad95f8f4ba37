"""Who goes first of identical runs, against a model that looks at all of them; and who is woken, once each."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from podtask_operator.task_runs.cache_race import Races
from podtask_operator.task_runs.key import Key

AT = datetime(2026, 1, 2, tzinfo=timezone.utc)
NAMES = [Key("team", name) for name in "abcdef"]
A, B, C = NAMES[:3]


def joined(*names: Key) -> Races:
    """A race of runs that came in this order."""
    races = Races()
    for place, key in enumerate(names):
        races.join(key, "k", (AT, float(place), key.name))
    return races


def test_the_oldest_goes_first_and_the_others_wait_for_it() -> None:
    races = joined(A, B, C)
    assert [races.first(key, "k") for key in (A, B, C)] == [None, A, A]


def test_one_that_has_started_goes_before_the_oldest() -> None:
    races = joined(A, B, C)
    races.claim(B, "k", claimed=True)
    assert [races.first(key, "k") for key in (A, B, C)] == [B, None, B]
    races.claim(B, "k", claimed=False)
    assert [races.first(key, "k") for key in (A, B, C)] == [None, A, A]


@pytest.mark.parametrize(("stored", "woken"), [(True, [B, C]), (False, [B])])
def test_a_stored_entry_wakes_all_who_wait_and_another_end_only_the_next(stored: bool, woken: list[Key]) -> None:
    races = joined(A, B, C)
    for key in (B, C):
        races.first(key, "k")
    races.leave(A, "k", stored=stored)
    assert races.due() == woken
    races.leave(B, "k", stored=True)
    assert races.due() == [C][: 2 - len(woken)]


def test_one_that_was_not_told_to_wait_is_woken_by_nobody() -> None:
    races = joined(A, B)
    races.leave(A, "k", stored=True)
    assert races.due() == []


def test_an_older_one_that_waits_for_a_record_goes_first_once_that_is_refused() -> None:
    races = joined(A, B)
    races.claim(B, "k", claimed=True)
    assert races.first(A, "k") == B
    races.claim(B, "k", claimed=False)
    assert (races.due(), races.first(B, "k")) == ([A], A)


def test_a_race_that_everybody_has_left_leaves_no_trace() -> None:
    races = joined(A, B)
    races.stand_down(A, "k")
    assert races.first(B, "k") is None
    for key in (A, B, B):
        races.leave(key, "k")
    assert (len(races), races.first(A, "k")) == (0, None)


class Race(RuleBasedStateMachine):
    """Runs join, start, give up, end. A model that looks at all of them says who goes first."""

    def __init__(self) -> None:
        super().__init__()
        self.races = Races()
        self.model: dict[Key, dict[str, Any]] = {}
        self.waits: set[Key] = set()
        self.ages = 0

    @rule(key=st.sampled_from(NAMES), recorded=st.booleans())
    def joins(self, key: Key, recorded: bool) -> None:
        self.ages += 1
        known = self.model.setdefault(
            key, {"age": (AT, float(self.ages), key.name), "claimed": False, "recorded": False}
        )
        known.update(stands=True, recorded=known["recorded"] or recorded)
        self.races.join(key, "k", known["age"], claimed=known["claimed"], recorded=recorded)

    @rule(key=st.sampled_from(NAMES), claimed=st.booleans())
    def claims(self, key: Key, claimed: bool) -> None:
        self.races.claim(key, "k", claimed=claimed)
        if key in self.model:
            self.model[key]["claimed"] = claimed

    @rule(key=st.sampled_from(NAMES))
    def stands_down(self, key: Key) -> None:
        self.races.stand_down(key, "k")
        if key in self.model:
            self.model[key]["stands"] = False

    @rule(key=st.sampled_from(NAMES))
    def looks(self, key: Key) -> None:
        first = self.races.first(key, "k")
        assert first == self.expected(key)
        self.waits.discard(key)
        if first is not None and key in self.model:
            self.waits.add(key)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), stored=st.booleans())
    def leaves(self, data: st.DataObject, stored: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        self.races.leave(key, "k", stored=stored)
        del self.model[key]
        self.waits.discard(key)
        if stored:
            self.woken(all_of_them=True)

    @invariant()
    def the_one_that_goes_first_does_not_sleep(self) -> None:
        self.woken()
        able = [key for key, known in self.model.items() if known["stands"]]
        if able and not any(map(self.started, able)):
            assert min(able, key=lambda key: self.model[key]["age"]) not in self.waits

    def woken(self, *, all_of_them: bool = False) -> None:
        due = self.races.due()
        assert len(due) == len(set(due))
        assert self.waits >= set(due), "once each"
        assert not all_of_them or set(due) == self.waits
        self.waits -= set(due)

    def started(self, key: Key) -> bool:
        return bool(self.model[key]["claimed"] or self.model[key]["recorded"])

    def expected(self, key: Key) -> Key | None:
        own = self.model.get(key)
        if own is not None and self.started(key):
            return None
        able = [other for other, known in self.model.items() if known["stands"]]
        started = [other for other in able if self.started(other)]
        ahead = min(started or able, key=lambda other: self.model[other]["age"], default=None)
        return None if ahead == key else ahead


TestRace = Race.TestCase
TestRace.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
