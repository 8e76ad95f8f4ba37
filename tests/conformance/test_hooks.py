"""Hooks of tasks and flows: called in the driver, alike on every backend (issue 4)."""

from __future__ import annotations

import logging
import threading

import pytest

from podtask import flow, get_run_context, task


def telling(told: list[str]):
    """A hook that writes down the run's name, how often it ran, and its state."""

    def tell(of, run, state):
        told.append(f"{of.name} {run.run_count} {state.name}")

    return tell


def quickly_retried(told: list[str], fails: int):
    tell = telling(told)

    @task(retries=2, on_completion=[tell], on_failure=[tell], on_retry=[tell])
    def flaky():
        if get_run_context().task_run.run_count <= fails:
            raise ValueError("not yet")

    return flaky


@pytest.mark.usefixtures("backend")
class TestTaskHooks:
    @pytest.mark.straight
    def test_completion_is_told_once_after_every_retry(self) -> None:
        told: list[str] = []
        flaky = quickly_retried(told, fails=2)

        @flow
        def trying():
            flaky()

        trying()
        assert told == ["flaky 1 AwaitingRetry", "flaky 2 AwaitingRetry", "flaky 3 Completed"]

    def test_failure_is_told_when_no_retry_is_left(self) -> None:
        told: list[str] = []
        flaky = quickly_retried(told, fails=9)

        @flow
        def trying():
            flaky()

        trying(return_state=True)
        assert told[-1] == "flaky 3 Failed"
        assert len(told) == 3

    def test_a_hook_gets_the_state_with_its_result_or_exception(self) -> None:
        told: list[object] = []

        @task(on_completion=[lambda _task, _run, state: told.append(state.result)])
        def good():
            return 42

        @task(on_failure=[lambda _task, _run, state: told.append(repr(state.exception()))])
        def bad():
            raise ValueError("no")

        @flow
        def both():
            good().wait()
            bad().wait()

        both(return_state=True)
        assert told == [42, "ValueError('no')"]

    def test_a_run_that_is_not_ready_or_cancelled_calls_no_hook(self) -> None:
        told: list[str] = []
        tell = telling(told)

        @task
        def bad():
            raise ValueError("no")

        @task(on_completion=[tell], on_failure=[tell])
        def after(x):
            return x

        @flow
        def chain():
            after(bad())

        chain(return_state=True)
        assert told == []

    def test_hooks_run_in_this_process_one_after_the_other_and_the_flow_waits_for_them(self) -> None:
        told: list[str] = []
        go = threading.Event()

        def first(_task, _run, _state):
            go.wait(30)
            told.append("first")

        def second(_task, _run, _state):
            told.append("second")

        @task(on_completion=[first, second])
        def one():
            return 1

        @flow
        def waiting():
            value = one().result()  # is there before the hooks were called
            go.set()
            return value

        assert waiting() == 1
        assert told == ["first", "second"]

    def test_what_a_hook_raises_is_logged_and_changes_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        told: list[str] = []

        def broken(_task, _run, _state):
            raise SystemExit("hook")

        @task(on_completion=[broken, telling(told)])
        def one():
            return 1

        @flow(on_completion=[broken])
        def flowing():
            return one().result()

        with caplog.at_level(logging.ERROR, "podtask.engine.hooks"):
            assert flowing() == 1
        assert told == ["one 1 Completed"]
        assert len(caplog.records) == 2
        assert "broken' of 'one-" in caplog.records[0].getMessage()
        assert "broken' of 'flowing-" in caplog.records[1].getMessage()

    def test_async_hooks_are_awaited(self) -> None:
        told: list[str] = []

        async def tell(_task, _run, state):
            told.append(state.name)

        @task(on_completion=[tell])
        async def one():
            return 1

        @flow(on_completion=[tell])
        async def flowing():
            await one()

        import asyncio

        asyncio.run(flowing())
        assert told == ["Completed", "Completed"]


@pytest.mark.usefixtures("backend")
class TestFlowHooks:
    @pytest.mark.straight
    def test_a_flow_tells_its_end_after_its_tasks(self) -> None:
        told: list[str] = []

        @task(on_completion=[lambda _task, _run, _state: told.append("task")])
        def one():
            return 1

        @flow(on_completion=[lambda of, run, state: told.append(f"{of.name} {run.flow_name} {state.name}")])
        def flowing():
            one()

        flowing()
        assert told == ["task", "flowing flowing Completed"]

    def test_a_flow_that_raises_tells_its_failure_and_a_subflow_its_own(self) -> None:
        told: list[str] = []

        def tell(of, _run, state):
            told.append(f"{of.name}: {state.exception()}")

        @flow(on_failure=[tell])
        def inner():
            raise ValueError("no")

        @flow(on_failure=[tell], on_completion=[tell])
        def outer():
            inner()

        with pytest.raises(ValueError, match="no"):
            outer()
        assert told == ["inner: no", "outer: no"]


def test_a_hook_that_is_no_list_of_functions_is_refused_with_the_cure() -> None:
    with pytest.raises(TypeError, match=r"on_failure takes a list of functions, such as on_failure=\[tell\], not one"):
        task(print, on_failure=print)
    with pytest.raises(TypeError, match=r"on_retry takes functions \(task or flow, run, state\), not 'page me'"):
        task(print, on_retry=["page me"])
    with pytest.raises(TypeError, match=r"on_completion takes a list"):
        flow(print, on_completion="page me")
