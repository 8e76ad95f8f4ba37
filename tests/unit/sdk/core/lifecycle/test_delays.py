"""Delays: `podtask.core.lifecycle.delays`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.lifecycle_builders import T0

from podtask.core.lifecycle.delays import LONGEST, disruption_delay, later, user_delay
from podtask.core.lifecycle.model import Policy

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


def seconds(policy: Policy, retry: int, own: float | None = None) -> float:
    return user_delay(policy, retry, "uid", own).total_seconds()


def test_without_delays_there_is_none() -> None:
    assert seconds(Policy(), 1) == 0


def test_the_last_delay_repeats() -> None:
    policy = Policy(retry_delays=(1, 2.5, 7))
    assert [seconds(policy, retry) for retry in (1, 2, 3, 4, 99)] == [1, 2.5, 7, 7, 7]


def test_fractions_of_a_second_count() -> None:
    assert seconds(Policy(retry_delays=(0.25,)), 1) == 0.25


def test_an_own_delay_replaces_the_list_and_zero_is_one() -> None:
    policy = Policy(retry_delays=(30,))
    assert [seconds(policy, 1, own) for own in (4.5, 0.0, -1.0)] == [4.5, 0, 0]


def test_jitter_is_the_same_after_a_restart_and_differs_between_retries_and_runs() -> None:
    policy = Policy(retry_delays=(100,), retry_jitter=0.5)
    delays = [user_delay(policy, retry, uid) for retry in (1, 2) for uid in ("a", "b")]
    assert delays == [user_delay(policy, retry, uid) for retry in (1, 2) for uid in ("a", "b")]
    assert len(set(delays)) == 4


@given(st.floats(0, 604800), st.floats(0, 10), st.integers(1, 100), st.text(max_size=36))
def test_jitter_only_makes_longer_and_is_bounded(delay: float, jitter: float, retry: int, uid: str) -> None:
    found = user_delay(Policy(retry_delays=(delay,), retry_jitter=jitter), retry, uid).total_seconds()
    assert delay - 1e-6 <= found <= delay * (1 + jitter) + 1e-6


@given(NUMBERS, st.floats(0, 1e300))
def test_no_number_is_too_odd(own: float, jitter: float) -> None:
    assert timedelta(0) <= user_delay(Policy(retry_jitter=jitter), 1, "uid", own) <= LONGEST


def test_disruptions_slow_down_to_a_minute() -> None:
    found = [disruption_delay(used).total_seconds() for used in (1, 2, 3, 4, 7, 8, 1000)]
    assert found == [0, 1, 3, 7, 60, 60, 60]


@pytest.mark.parametrize("far", [1e12, 1e18, 1e300, float("inf")])
def test_later_ends_at_the_end_of_time(far: float) -> None:
    assert later(T0, far) == later(T0, 1e300)
    assert later(T0, 90) == T0 + timedelta(seconds=90)
