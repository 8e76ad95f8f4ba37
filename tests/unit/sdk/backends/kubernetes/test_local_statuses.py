"""A NotReady is told after the end that caused it."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.sdk.backends.kubernetes.harness import run_of

from podtask import task
from podtask.backends.kubernetes import local_statuses
from podtask.backends.kubernetes.local_statuses import after_the_cause, not_ready
from podtask.core.api.names import State
from podtask.model.task_run import TaskRun


@task
def one(x: int = 0) -> int:
    return x


FAILED = replace(local_statuses.cancelled(), state=State.FAILED)
COMPLETED = replace(local_statuses.cancelled(), state=State.COMPLETED)


def chain() -> tuple[TaskRun, TaskRun, TaskRun, list[str]]:
    first, other = run_of(one, number="0"), run_of(one, number="1")
    dependent = run_of(one, number="2", wait_for=(first, other))
    told: list[str] = []
    after_the_cause(dependent, lambda: told.append("not ready"))
    return first, other, dependent, told


def test_it_waits_for_the_failed_run_that_is_still_fetching_its_prints() -> None:
    first, other, _, told = chain()
    other.report(COMPLETED)
    assert told == []
    first.report(FAILED)
    assert told == ["not ready"]


def test_it_does_not_take_a_failure_that_is_allowed_for_the_cause() -> None:
    may, must = run_of(one, number="0"), run_of(one, number="1")
    dependent = run_of(one, number="2", wait_for=(may, must))
    dependent.may_fail = frozenset({may.id})
    told: list[str] = []
    after_the_cause(dependent, lambda: told.append("not ready"))
    may.report(FAILED)
    assert told == []
    must.report(FAILED)
    assert told == ["not ready"]


def test_it_is_told_once_though_more_runs_fail() -> None:
    first, other, _, told = chain()
    first.report(FAILED)
    other.report(FAILED)
    assert told == ["not ready"]


def test_it_is_told_at_once_where_the_cause_is_known_or_nothing_is_needed() -> None:
    failed = run_of(one, number="0")
    failed.report(FAILED)
    told: list[str] = []
    after_the_cause(run_of(one, number="1", wait_for=(failed,)), lambda: told.append("known"))
    after_the_cause(run_of(one, number="2"), lambda: told.append("alone"))
    assert told == ["known", "alone"]


def test_it_is_told_when_all_ended_well_here_though_not_there() -> None:
    first, other, _, told = chain()
    first.report(COMPLETED)
    other.report(not_ready("x", "Failed"))
    assert told == ["not ready"]
