"""Upstreams that did not complete, and order without data."""

from __future__ import annotations

from pathlib import Path

import pytest

from podtask import File, TaskCancelled, TaskCrashed, TaskTimedOut, UpstreamNotReady, flow, quote, task

ENDS = {"failed": ValueError, "crashed": TaskCrashed, "timed out": TaskTimedOut, "cancelled": TaskCancelled}


def ending(how: str):
    """A task that ends so, by itself or when it is cancelled."""

    @task(timeout_seconds=0.3 if how == "timed out" else None)
    def upstream():
        import time

        if how == "failed":
            raise ValueError("broken")
        if how == "crashed":
            raise BaseException("broken")  # noqa: TRY002 - that is what crashes
        time.sleep(60)

    return upstream


def started(how: str):
    """Its run, cancelled where it does not end by itself."""
    future = ending(how)()
    if how == "cancelled":
        future.cancel()
    return future


def plain(options):
    """A task that would run if it could."""
    return task(lambda x=None: "ran", name="after", **options)


@pytest.mark.usefixtures("backend")
class TestNotReady:
    @pytest.mark.straight
    @pytest.mark.parametrize("how", ENDS)
    def test_after_an_upstream_that_did_not_complete_a_task_is_not_ready_and_says_which_it_was(self, how: str) -> None:
        @flow
        def flowing():
            upstream = started(how)
            future = plain({"retries": 2})(upstream)
            state = future.wait()
            with pytest.raises(UpstreamNotReady) as raised:
                future.result()
            assert isinstance(raised.value.__cause__, ENDS[how])
            assert upstream.run_id in state.message
            return state.name, state.type.value, future.task_run.status.attempts_total

        assert flowing() == ("NotReady", "PENDING", 0)

    @pytest.mark.parametrize("how", ENDS)
    def test_order_without_data_needs_completion_as_well(self, how: str) -> None:
        @flow
        def flowing():
            return plain({})(wait_for=[started(how)]).wait().name

        assert flowing() == "NotReady"

    def test_the_message_begins_as_in_the_original(self) -> None:
        @flow
        def flowing():
            upstream = ending("failed")()
            state = plain({})(upstream).wait()
            return state.message.startswith(f"Upstream task run '{upstream.run_id}' did not reach a 'COMPLETED' state")

        assert flowing()

    def test_not_ready_reaches_the_end_of_a_chain_with_the_first_cause(self) -> None:
        @flow
        def flowing():
            future = ending("failed")()
            for _ in range(3):
                future = plain({})(future)
            state = future.wait()
            error = state.exception()
            while isinstance(error, UpstreamNotReady):
                error = error.__cause__
            return state.name, type(error).__name__, str(error)

        assert flowing() == ("NotReady", "ValueError", "broken")

    def test_a_quoted_future_of_a_failed_run_may_be_passed(self) -> None:
        @task
        def look(x):
            return type(x).__name__

        @flow
        def flowing():
            future = ending("failed")()
            future.wait()
            return look(quote(future)).result()

        assert flowing()

    def test_the_state_of_a_failed_run_is_as_good_as_its_future(self) -> None:
        @flow
        def flowing():
            return plain({})(ending("failed")().wait()).wait().name

        assert flowing() == "NotReady"

    def test_one_failed_upstream_among_good_ones_is_enough(self) -> None:
        @flow
        def flowing():
            good = plain({})()
            return plain({})([good, ending("failed")(), good]).wait().name, good.wait().name

        assert flowing() == ("NotReady", "Completed")

    def test_a_task_that_is_not_ready_leaves_the_others_alone(self) -> None:
        @flow
        def flowing():
            bad = ending("failed")()
            lost, good = plain({})(bad), plain({})()
            return lost.wait().name, good.result()

        assert flowing() == ("NotReady", "ran")


@pytest.mark.usefixtures("backend")
class TestOrder:
    def test_a_task_starts_after_what_it_waits_for_has_ended(self) -> None:
        @task
        def step(x=None):
            import time

            return time.time()

        @flow
        def flowing():
            first = step()
            second = step(wait_for=[first])
            third = step(wait_for=[[first], second])
            return first.result() <= second.result() <= third.result()

        assert flowing()

    def test_data_and_order_from_the_same_run_are_one_upstream(self) -> None:
        @flow
        def flowing():
            first = plain({})()
            second = plain({})(first, wait_for=[first])
            return second.result(), second.task_run.task_inputs

        value, inputs = flowing()
        assert value == "ran"
        assert inputs["x"] == inputs["wait_for"]

    def test_a_diamond_is_resolved_from_both_sides(self) -> None:
        @task
        def add(*numbers):
            return sum(numbers)

        @flow
        def diamond():
            top = add(1)
            return add(add(top, 10), add(top, 100)).result()

        assert diamond() == 112

    def test_an_upstream_that_gives_nothing_is_completed_like_any_other(self) -> None:
        @flow
        def flowing():
            return plain({})(task(lambda: None, name="nothing")()).result()

        assert flowing() == "ran"

    def test_the_state_of_a_subflow_is_no_upstream_and_keeps_a_task_from_running(self) -> None:
        @flow
        def good():
            return 5

        @flow
        def bad():
            raise ValueError("broken")

        @task
        def same(x):
            return x

        @flow
        def flowing():
            passed = same(good(return_state=True))
            lost = same(bad(return_state=True))
            names = [plain({})(wait_for=[inner(return_state=True)]).wait().name for inner in (good, bad)]
            return passed.result(), passed.task_run.task_inputs, lost.wait().name, names

        assert flowing() == (5, {"x": []}, "NotReady", ["Completed", "NotReady"])

    def test_waiting_for_something_that_is_no_run_is_a_type_error(self) -> None:
        @flow
        def flowing():
            with pytest.raises(TypeError, match="wait_for takes task futures, not int"):
                plain({})(wait_for=[5])
            return "survived"

        assert flowing() == "survived"

    def test_too_many_upstreams_are_refused_at_the_call(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("podtask.core.api.limits.UPSTREAMS_LIMIT", 2)

        @task
        def total(numbers):
            return len(numbers)

        @flow
        def flowing():
            futures = [plain({})(n) for n in range(3)]
            with pytest.raises(
                ValueError, match="at most 2 results of other task runs in a call of task 'total', not 3"
            ):
                total({"deep": [futures]})
            with pytest.raises(ValueError, match="at most 2 task runs that a call of task 'total' waits for, not 3"):
                total([1], wait_for=[futures])
            return total([futures[0], *futures[:2]], wait_for=futures[:2]).result()

        assert flowing() == 3

    def test_too_many_files_are_refused_at_the_call(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("podtask.core.api.limits.FILES_LIMIT", 1)
        for name in ("a", "b"):
            (tmp_path / name).write_text(name)

        @task
        def read(files):
            return [file.path.read_text() for file in files]

        @flow
        def flowing():
            with pytest.raises(ValueError, match="at most 1 files in a call of task 'read', not 2; pack them"):
                read([File(tmp_path / "a"), {"deep": File(tmp_path / "b")}])
            return read([File(tmp_path / "a"), File(tmp_path / "a")]).result()

        assert flowing() == ["a", "a"]
