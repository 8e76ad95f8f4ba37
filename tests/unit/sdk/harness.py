"""Doubles for the SDK's tests: a clock turned by hand, a launcher that only writes down, a backend of both."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from podtask.backends.in_process.clock import Timer
from podtask.backends.in_process.controller import LifecycleLoop, Tracked
from podtask.backends.in_process.result_cache import ResultCache
from podtask.context import FlowRunInfo
from podtask.engine.task_result import load
from podtask.model.task_run import RunKey, TaskRun
from podtask.payloads.arguments import bind, prepare
from podtask.support.thread_pool import Workers
from podtask.tasks import Task
from podtask_runner.attempt.execute import completed
from podtask_runner.attempt.in_memory import MemorySink
from podtask_runner.protocol import Error, Outcome, Verdict

START = datetime(2030, 1, 1, tzinfo=timezone.utc)


class ManualClock:
    """Time passes in `advance`, and what is due is called there."""

    def __init__(self) -> None:
        self._now = START
        self._due: list[tuple[datetime, int, Timer]] = []
        self._count = itertools.count()

    def now(self) -> datetime:
        return self._now

    def call_at(self, when: datetime, call: Callable[[], None]) -> Timer:
        timer = Timer(call)
        self._due.append((when, next(self._count), timer))
        return timer

    def advance(self, seconds: float) -> None:
        end = self._now + timedelta(seconds=seconds)
        while due := sorted(entry for entry in self._due if entry[0] <= end):
            entry = due[0]
            self._due.remove(entry)
            self._now = max(self._now, entry[0])
            entry[2].fire()
        self._now = end


class Now(Workers):
    """Workers that work at once, in the caller's thread."""

    def __init__(self) -> None:
        super().__init__(0)

    def submit(self, job: Callable[[], None]) -> None:
        job()


class Paper:
    """A launcher that writes down what it is told; the test says how attempts end."""

    def __init__(self) -> None:
        self.loop: LifecycleLoop
        self.launched: list[tuple[str, int]] = []
        self.free = True
        """Whether there is a worker for what is launched."""
        self.stopped: list[tuple[str, int]] = []
        self._tracked: dict[str, Tracked] = {}

    def launch(self, tracked: Tracked, attempt: int) -> None:
        self.launched.append((tracked.run.id, attempt))
        self._tracked[tracked.run.id] = tracked
        if self.free:
            self.loop.began(tracked, attempt)

    def stop(self, tracked: Tracked, attempt: int) -> None:
        self.stopped.append((tracked.run.id, attempt))

    def returns(self, run: TaskRun, value: Any, attempt: int = 1) -> None:
        sink = MemorySink()
        outcome = completed(value, sink)
        self.loop.ended(self._tracked[run.id], attempt, outcome, sink.result.data)

    def fails(self, run: TaskRun, attempt: int = 1, verdict: Verdict = Verdict.FAILED) -> None:
        outcome = Outcome(verdict, error=Error("ValueError", f"attempt {attempt}"))
        self.loop.ended(self._tracked[run.id], attempt, outcome)

    def dies(self, run: TaskRun, attempt: int = 1) -> None:
        self.loop.ended(self._tracked[run.id], attempt, None)


class Stage:
    """A lifecycle loop with all doubles in place; it is a backend as well."""

    name = "stage"

    def __init__(self, home: Any) -> None:
        self.clock = ManualClock()
        self.paper = Paper()
        self.loop = self.paper.loop = LifecycleLoop(self.paper, ResultCache(home, Now()), self.clock)
        self._count = itertools.count()

    def run(self, task: Task[..., Any], *args: Any, wait_for: Iterable[TaskRun] = (), **kwargs: Any) -> TaskRun:
        """Make a run and submit it."""
        run = make_run(task, self, args, kwargs, number=str(next(self._count)), wait_for=tuple(wait_for))
        self.submit(run)
        return run

    def submit(self, run: TaskRun) -> None:
        self.loop.submit(run)

    def cancel(self, run: TaskRun) -> None:
        self.loop.cancel(run)

    def read(self, run: TaskRun, what: Any) -> bytes:
        raise AssertionError("results come with the report")

    def close(self) -> None:
        """Nothing to let go of."""


def make_run(
    task: Task[..., Any],
    backend: Any,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    number: str = "0",
    wait_for: tuple[TaskRun, ...] = (),
) -> TaskRun:
    """A run of a flow that does not exist."""
    inputs = prepare(task.name, bind(task.signature, args, kwargs or {}), lambda _: None)
    flow = FlowRunInfo("11111111-flow", "flow-11111111", "flow")
    return TaskRun(
        RunKey(flow.id, task.task_key, number), task, inputs, flow=flow, backend=backend, load=load, wait_for=wait_for
    )
