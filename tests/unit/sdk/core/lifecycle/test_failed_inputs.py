"""What is recorded of an upstream that failed and may: enough for its exception, and never too much for a status."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.lifecycle_builders import DIGEST, at, failed_upstream, upstream

from podtask.core.api.limits import UPSTREAMS_LIMIT
from podtask.core.api.names import State
from podtask.core.api.status import ErrorInfo, Status
from podtask.core.lifecycle.failed_inputs import TEXTS_LIMIT, failed_input, resolved, uncached_by

STORED = ErrorInfo("ValueError", "boom", digest=DIGEST, size=7, attempt=2, cure="Repair it.")


def ended(state: State, error: ErrorInfo | None = STORED) -> Status:
    return Status(state=state, message="boom", error=error, attempts_total=3, finished_at=at(1))


@pytest.mark.parametrize("state", [State.FAILED, State.CRASHED])
def test_the_stored_exception_of_the_task_is_named(state: State) -> None:
    found = failed_input("up", "uid", ended(state))
    assert (found.digest, found.size, found.attempt, found.failed_as) == (DIGEST, 7, 2, state)


@pytest.mark.parametrize("state", [State.TIMED_OUT, State.CANCELLED, State.NOT_READY])
def test_an_end_that_the_task_did_not_raise_has_only_words(state: State) -> None:
    found = failed_input("up", "uid", ended(state))
    assert (found.digest, found.size, found.failed_as) == ("", 0, state)


def test_the_words_say_which_run_ended_how_and_what_to_do() -> None:
    said = failed_input("up", "uid", ended(State.TIMED_OUT)).message
    assert said == "Upstream task run 'up' timed out: boom Repair it."
    assert failed_input("up", "uid", Status(state=State.FAILED)).message == "Upstream task run 'up' failed"


def test_the_messages_of_all_upstreams_together_fit_into_a_status() -> None:
    long = replace(ended(State.CANCELLED), message="x" * 1024)
    one = failed_upstream()
    many = [replace(one, result=failed_input(f"up{n}", "uid", long)) for n in range(UPSTREAMS_LIMIT)]
    assert sum(len(found.message or "") for found in resolved([*many, upstream()])) <= TEXTS_LIMIT
    assert [len(found.message or "") for found in resolved(many[:2])] == [1024, 1024]


def test_a_run_is_uncached_by_any_upstream_that_failed_also_by_one_that_gives_no_data() -> None:
    assert uncached_by([upstream("a"), upstream("b", State.RUNNING)]) is None
    said = uncached_by([upstream("a"), failed_upstream("b", State.CRASHED, wants_data=False)])
    assert said == "Upstream task run 'b' is Crashed; a run whose upstream failed is not cached."
