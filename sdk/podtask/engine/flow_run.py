"""One run of a flow: which calls were made, under which names, and what is left to wait for.

    Task call ──> call() ──> FlowRun.submit ──> TaskRun ──> backend

Before: `podtask.tasks`. Opened and closed by: `podtask.engine.flow_engine`.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from podtask.context import FLOW_RUN, TAGS, FlowRunInfo, current_task_run
from podtask.core.api import call_limits, limits
from podtask.engine import run_names
from podtask.engine.batches import kind
from podtask.engine.batches.batch import Batch
from podtask.engine.hooks import HookQueue
from podtask.engine.submission import Together, cancel_each
from podtask.engine.task_result import load
from podtask.errors import FlowCancelled, FlowTimedOut, InsideTask, OutsideFlow
from podtask.futures import Submitted, TaskFuture, block_on
from podtask.model.not_ready import not_ready
from podtask.model.task_run import Executor, Listener, RunKey, TaskRun
from podtask.payloads.arguments import awaited, bind, prepare
from podtask.payloads.batch_calls import BatchCalls
from podtask.payloads.module_policy import policy_of
from podtask.support import containers, keyboard

if TYPE_CHECKING:
    import asyncio

    from podtask.display.tally import Tally
    from podtask.engine.backend import Backend
    from podtask.model.definitions import TaskDefinition
    from podtask.model.task_run import Inputs
    from podtask.payloads.arguments import Awaited
    from podtask.states import State
    from podtask.task_runners import TaskRunner
    from podtask.tracing.flow_trace import FlowTrace
    from podtask_runner.serialization.by_value import Packing

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class FlowRun:
    """The calls of one flow run. Used by the flow's thread or loop; counters are guarded for the user's threads."""

    def __init__(
        self,
        info: FlowRunInfo,
        backend: Backend,
        task_runner: TaskRunner,
        loop: asyncio.AbstractEventLoop | None = None,
        parent: FlowRun | None = None,
    ) -> None:
        self.info = info
        self.backend = backend
        self.task_runner = task_runner
        self.loop = loop
        self.parent = parent
        self.progress: Tally | None = None
        self.trace: FlowTrace | None = None
        """Where somebody traces."""
        self.children: list[FlowRun] = []
        self.hooks = HookQueue()
        self.listeners: list[Listener] = [self.hooks.news]
        self.detached = False
        """Of an outermost run: nobody waits for its task runs any more."""
        self._timed_out = False
        self._ended_by: str | None = None
        self.runs: list[TaskRun] = []
        self._batches: list[TaskRun] = []
        """What backends execute of batches; their items are among `runs`."""
        self._items: dict[TaskRun, list[TaskRun]] = {}
        """Of batches that are on their way to a backend."""
        self._sending: list[Together] = []
        """Submissions to a backend behind a network: a Ctrl-C may come before what it took is among `runs`."""
        self.subflow_states: list[State[Any]] = []
        self._by_id: dict[str, TaskRun] = {}
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        if parent is not None:
            parent.children.append(self)
            self.show(parent.progress)

    @property
    def over(self) -> bool:
        """True where the time of this flow run, or of one around it, is over."""
        return self._timed_out or (self.parent is not None and self.parent.over)

    @property
    def ended_by(self) -> str | None:
        """Why this flow run, or one around it, was ended from outside. None: it was not."""
        return self._ended_by or (self.parent.ended_by if self.parent is not None else None)

    def end_by(self, why: str) -> None:
        """The FlowRun was cancelled or deleted. No further calls are made. The operator cancels what runs."""
        self._ended_by = why

    @property
    def root(self) -> FlowRun:
        """The outermost flow run around this one, or itself."""
        return self if self.parent is None else self.parent.root

    def show(self, progress: Tally | None) -> None:
        """Tell `progress` of every call from now on."""
        self.progress = progress
        if progress is not None:
            self.listeners.append(progress.news)

    def unfinished(self) -> list[TaskRun]:
        """The task runs that have not ended, those of subflows included."""
        sent = [run for together in list(self._sending) for run in together.submitted]
        known = (*self._batches, *(run for run in self.runs if run.part_of is None), *sent)
        own = [run for run in dict.fromkeys(known) if not run.finished]
        return own + [run for child in self.children for run in child.unfinished()]

    def time_out(self) -> None:
        """The time of the flow run is over. No further calls are made, and running ones are cancelled."""
        self._timed_out = True
        self.cancel()

    def cancel(self, *, here: bool = False) -> None:
        """End every unfinished task run, those of subflows included; `here`: only those that run in this process.

        The latter no Ctrl-C keeps from it: the process may be a notebook's, where they would go on.
        """
        by_backend: dict[Executor, list[TaskRun]] = {}
        for run in self.unfinished():
            by_backend.setdefault(run.backend, []).append(run)
        for backend, runs in by_backend.items():
            if not backend.detachable:
                with keyboard.Deferred():
                    cancel_each(runs, backend.submits_at_once)
            elif not here:
                cancel_each(runs, backend.submits_at_once)

    def count(self, key: str) -> str:
        """How often this key was called before in this flow run: "0", "1", … (Prefect's dynamic key)."""
        with self._lock:
            self._calls[key] += 1
            return str(self._calls[key] - 1)

    def find(self, run_id: str) -> TaskRun | None:
        """A task run of this flow run, or of one around it."""
        return self._by_id.get(run_id) or (self.parent.find(run_id) if self.parent else None)

    def submit(
        self, task: TaskDefinition, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any] | None
    ) -> TaskRun:
        """Make a run of a call and hand it to the backend."""
        run = self._made(task, args, kwargs, wait_for)
        if self.backend.submits_at_once == 1:
            with keyboard.Deferred():
                self._handing_over(run)
                self._keep([run])
        else:
            self._submit_together([run])
        return run

    def submit_each(self, task: TaskDefinition, calls: Iterable[Arguments], wait_for: Any) -> list[TaskRun]:
        """Submit many calls of one task, as many at a time as the backend allows."""
        return self._submit_together(self._made(task, args, kwargs, wait_for) for args, kwargs in calls)

    @property
    def _handing_over(self) -> Callable[[TaskRun], None]:
        """The function that gives a run to the backend."""
        return self.backend.submit if self.trace is None else self.trace.submitting(self.backend.submit)

    def submit_batches(self, task: TaskDefinition, parts: Iterable[list[Arguments]], wait_for: Any) -> list[TaskRun]:
        """Submit many calls in batches: each batch is one run of the backend. Returns a run per call."""
        made: list[TaskRun] = []

        def each() -> Iterator[TaskRun]:
            for part in parts:
                batch, items = self._batch(task, part, wait_for)
                made.extend(items)
                if batch is None:
                    self._keep(items)
                else:
                    yield batch

        if self.backend.submits_at_once == 1:
            for batch in each():
                with keyboard.Deferred():
                    self._handing_over(batch)
                    self._keep([batch])
        else:
            self._submit_together(each())
        return made

    def _submit_together(self, runs: Iterable[TaskRun]) -> list[TaskRun]:
        many = Together(self._handing_over, self.backend.submits_at_once)
        self._sending.append(many)
        try:
            many.submit(runs)
        finally:
            self._keep(many.submitted)
        self._sending.remove(many)  # not after an interrupt: what is on its way then may be taken later
        return many.submitted

    def _made(self, task: TaskDefinition, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> TaskRun:
        self._refuse_late(task)
        bound = bind(task.signature, args, kwargs)
        inputs = prepare(task.name, bound, self.find, self._packing(task), remote=self.backend.remote)
        first = awaited(wait_for, self.find)
        return self._run(task, inputs, first, run_names.of_call(task, bound.arguments))

    def _batch(
        self, task: TaskDefinition, calls: list[Arguments], wait_for: Any
    ) -> tuple[TaskRun | None, list[TaskRun]]:
        """A run for the backend, and one per call. None: a state among the arguments keeps all of them back."""
        self._refuse_late(task)
        first, batch = awaited(wait_for, self.find), Batch(self.backend)
        together = BatchCalls(task, self.find, remote=self.backend.remote)
        items: list[TaskRun] = []
        for args, kwargs in calls:
            bound, seen = together.seen(args, kwargs)
            item = self._run(task, seen, first, run_names.of_call(task, bound.arguments), batch)
            items.append(item)
            if item.inputs.blocked_by is None:
                together.add(bound, item)
            else:
                item.report(not_ready("given state", item.inputs.blocked_by.name))
        left = [item for item in items if not item.finished]
        if not left:
            return None, items
        inputs = together.pickled(self._packing(task))
        span = dict.fromkeys((left[0].key.dynamic_key, left[-1].key.dynamic_key))
        name = f"{task.name}-{task.task_key[:8]}-{'..'.join(span)}"
        run = self._run(kind.of(task, len(left)), inputs, first, name)
        run.listeners = [batch.news, self.hooks.news]
        if self.trace is not None and not self.backend.remote:
            run.listeners.append(self.trace.news)
        batch.attach(run, left)
        self._items[run] = items
        return run, items

    def _refuse_late(self, task: TaskDefinition) -> None:
        if self.over:
            raise FlowTimedOut(f"Flow run timed out: '{self.info.name}' makes no further calls, '{task.name}' was one.")
        if self.ended_by is not None:
            raise FlowCancelled(f"{self.ended_by} '{task.name}' is not called any more.")

    def _packing(self, task: TaskDefinition) -> Packing | None:
        return policy_of(task).packing(at_home=not self.backend.remote) if self.backend.own_interpreter else None

    def _run(
        self, task: TaskDefinition, inputs: Inputs, first: Awaited, name: str | None, batch: Batch | None = None
    ) -> TaskRun:
        """`batch`: which one it is an item of."""
        if inputs.blocked_by is None and first.blocked_by is not None:
            inputs = replace(inputs, blocked_by=first.blocked_by)
        needed = {run.id for run in (*inputs.upstreams, *first.runs)}
        upstreams, waits = _with_task_runs(inputs.upstreams), _with_task_runs(first.runs)
        call_limits.call(task.name, upstreams=upstreams, wait_for=waits, files=inputs.files_met)
        return TaskRun(
            RunKey(self.info.id, task.task_key, self.count(task.task_key)),
            task,
            inputs,
            flow=self.info,
            backend=batch or self.backend,
            load=batch.load if batch else load,
            wait_for=first.runs,
            may_fail=frozenset(needed - inputs.must_complete - first.must_complete),
            tags=limits.tags(TAGS.get() | task.tags),
            loop=self.loop,
            listeners=self.listeners,
            name=name,
        )

    def _keep(self, runs: list[TaskRun]) -> None:
        self._batches.extend(run for run in runs if run in self._items)
        shown = [each for run in runs for each in self._items.pop(run, [run])]
        self.runs.extend(shown)  # first, and all at once: whoever is interrupted after it finds each of them to cancel
        for run in shown:
            self._by_id[run.id] = run
            if self.progress is not None:
                self.progress.added(run)
        if self.over:  # since the calls were on their way: `cancel` may not have seen them
            cancel_each(runs, 1)


def call(task: TaskDefinition, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any] | None) -> Any:
    """Submit a call of a task to the flow run around the call."""
    flow = _around(task, args, kwargs)
    return _handle(flow, flow.submit(task, args, kwargs, wait_for))


