"""What a flow gives back, its parameters, subflows and limits."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from podtask import FlowTimedOut, ParameterTypeError, UpstreamNotReady, flow, get_run_context, task
from podtask.engine import flow_engine
from podtask.states import Completed, Failed, State


def tasks():
    @task
    def good(x=1):
        return x

    @task
    def bad():
        raise ValueError("bad")

    return good, bad


@pytest.mark.usefixtures("backend")
class TestFlowResult:
    def test_any_other_value_is_completed_whatever_the_tasks_did(self) -> None:
        _, bad = tasks()

        @flow
        def careless():
            bad()
            return {"answer": 42}

        assert careless() == {"answer": 42}
        assert careless(return_state=True).is_completed()

    @pytest.mark.straight
    def test_nothing_returned_means_all_tasks_count(self) -> None:
        good, bad = tasks()

        @flow
        def all_good():
            good()

        @flow
        def one_bad():
            good()
            bad()

        assert all_good() is None
        with pytest.raises(ValueError, match="bad"):
            one_bad()
        state = one_bad(return_state=True)
        assert (state.name, state.message) == ("Failed", "1/2 states failed.")

    def test_no_tasks_and_nothing_returned_is_completed_with_none(self) -> None:
        @flow
        def empty():
            pass

        state = empty(return_state=True)
        assert state.is_completed()
        assert state.result is None

    @pytest.mark.straight
    def test_returned_futures_count_and_their_results_are_the_value(self) -> None:
        good, bad = tasks()

        @flow
        def one():
            bad()
            return good(5)

        @flow
        def some():
            return [good(1), good(2)]

        @flow
        def mixed_luck():
            return good(1), bad()

        assert one() == 5
        assert some() == [1, 2]
        with pytest.raises(ValueError, match="bad"):
            mixed_luck()
        state = mixed_luck(return_state=True)
        assert state.message == "1/2 states failed."
        assert some(return_state=True).message == "All states completed."

    def test_with_return_state_the_data_of_returned_futures_are_states_as_in_the_seed(self) -> None:
        good, _ = tasks()

        @flow
        def one():
            return good(5)

        inner = one(return_state=True).result
        assert isinstance(inner, State)
        assert inner.result == 5

    def test_futures_inside_other_values_are_replaced_and_not_judged(self) -> None:
        good, bad = tasks()

        @flow
        def answers():
            return {"good": good(1), "rest": [good(2), 3]}

        @flow
        def unlucky():
            return {"bad": bad()}

        assert answers() == {"good": 1, "rest": [2, 3]}
        state = unlucky(return_state=True)
        assert state.is_completed()
        assert state.result["bad"].is_failed()

    def test_a_state_made_by_hand_is_the_flows_own(self) -> None:
        @flow
        def completed():
            return Completed(7)

        @flow
        def failed():
            return Failed("on purpose")

        assert completed() == 7
        assert failed(return_state=True).message == "on purpose"
        with pytest.raises(Exception, match="on purpose"):
            failed()

    def test_an_exception_of_the_body_is_raised_after_all_tasks_ended(self) -> None:
        good, _ = tasks()
        futures = []

        @flow
        def broken():
            futures.append(good())
            raise KeyError("body")

        with pytest.raises(KeyError, match="body"):
            broken()
        assert futures[0].done()
        assert broken(return_state=True).message == "Flow run encountered an exception."

    def test_a_not_ready_task_fails_the_flow_that_returns_it(self) -> None:
        good, bad = tasks()

        @flow
        def chained():
            return good(bad())

        with pytest.raises(UpstreamNotReady):
            chained()
        assert chained(return_state=True).message == "1/1 states are not final."


@pytest.mark.usefixtures("backend")
class TestParameters:
    def test_annotated_parameters_are_coerced(self) -> None:
        @flow
        def typed(x: int, *rest: int, flag: bool = False):
            return [x, rest, flag]

        assert typed("5", "6", flag="yes") == [5, (6,), True]

    def test_wrong_parameters_fail_the_flow_and_name_every_culprit(self) -> None:
        @flow
        def typed(x: int, y: int):
            return "body ran"

        with pytest.raises(ParameterTypeError, match=r"'x': .*; 'y': "):
            typed("a", "b")
        state = typed("a", "b", return_state=True)
        assert (state.name, state.message) == ("Failed", "Flow run received invalid parameters.")

    def test_the_check_can_be_switched_off(self) -> None:
        @flow(validate_parameters=False)
        def typed(x: int):
            return x

        assert typed("5") == "5"


@pytest.mark.usefixtures("backend")
class TestSubflows:
    @pytest.mark.straight
    def test_a_subflow_gives_its_value_and_its_futures_can_be_passed_on(self) -> None:
        good, _ = tasks()

        @flow
        def inner(x):
            return good(x + 1)

        @flow
        def outer():
            return good(inner(good(1)))

        assert outer() == 2

    @pytest.mark.straight
    def test_a_failed_upstream_reaches_a_subflow_as_its_exception(self) -> None:
        _, bad = tasks()

        @flow
        def inner(x):
            return type(x).__name__

        @flow
        def outer():
            return inner(bad())

        assert outer() == "ValueError"

    def test_a_failed_subflow_counts_where_nothing_is_returned(self) -> None:
        @flow
        def inner():
            raise ValueError("inner")

        @flow
        def outer():
            inner(return_state=True)

        assert outer(return_state=True).message == "1/1 states failed."

    def test_a_subflow_knows_its_parent(self) -> None:
        @flow
        def inner():
            return get_run_context().flow_run

        @flow
        def outer():
            return get_run_context().flow_run, inner(), inner()

        parent, first, second = outer()
        assert first.parent_id == second.parent_id == parent.id
        assert len({parent.id, first.id, second.id}) == 3


@pytest.mark.usefixtures("backend")
class TestFlowTimeout:
    def test_a_flow_over_its_timeout_is_timed_out_and_is_not_waited_for(self) -> None:
        let_go, ended = threading.Event(), threading.Event()

        @flow(timeout_seconds=0.2)
        def slow():
            let_go.wait()
            ended.set()

        try:
            with pytest.raises(FlowTimedOut, match=r"exceeded timeout of 0.2 seconds"):
                slow()
            assert slow(return_state=True).name == "TimedOut"
            assert not ended.is_set()
        finally:
            let_go.set()

    def test_its_next_task_call_raises_and_its_tasks_are_cancelled(self) -> None:
        good, _ = tasks()
        seen: list[str] = []
        stopped = threading.Event()

        @task
        def slow():
            time.sleep(20)

        @flow(timeout_seconds=2)  # enough for the first call, on whatever machine
        def overdue():
            future = slow()
            seen.append(future.wait().name)
            with pytest.raises(TimeoutError, match="Flow run timed out"):
                good()
            stopped.set()

        assert overdue(return_state=True).name == "TimedOut"
        assert stopped.wait(timeout=30)
        assert seen == ["Cancelled"]


@pytest.mark.usefixtures("backend")
class TestReplay:
    def test_a_pinned_flow_run_id_gives_the_same_run_ids_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        good, _ = tasks()

        @flow
        def pinned():
            return [good(1).run_id, good(2).run_id]

        monkeypatch.setenv("PODTASK_FLOW_RUN_ID", "nightly")
        monkeypatch.setattr(flow_engine, "_top_level", Counter())  # as in a new process
        first = pinned()
        monkeypatch.setattr(flow_engine, "_top_level", Counter())
        assert pinned() == first
        assert pinned() != first
