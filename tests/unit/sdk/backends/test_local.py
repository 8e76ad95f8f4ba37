"""What only the in-process backend does: threads, abandoned code, logging, the loop in the background."""

from __future__ import annotations

import asyncio
import builtins
import contextvars
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.unit.sdk.harness import ManualClock

from podtask import flow, get_run_context, get_run_logger, tags, task
from podtask.backends.local import LocalBackend
from podtask.errors import NoRunContext
from podtask.support.thread_pool import Workers

pytestmark = pytest.mark.usefixtures("local")


def test_sync_tasks_run_at_the_same_time() -> None:
    together = threading.Barrier(8, timeout=30)

    @task
    def meet():
        together.wait()
        return threading.current_thread() is threading.main_thread()

    @flow
    def meeting():
        return [meet() for _ in range(8)]

    assert meeting() == [False] * 8


def test_async_tasks_of_a_sync_flow_run_at_the_same_time_on_one_loop() -> None:
    met: list[object] = []
    events: list[asyncio.Event] = []

    @task
    async def meet():
        mine = asyncio.Event()
        events.append(mine)
        met.append(asyncio.get_running_loop())
        if len(met) == 3:
            for event in events:
                event.set()
        await asyncio.wait_for(mine.wait(), 30)

    @flow
    def meeting():
        for _ in range(3):
            meet()

    meeting()
    assert len(set(met)) == 1


def test_a_timed_out_thread_is_left_behind_with_a_warning_and_its_late_result_dropped(caplog) -> None:
    from podtask import backends

    clock = ManualClock()
    backends.register("by hand", lambda given: LocalBackend(given.home, clock))
    started, gate, returned = threading.Event(), threading.Event(), threading.Event()

    @task(timeout_seconds=5)
    def stuck():
        started.set()
        gate.wait(30)
        returned.set()
        return "late"

    @flow(backend="by hand")
    def waiting():
        future = stuck()
        assert started.wait(30)
        clock.advance(5)
        return future.wait().name

    assert waiting() == "TimedOut"
    assert "its thread goes on" in caplog.text
    gate.set()
    assert returned.wait(30)


def test_a_stuck_thread_does_not_take_the_place_of_another(tmp_path) -> None:
    from podtask import backends

    backends.register("narrow", lambda given: LocalBackend(given.home, threads=1))
    gate = threading.Event()

    @task(timeout_seconds=0.05)
    def stuck():
        gate.wait(30)

    @task
    def after():
        return "ran"

    @flow(backend="narrow")
    def waiting():
        stuck().wait()
        return after()

    assert waiting() == "ran"
    gate.set()


def test_the_time_of_an_attempt_starts_with_the_attempt_and_not_in_the_queue() -> None:
    from podtask import backends

    clock = ManualClock()
    backends.register("narrow", lambda given: LocalBackend(given.home, clock, threads=1))
    gate = threading.Event()

    @task
    def first():
        gate.wait(30)

    @task(timeout_seconds=5)
    def second():
        return "in time"

    @flow(backend="narrow")
    def queueing():
        first()
        future = second()
        clock.advance(60)
        assert not future.done()
        gate.set()
        return future

    assert queueing() == "in time"


def test_a_cancelled_async_task_sees_the_cancellation() -> None:
    seen: list[str] = []
    started = threading.Event()

    @task
    async def endless():
        started.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    @flow
    def cancelling():
        future = endless()
        assert started.wait(30)
        future.cancel()
        return future.wait().name

    assert cancelling() == "Cancelled"
    assert seen == ["cancelled"]


def test_a_task_starts_in_a_clean_context_as_it_would_in_a_pod() -> None:
    mine = contextvars.ContextVar("mine", default="default")

    @task
    def look():
        return mine.get()

    @task
    async def look_async():
        return mine.get()

    @flow
    def looking():
        mine.set("set by the flow")
        return look(), look_async()

    assert looking() == ("default", "default")


def test_log_prints_sends_prints_to_the_runs_logger_and_leaves_print_alone(caplog, capsys) -> None:
    before = builtins.print

    @task(log_prints=True)
    def loud():
        print("to the log", 1, sep=" - ")

    @task
    def plain():
        print("to stdout")

    @flow(log_prints=True)
    def printing():
        loud()
        plain()
        print("flow")

    with caplog.at_level(logging.INFO, "podtask"):
        printing()
    logged = {record.getMessage(): record for record in caplog.records}
    assert {"to the log - 1", "flow"} <= set(logged)
    assert logged["to the log - 1"].task_run_name.startswith("loud-")
    assert "to stdout" in capsys.readouterr().out
    assert builtins.print is before