def call_each(task: TaskDefinition, calls: list[Arguments], wait_for: Any, batch_size: int | None = None) -> list[Any]:
    """Submit the calls of `.map`, several at a time on a backend behind a network."""
    flow = _around(task, *calls[0]) if calls else None
    wait_for = containers.listed(wait_for)  # every one of them waits, also for what can be gone through once
    if flow is not None and batch_size is not None:
        return _call_in_batches(flow, task, calls, wait_for, batch_size)
    if flow is None or flow.backend.submits_at_once == 1 or flow.task_runner.sequential:
        return [call(task, args, kwargs, wait_for) for args, kwargs in calls]
    return [_handle(flow, run) for run in flow.submit_each(task, calls, wait_for)]


def _call_in_batches(
    flow: FlowRun, task: TaskDefinition, calls: list[Arguments], wait_for: Any, size: int
) -> list[Any]:
    parts = [calls[start : start + size] for start in range(0, len(calls), size)]
    if not flow.task_runner.sequential:
        return [_handle(flow, run) for run in flow.submit_batches(task, parts, wait_for)]
    return [_handle(flow, run) for part in parts for run in flow.submit_batches(task, [part], wait_for)]


def current() -> FlowRun | None:
    """The flow run around this code."""
    context = FLOW_RUN.get()
    return cast("FlowRun", context.run) if context is not None else None


def _around(task: TaskDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> FlowRun:
    """The flow run that a call belongs to. Raises `InsideTask`, `OutsideFlow`, `TypeError`."""
    inside, flow = current_task_run(), current()
    if inside is not None or flow is None:
        bind(task.signature, args, kwargs)  # a call that does not fit is wrong anywhere
    if inside is not None:
        raise InsideTask("Task", task.name, inside.task_run.name)
    if flow is None:
        raise OutsideFlow(task.name)
    return flow


def _handle(flow: FlowRun, run: TaskRun) -> Any:
    """The future of a submitted run."""
    sequential = flow.task_runner.sequential
    if run.task.isasync and flow.loop is not None and _on(flow.loop):
        return Submitted(run, until_done=sequential)
    if sequential:
        block_on(run)
    return TaskFuture(run)


def _with_task_runs(runs: Iterable[TaskRun]) -> int:
    """How many of them a call names: what an item of a batch gave comes by value."""
    return sum(run.part_of is None for run in runs)


def _on(loop: object) -> bool:
    """Whether this thread is the loop's: a sync subflow inside an async flow, or a user's thread, is not async."""
    asyncio = sys.modules["asyncio"]
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
