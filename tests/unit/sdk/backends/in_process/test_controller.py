"""The lifecycle loop under a clock that is turned by hand: no threads, no waiting."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.sdk.harness import Stage

from podtask import TaskFuture, UpstreamNotReady, task
from podtask.core.api.names import Cause, Reason
from podtask.core.storage import ObjectInfo, StoreUnavailable
from podtask_runner.protocol import Verdict


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@task
def plain(x=None):
    return x


def names(run):
    return [state.name for state in run.history]


def test_a_run_is_launched_at_once_and_completed_with_its_result(stage: Stage) -> None:
    run = stage.run(plain)
    assert stage.paper.launched == [(run.id, 1)]
    stage.paper.returns(run, {"a": (1, 2)})
    assert names(run) == ["Pending", "Running", "Completed"]
    assert run.load() == {"a": (1, 2)}


def test_a_finished_run_lets_go_of_its_arguments_but_not_of_its_upstreams(stage: Stage) -> None:
    first = stage.run(plain)
    stage.paper.returns(first, 1)
    run = stage.run(plain, [TaskFuture(first), "large"])
    stage.paper.returns(run, 2)
    assert (run.inputs.payload, run.inputs.parameters, run.upstreams) == (b"", {}, (first,))


def test_nothing_is_launched_before_all_upstreams_completed(stage: Stage) -> None:
    first, second = stage.run(plain), stage.run(plain)
    after = stage.run(plain, [TaskFuture(first)], wait_for=[second])
    stage.paper.returns(first, 1)
    assert after.id not in dict(stage.paper.launched)
    stage.paper.returns(second, 2)
    assert stage.paper.launched[-1] == (after.id, 1)


def test_a_chain_of_thousand_not_ready_runs_needs_no_deep_stack(stage: Stage) -> None:
    first = run = stage.run(plain)
    for _ in range(1000):
        run = stage.run(plain, TaskFuture(run))
    stage.paper.fails(first)
    assert run.state.name == "NotReady"
    error = run.state.exception()
    assert isinstance(error, UpstreamNotReady)
    links = []
    while error is not None:
        links.append(error)
        error = error.__cause__
    assert len(links) == 11
    assert "attempt 1" in str(links[-1])


def test_a_retry_is_launched_when_its_delay_is_over_and_not_before(stage: Stage) -> None:
    run = stage.run(plain.with_options(retries=2, retry_delay_seconds=[10, 30]))
    stage.paper.fails(run)
    assert run.state.name == "AwaitingRetry"
    stage.clock.advance(9.999)
    assert len(stage.paper.launched) == 1
    stage.clock.advance(0.001)
    assert stage.paper.launched[1:] == [(run.id, 2)]
    stage.paper.fails(run, 2)
    stage.clock.advance(29.999)
    assert len(stage.paper.launched) == 2
    stage.clock.advance(0.001)
    stage.paper.fails(run, 3)
    assert names(run) == [
        "Pending", "Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Failed",
    ]  # fmt: skip


def test_jitter_only_ever_makes_a_delay_longer(stage: Stage) -> None:
    run = stage.run(plain.with_options(retries=1, retry_delay_seconds=10, retry_jitter_factor=0.5))
    stage.paper.fails(run)
    planned = run.status.next_attempt_at
    assert planned is not None
    assert timedelta(seconds=10) <= planned - stage.clock.now() <= timedelta(seconds=15)


def test_an_interruption_is_a_disruption_and_costs_no_retry(stage: Stage) -> None:
    run = stage.run(plain)
    stage.paper.fails(run, verdict=Verdict.INTERRUPTED)
    stage.clock.advance(60)
    assert stage.paper.launched[-1] == (run.id, 2)
    stage.paper.returns(run, 1, attempt=2)
    assert run.state.is_completed()
    assert run.status.attempts[1].cause is Cause.DISRUPTION
    assert run.status.retries_used == 0


def test_max_disruptions_limits_them(stage: Stage) -> None:
    run = stage.run(plain.with_options(max_disruptions=0))
    stage.paper.fails(run, verdict=Verdict.INTERRUPTED)
    assert run.state.is_crashed()


def test_an_end_without_a_word_is_crashed(stage: Stage) -> None:
    run = stage.run(plain.with_options(retries=3))
    stage.paper.dies(run)
    assert run.state.is_crashed()


def test_cancel_stops_the_attempt_and_its_end_is_cancelled(stage: Stage) -> None:
    run = stage.run(plain)
    run.cancel()
    assert stage.paper.stopped == [(run.id, 1)]
    stage.paper.fails(run, verdict=Verdict.INTERRUPTED)
    assert run.state.is_cancelled()


def test_an_attempt_without_a_free_worker_is_pending_and_queued(stage: Stage) -> None:
    stage.paper.free = False
    run = stage.run(plain)
    stage.clock.advance(5)
    assert (run.state.name, run.status.reason) == ("Pending", Reason.QUEUED)


def test_cancel_while_it_is_queued_takes_the_attempt_back(stage: Stage) -> None:
    stage.paper.free = False
    run = stage.run(plain)
    run.cancel()
    assert stage.paper.stopped == [(run.id, 1)]
    stage.paper.fails(run, verdict=Verdict.INTERRUPTED)
    assert run.state.is_cancelled()


def test_a_cache_that_cannot_be_written_costs_the_run_nothing(stage: Stage, monkeypatch, caplog) -> None:
    def full(*_: object, **__: object) -> str:
        raise StoreUnavailable("no space left")

    monkeypatch.setattr("podtask.core.storage.directory.DirectoryStore.put", full)
    monkeypatch.setattr("podtask.core.storage.directory.DirectoryStore.head", lambda *_: ObjectInfo("", 1, "e", 0))
    run = stage.run(plain.with_options(cache_key_fn=lambda *_: "key"))
    stage.paper.returns(run, 1)
    assert run.state.is_completed()
    assert "was not cached: no space left" in caplog.text


def test_a_result_that_is_there_when_cancel_comes_wins(stage: Stage) -> None:
    run = stage.run(plain)
    run.cancel()
    stage.paper.returns(run, 1)
    assert run.state.is_completed()


def test_cancel_before_the_start_ends_the_run_without_an_attempt(stage: Stage) -> None:
    waiting = stage.run(plain, TaskFuture(stage.run(plain)))
    waiting.cancel()
    assert waiting.state.is_cancelled()
    assert waiting.status.attempts_total == 0


def test_news_of_an_attempt_that_is_over_change_nothing(stage: Stage) -> None:
    run = stage.run(plain.with_options(retries=1))
    stage.paper.fails(run)
    stage.paper.returns(run, "late", attempt=1)
    assert not run.finished
    stage.paper.returns(run, "second", attempt=2)
    stage.paper.fails(run, 2)
    assert run.load() == "second"


def test_a_mistake_of_podtasks_own_crashes_the_run_instead_of_hanging_it(stage: Stage, monkeypatch, caplog) -> None:
    monkeypatch.setattr("podtask.backends.in_process.controller.decide", lambda *_: 1 / 0)
    run = stage.run(plain)
    assert run.state.is_crashed()
    assert "could not go on" in caplog.text