def test_run_loggers_mark_their_records(caplog) -> None:
    @task
    def speak():
        get_run_logger().info("hello %s", "log", extra={"mine": 1})

    @flow
    def speaking():
        get_run_logger().info("flow")
        speak().wait()
        return get_run_context().flow_run_id

    with caplog.at_level(logging.INFO, "podtask"):
        flow_run = speaking()
    by_text = {record.getMessage(): record for record in caplog.records}
    assert by_text["hello log"].flow_run_id == by_text["flow"].flow_run_id == flow_run
    assert (by_text["hello log"].attempt, by_text["hello log"].mine) == (1, 1)


def test_outside_of_any_run_there_is_no_context_and_no_logger() -> None:
    for ask in (get_run_context, get_run_logger):
        with pytest.raises(NoRunContext, match="where there is none"):
            ask()


def test_tags_add_up_and_go_away() -> None:
    with tags("a"):
        with tags("b", "a") as inner:
            assert inner == {"a", "b"}
        with tags() as outer:
            assert outer == {"a"}
    with tags() as none:
        assert none == frozenset()


def test_a_future_is_true_with_a_warning_hashable_and_readable() -> None:
    @task
    def one():
        return 1

    @flow
    def asking():
        future, other = one(), one()
        with pytest.warns(UserWarning, match=r"always true.*\.result\(\)"):
            assert future
        assert len({future, future, other}) == 2
        assert repr(future) == f"TaskFuture('{future.name}')"
        future.wait()
        assert "Completed" in future._repr_html_()
        told = []
        future.add_done_callback(told.append)
        assert told == [future]

    asking()


def test_a_flow_that_is_interrupted_cancels_its_tasks() -> None:
    futures = []
    started = threading.Event()

    @task
    async def endless():
        started.set()
        await asyncio.sleep(3600)

    @flow
    def interrupted():
        futures.append(endless())
        assert started.wait(30)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert futures[0].wait(30).is_cancelled()


class TestWorkers:
    def test_threads_are_made_when_needed_and_reused(self) -> None:
        workers, ran = Workers(4), threading.Semaphore(0)
        names = []

        def job():
            names.append(threading.current_thread().name)
            ran.release()

        for _ in range(3):
            workers.submit(job)
            assert ran.acquire(timeout=30)
        assert 1 <= len(set(names)) <= 3
        workers.close()

    def test_not_more_jobs_than_threads_run_at_once(self) -> None:
        workers, gate, done = Workers(2), threading.Event(), threading.Semaphore(0)
        running, most = [], []

        def job():
            running.append(1)
            most.append(len(running))
            gate.wait(30)
            running.pop()
            done.release()

        for _ in range(6):
            workers.submit(job)
        gate.set()
        for _ in range(6):
            assert done.acquire(timeout=30)
        assert max(most) <= 2
        workers.close()


CLOSING = """
import asyncio
from podtask import flow, task

started = []

@task
async def endless():
    await asyncio.Event().wait()

@flow
async def abandoned():
    started.append(await endless())
    await started[0].wait()

async def leaving():
    left.append(asyncio.ensure_future(abandoned()))
    while not started or not started[0].task_run.state.is_running():
        await asyncio.sleep(0)

left = []
loop = asyncio.new_event_loop()
loop.run_until_complete(leaving())
loop.close()
started[0].cancel()
print(started[0].task_run.state.name)
"""


def test_an_attempt_whose_loop_was_closed_can_be_given_up(tmp_path: Path) -> None:
    """As the thread of all timers does when its time is over, which must survive that."""
    environment = {**os.environ, "PODTASK_BACKEND": "local", "PODTASK_HOME": str(tmp_path)}
    argv = [sys.executable, "-c", CLOSING]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "Cancelled\n", done.stderr


FORKING = """
import os, signal
from podtask import flow, task

@task(retries=1, retry_delay_seconds=0.01)
def shaky(number):
    from podtask import get_run_context
    assert get_run_context().task_run.run_count == 2
    return number

@task
async def later(number):
    return number

@flow
def driving(number):
    return shaky(number).result() + later(number).result()

driving(1)
child = os.fork()
if not child:
    signal.alarm(30)
    os._exit(driving(2))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), driving(3))
"""


@pytest.mark.parametrize("backend", ["local", "process"])
def test_a_forked_child_runs_flows_of_its_own(tmp_path: Path, backend: str) -> None:
    environment = {**os.environ, "PODTASK_BACKEND": backend, "PODTASK_HOME": str(tmp_path)}
    argv = [sys.executable, "-c", FORKING]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "4 6\n", done.stderr
