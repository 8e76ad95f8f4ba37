"""`on_completion`, `on_failure`, `on_retry`: the user's own functions, told in the driver how runs go.

    run.report(status) ──> HookQueue.news ──> a thread of its own ──> hook(task, run, state)

Statuses are what every backend reports, so hooks are called alike on all of them. Those of one flow run are called
one after the other, in the order of the news, in no run's context; the flow returns after the last one. What a hook
raises is logged and changes nothing. A driver that re-attaches calls them for what it learns, so a hook may be
called again after a restart. Before: `podtask.model.task_run`. Used by: `podtask.engine.flow_run`,
`podtask.engine.flow_engine` (those of flows).
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from contextvars import Context
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from podtask.core.api.names import State as Word
from podtask.options import Hook
from podtask.states import State, from_status

if TYPE_CHECKING:
    from podtask.core.api.status import Attempt, Status
    from podtask.model.task_run import TaskRun

log = logging.getLogger("podtask.engine.hooks")


class HookQueue:
    """The hooks of one flow run, waiting for their turn; a thread is there while there are any."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()
        self._lock = threading.Lock()
        self._working = False

    def news(self, run: TaskRun, before: Status, after: Status) -> None:
        """A run has changed: queue the hooks of its task. Never blocks and never raises."""
        options = run.task.options
        if options.on_retry:
            for attempt in _retried(before, after):
                info = replace(run.info, run_count=attempt.number)
                self.call(options.on_retry, run.task, info, _awaiting_retry(run, after, attempt))
        if after.finished:
            info = replace(run.info, run_count=after.attempts_total)
            self.call(due(options, run.state), run.task, info, run.state)

    def call(self, hooks: Iterable[Hook], *about: Any) -> None:
        """Queue these hooks with a task or flow, its run and its state."""
        for hook in hooks:
            self._submit(lambda hook=hook: _call(hook, about))  # type: ignore[misc]

    def drained(self) -> Future[None]:
        """A future that is done when every hook queued so far was called."""
        done: Future[None] = Future()
        with self._lock:
            idle = not self._working
        if idle:
            done.set_result(None)
        else:
            self._submit(lambda: done.set_result(None))
        return done

    def _submit(self, job: Callable[[], object]) -> None:
        with self._lock:
            self._waiting.append(job)
            if self._working:
                return
            self._working = True
        threading.Thread(target=self._work, name="podtask-hooks", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._working = False
                    return
                job = self._waiting.popleft()
            job()


def due(options: Any, state: State[Any]) -> tuple[Hook, ...]:
    """The hooks that a final state calls. Cancelled and NotReady call none."""
    if state.is_completed():
        return options.on_completion  # type: ignore[no-any-return]
    return options.on_failure if state.is_failed() else ()


def _retried(before: Status, after: Status) -> tuple[Attempt, ...]:
    """The failed attempts that cost a retry since then; a watch may have missed the states between them."""
    ended = tuple(attempt for attempt in after.attempts if attempt.judged)
    if after.finished:
        ended = ended[:-1]
    used = after.retries_used - before.retries_used
    return ended[-used:] if used > 0 else ()


def _awaiting_retry(run: TaskRun, status: Status, failed: Attempt) -> State[Any]:
    """The state between two attempts."""
    between = replace(status, state=Word.AWAITING_RETRY, message=failed.message, finished_at=None)
    return from_status(between, run.id, None)


def _call(hook: Hook, about: tuple[Any, ...]) -> None:
    try:
        answer = Context().run(hook, *about)
        if isinstance(answer, Coroutine):
            import asyncio

            asyncio.run(answer)
    except BaseException:
        name = getattr(hook, "__qualname__", None) or repr(hook)
        log.exception("Hook '%s' of '%s' failed; the run stays %s", name, about[1].name, about[2].name)
