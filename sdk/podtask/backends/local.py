"""`local`, the default: tasks run in this process, sync ones on threads, async ones on the flow's event loop.

Only how an attempt is started and stopped is told here; the rest is `podtask.backends.in_process.controller`, shared
with `process`. Sync code in this process cannot be stopped: after a timeout or a cancel its thread is left behind.
"""

from __future__ import annotations

import logging
import os
import threading
from contextvars import Context
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podtask.backends.in_process.attempt import InProcess, Retries, broken
from podtask.backends.in_process.clock import Clock, Timer, WallClock
from podtask.backends.in_process.controller import LifecycleLoop, Tracked
from podtask.backends.in_process.flow_records import LocalFlowRecords
from podtask.backends.in_process.progress import checkpoint, last
from podtask.backends.in_process.result_cache import ResultCache
from podtask.support import keyboard
from podtask.support.thread_pool import Workers
from podtask_runner.attempt.checkpoint import UNDECLARED
from podtask_runner.names import FILE
from podtask_runner.protocol import Error, Outcome, Verdict
from podtask_runner.serialization.format import Word

if TYPE_CHECKING:
    import asyncio

    from podtask.core.api.status import ErrorInfo, ResultInfo
    from podtask.model.task_run import TaskRun
    from podtask.settings import Settings

log = logging.getLogger("podtask.backends")
THREADS = 64
"""Sync tasks at once."""


class LocalBackend:
    """In-process execution; see `podtask.engine.backend.Backend`."""

    name = "local"
    detachable = False
    remote = False
    own_interpreter = False
    submits_at_once = 1

    def __init__(self, home: Path, clock: Clock | None = None, threads: int = THREADS) -> None:
        self._clock = clock or WallClock()
        self._workers = Workers(threads)
        self._results = ResultCache(home, self._workers)
        self.flow_runs = LocalFlowRecords(home)
        """Where flow runs are recorded; see `podtask.recording.record.FlowRunRecords`."""
        self._loop = LifecycleLoop(self, self._results, self._clock)
        self._background = BackgroundLoop()
        self._live: dict[str, LiveAttempt] = {}

    def submit(self, run: TaskRun) -> None:
        self._loop.submit(run)

    def cancel(self, run: TaskRun) -> None:
        self._loop.cancel(run)

    def read(self, run: TaskRun, what: ResultInfo | ErrorInfo) -> bytes:
        return self._results.read_of(run, what)

    def fetch(self, run: TaskRun, what: ResultInfo | ErrorInfo, path: Path) -> tuple[Path, str]:
        del path  # it lies on this machine already
        return self._results.file_of(run, what)

    def saved(self, run: TaskRun) -> Any:
        return last(self._results, run)

    def close(self) -> None:
        self._workers.close()
        self._background.close()

    def launch(self, tracked: Tracked, attempt: int) -> None:
        """Start the attempt on a thread or on a loop, as soon as there is one."""
        retries = Retries(tracked.retries_left, tracked.status.retries_used)
        progress = (
            checkpoint(self._results, tracked.uid, attempt) if tracked.run.task.options.checkpoints else UNDECLARED
        )
        live = LiveAttempt(tracked, attempt, InProcess(tracked.run, attempt, retries, progress), self)
        self._live[tracked.uid] = live
        if tracked.run.task.isasync:
            loop = tracked.run.loop or self._background.get()
            live.start_on(loop)
        else:
            self._workers.submit(live.run)

    def stop(self, tracked: Tracked, attempt: int) -> None:
        """End the attempt: async code is cancelled, sync code left behind."""
        live = self._live.get(tracked.uid)
        if live is not None and live.number == attempt:
            self._give_up(live, Outcome(Verdict.INTERRUPTED))

    def began(self, live: LiveAttempt) -> bool:
        """An attempt has its thread, and its timeout begins. Returns False when the attempt was given up meanwhile."""
        if not self._loop.began(live.tracked, live.number):
            return False
        seconds = live.tracked.policy.timeout_seconds
        if seconds is not None:
            when = self._clock.now() + timedelta(seconds=seconds)
            live.timer = self._clock.call_at(when, partial(self._time_is_up, live, seconds))
        return True

    def came_back(self) -> None:
        """A thread that was left behind has come back."""
        self._workers.shrink()

    def _time_is_up(self, live: LiveAttempt, seconds: float) -> None:
        text = f"The attempt exceeded timeoutSeconds ({seconds:g} s) while it ran."
        self._give_up(live, Outcome(Verdict.TIMED_OUT, error=Error("TimedOut", text)))

    def _give_up(self, live: LiveAttempt, outcome: Outcome) -> None:
        if not live.cancel(outcome):
            live.end(outcome, None)

    def left_behind(self, live: LiveAttempt, outcome: Outcome) -> None:
        """An attempt ends while its thread runs on: said before anybody hears of the end."""
        log.warning(
            "Task run '%s' was given up (%s), but sync code in this process cannot be stopped: its thread goes on. "
            "The process and kubernetes backends stop it.",
            live.tracked.run.name,
            outcome.outcome,
        )
        self._workers.grow()

    def ended(self, live: LiveAttempt, outcome: Outcome, payload: bytes | None) -> None:
        """An attempt is over; a result that is to be cached is stored first, as in a pod."""
        tracked = live.tracked
        if live.timer is not None:
            live.timer.cancel()
        if self._live.get(tracked.uid) is live:
            del self._live[tracked.uid]
        if outcome.result is not None and payload is not None and tracked.plan is not None and tracked.plan.key:
            try:
                is_file = Word.read(outcome.result.serializer).format == FILE
                self._results.keep(tracked.uid, live.number, Path(os.fsdecode(payload)) if is_file else payload)
            except Exception as error:  # noqa: BLE001 - a cache that cannot be written costs the next run its hit
                log.warning("The result of task run '%s' was not cached: %s", tracked.run.name, error)
        self._loop.ended(tracked, live.number, outcome, payload)


