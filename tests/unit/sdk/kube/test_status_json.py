"""Statuses as the API server has them, read back; words of a newer operator included."""

from __future__ import annotations

import pytest
from tests.unit.sdk.backends.kubernetes.harness import ENDED, result

from podtask.core.api.names import Reason, State
from podtask.core.api.status import Status
from podtask.kube.status_json import read


def test_no_status_is_the_empty_one() -> None:
    assert read({"metadata": {}}) == read({"status": {}}) == Status()


def test_what_the_operator_wrote_comes_back() -> None:
    attempt = {"number": 1, "cause": "First", "podUID": "u", "outcome": "Completed", "reason": "Completed"}
    status = read(
        {"status": {**result("42"), "attempts": [attempt], "conditions": [{"type": "Succeeded"}], "attempt": "1/1"}}
    )
    assert status.state is State.COMPLETED
    assert status.finished
    assert status.result is not None
    assert (status.result.value, status.result.attempt) == ("42", 1)
    assert status.attempts[0].pod_uid == "u"


@pytest.mark.parametrize(
    "odd", [{"reason": "Hibernating"}, {"cache": {"outcome": "Guess"}}, {"attempts": [{"number": "x"}]}]
)
def test_a_word_from_the_future_costs_only_its_field(odd: dict[str, object]) -> None:
    status = read({"status": {**ENDED, **odd}})
    assert status.state is State.COMPLETED
    assert status.finished


def test_an_end_in_an_unknown_word_is_a_failure_that_says_so() -> None:
    status = read({"status": {**ENDED, "state": "Archived"}})
    assert status.state is State.FAILED
    assert "Archived" in (status.message or "")


def test_a_known_reason_is_kept() -> None:
    assert read({"status": {"state": "Pending", "reason": "Quota"}}).reason is Reason.QUOTA