class LiveAttempt:
    """One attempt under way. It ends once; what comes later is dropped."""

    def __init__(
        self,
        tracked: Tracked,
        number: int,
        call: InProcess,
        owner: LocalBackend,
    ) -> None:
        self.tracked = tracked
        self.number = number
        self.timer: Timer | None = None
        self.running = False
        self._call = call
        self._owner = owner
        self._lock = threading.Lock()
        self._over = False
        self._why: Outcome | None = None
        self._task: asyncio.Task[None] | None = None
        self._on: asyncio.AbstractEventLoop | None = None

    def run(self) -> None:
        """On a worker thread: the whole attempt."""
        if not self._begun():
            return
        with self._lock:
            if self._over:
                return
            self.running = True
        outcome, payload = self._call.run()
        with self._lock:
            self.running, left_behind = False, self._over
        if left_behind:
            self._owner.came_back()
        else:
            self.end(outcome, payload)

    def start_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """On an event loop: make a task of it, in a context of its own."""
        self._on = loop
        try:
            loop.call_soon_threadsafe(self._start, loop)
        except RuntimeError:  # the loop is closed
            self.end(Outcome(Verdict.CRASHED, error=Error("Crashed", "The flow's event loop is closed.")), None)

    def cancel(self, outcome: Outcome) -> bool:
        """Cancel async code that has started; it ends with `outcome`. False where there is nothing to cancel."""
        with self._lock:
            if self._task is None or self._on is None or self._over:
                return False
            self._why = outcome
            try:
                self._on.call_soon_threadsafe(self._task.cancel)
            except RuntimeError:  # the loop was closed around it, and nothing will run there any more
                return False
            return True

    def end(self, outcome: Outcome, payload: bytes | None) -> None:
        """End the attempt. Does nothing when it has ended before."""
        with self._lock:
            if self._over:
                return
            self._over, left_behind = True, self.running
        self._call.given_up.set()
        if left_behind:
            self._owner.left_behind(self, outcome)
        self._owner.ended(self, outcome, payload)

    def _begun(self) -> bool:
        """As `LocalBackend.began`; where that fails, so does the attempt."""
        try:
            return self._owner.began(self)
        except Exception as error:
            log.exception("podtask could not begin task run '%s'", self.tracked.run.name)
            self.end(broken(error), None)
            return False

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._begun():
            return
        with self._lock:
            if not self._over:
                self._task = Context().run(loop.create_task, self._run_async())

    async def _run_async(self) -> None:
        outcome, payload = await self._call.run_async()
        why = self._why
        late = why is not None and why.outcome is Verdict.TIMED_OUT  # it kept the loop from telling it so
        if why is not None and (late or outcome.outcome is not Verdict.COMPLETED):
            outcome, payload = why, None
        self.end(outcome, payload)
        if keyboard.pressed() and outcome.error is not None and outcome.error.type == KeyboardInterrupt.__name__:
            raise KeyboardInterrupt  # of a person, while this task had the loop's thread


class BackgroundLoop:
    """An event loop on a thread of its own, for async tasks in sync flows; started by the first one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        import asyncio

        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="podtask-loop", daemon=True).start()
            return self._loop

    def close(self) -> None:
        """Stop the loop."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)


def create(settings: Settings) -> LocalBackend:
    """For `podtask.engine.registry`."""
    return LocalBackend(settings.home)
