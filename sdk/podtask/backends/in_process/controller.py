"""Runs the lifecycle in this process, for `local` and `process`: observe, decide, apply.

    submit, upstream done, attempt ended, timer ──> poke ──> decide(observed, now) ──> apply

The semantics are `podtask.core.lifecycle.decide`, the same as the operator's; an attempt in this process plays
the pod. A `Launcher` starts and stops attempts, which is all in which the two backends differ.
No thread waits: whoever brings an event makes the next decision.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from podtask.backends.in_process.clock import Clock, Timer
from podtask.backends.in_process.observer import log_failure, policy_of, upstreams_of
from podtask.backends.in_process.progress import forget
from podtask.backends.in_process.result_cache import CachePlan, ResultCache
from podtask.core.api.names import Reason, State
from podtask.core.api.status import MESSAGE_LIMIT, ErrorInfo, Status
from podtask.core.lifecycle import decide
from podtask.core.lifecycle.failed_inputs import uncached_by
from podtask.core.lifecycle.model import (
    Decision,
    DeletePod,
    Effect,
    Launch,
    Observed,
    Pod,
    PodPhase,
    Presence,
    Publish,
    Stop,
    Why,
)
from podtask.core.lifecycle.transitions import end
from podtask.model.task_run import TaskRun
from podtask.support import keyboard
from podtask_runner.protocol import Outcome

log = logging.getLogger("podtask.backends")
_ASK_LEAST, _ASK_MOST = timedelta(milliseconds=20), timedelta(milliseconds=500)
"""Pauses between two looks at the lock of another process."""
_QUEUED = Why(Reason.QUEUED, "Waiting for a free worker of this process.")


class Tracked:
    """One run and what the loop knows of it; touched under its lock only."""

    def __init__(self, run: TaskRun, now: datetime) -> None:
        self.run = run
        self.uid = run.uid = uuid.uuid4().hex
        self.created_at = now
        self.policy = policy_of(run)
        self.status = Status()
        self.missing: set[str] = set()
        """Upstreams still to come; the lifecycle looks for itself, this only says when."""
        self.pod: Pod | None = None
        self.payload: bytes | None = None
        self.plan = CachePlan() if self.policy.cache else None
        self.timer: Timer | None = None
        self.lock = threading.RLock()

    @property
    def retries_left(self) -> int:
        """User retries that the running attempt still has behind it."""
        return self.policy.retries - self.status.retries_used


class Launcher(Protocol):
    """Starts and stops attempts; both return at once, and tell `LifecycleLoop.began` and `ended` of every one."""

    def launch(self, tracked: Tracked, attempt: int) -> None:
        """Start the attempt."""
        ...

    def stop(self, tracked: Tracked, attempt: int) -> None:
        """Make the attempt end; its end is reported as any other."""
        ...


class LifecycleLoop:
    """All unfinished runs of one backend."""

    def __init__(self, launcher: Launcher, results: ResultCache, clock: Clock) -> None:
        self._launcher = launcher
        self._results = results
        self._clock = clock
        self._runs: dict[str, Tracked] = {}
        self._bringing = threading.local()

    def submit(self, run: TaskRun) -> None:
        """Follow the run from now on."""
        tracked = Tracked(run, self._clock.now())
        self._runs[run.id] = tracked
        missing = {needed.id: needed for needed in run.needs if not needed.finished}
        tracked.missing.update(missing)
        for needed in missing.values():
            needed.on_finished(partial(self._arrived, tracked, needed))
        self.poke(tracked)

    def _arrived(self, tracked: Tracked, needed: TaskRun) -> None:
        """Only the last upstream, or one that may not fail and did, is worth a decision: a fan-in of n is not looked at
        n times."""
        tracked.missing.discard(needed.id)
        failed = not needed.status.state.succeeded and needed.id not in tracked.run.may_fail
        if not tracked.missing or failed:
            self.poke(tracked)

    def cancel(self, run: TaskRun) -> None:
        """Ask for the run's end."""
        tracked = self._runs.get(run.id)
        if tracked is not None:
            with keyboard.Deferred():  # a step that ends in its middle is never gone on with
                with tracked.lock:
                    tracked.policy = replace(tracked.policy, cancel=True)
                self.poke(tracked)

    def began(self, tracked: Tracked, attempt: int) -> bool:
        """The attempt has its worker and starts now; False when it was given up meanwhile."""
        with tracked.lock:
            status, pod = tracked.status, tracked.pod
            if status.running is None or status.running.number != attempt or pod is None or pod.stopping:
                return False
            tracked.pod = replace(pod, phase=PodPhase.RUNNING, started_at=self._clock.now(), waiting=None)
            self.poke(tracked)
            running = tracked.status.running
            return running is not None and running.number == attempt and not tracked.pod.stopping

    def ended(self, tracked: Tracked, attempt: int, outcome: Outcome | None, payload: bytes | None = None) -> None:
        """An attempt is over; None: without a word. Late news of an attempt that was given up are ignored."""
        with tracked.lock:
            running = tracked.status.running
            if running is None or running.number != attempt or tracked.pod is None:
                return
            tracked.pod = replace(tracked.pod, phase=PodPhase.ENDED, outcome=outcome)
            tracked.payload = payload
        self.poke(tracked)

    def poke(self, tracked: Tracked) -> None:
        """Something happened to the run: decide again. Nested calls queue up, so a long chain needs no deep stack."""
        queue: deque[Tracked] | None = getattr(self._bringing, "queue", None)
        if queue is not None:
            queue.append(tracked)
            return
        queue = self._bringing.queue = deque([tracked])
        try:
            while queue:
                self._step(queue.popleft())
        finally:
            self._bringing.queue = None

    def _step(self, tracked: Tracked) -> None:
        with tracked.lock:
            if tracked.status.finished:
                return
            now = self._clock.now()
            try:
                if self._key_missing(tracked):
                    self._results.plan(tracked.run, lambda plan: self._planned(tracked, plan))
                    return
                if tracked.plan is not None and tracked.plan.error is not None:
                    self._crash(tracked, tracked.plan.error, now)
                    return
                self._apply(tracked, decide(self._observe(tracked), now), now)
            except Exception as error:
                log.exception("podtask could not go on with task run '%s'", tracked.run.name)
                self._crash(tracked, error, now)

    def _observe(self, tracked: Tracked) -> Observed:
        before_first = not tracked.status.attempts_total
        plan = tracked.plan
        return Observed(
            uid=tracked.uid,
            created_at=tracked.created_at,
            policy=tracked.policy,
            status=tracked.status,
            presence=Presence.SEEN if tracked.pod else Presence.ABSENT,
            pod=tracked.pod,
            upstreams=upstreams_of(tracked.run) if before_first else (),
            cache=self._results.look_up(tracked.run, plan, self._clock.now()) if plan and before_first else None,
            reports_at_once=True,
            worker_queue=_QUEUED,
        )

    def _key_missing(self, tracked: Tracked) -> bool:
        """The cache key is due: all upstreams have ended well, and it was not asked for yet."""
        if tracked.plan is None or tracked.plan.asked or tracked.policy.cancel:
            return False
        upstreams = upstreams_of(tracked.run)
        if any(not up.ready for up in upstreams):
            return False
        why = uncached_by(upstreams)
        tracked.plan = replace(tracked.plan, asked=True, off_reason=why)
        return why is None

    def _planned(self, tracked: Tracked, plan: CachePlan) -> None:
        with tracked.lock:
            tracked.plan = plan
        self.poke(tracked)

    def _apply(self, tracked: Tracked, decision: Decision, now: datetime) -> None:
        """Perform a decision: what must be there before the end is told first, everything else after."""
        before, tracked.status = tracked.status, decision.status
        for effect in decision.effects:
            if isinstance(effect, Publish):
                self._publish(tracked, effect)
            elif isinstance(effect, Launch):  # its pod is a worker that is still to come free
                pod_uid, tracked.payload = f"{tracked.uid}-{effect.attempt}", None
                tracked.pod = Pod(pod_uid, PodPhase.WAITING, waiting=_QUEUED)
        if tracked.status.finished:
            self._forget(tracked)
        log_failure(tracked.run, before, tracked.status)
        if tracked.status != before:
            tracked.run.report(tracked.status, tracked.payload if tracked.status.finished else None)
            self._forget_progress(tracked)
        for effect in decision.effects:
            self._perform(tracked, effect)
        again_at = self._next_look(tracked, decision.again_at)
        if tracked.status.finished or again_at is None:
            return
        if again_at <= now:
            self.poke(tracked)  # behind this step
        else:
            self._look_again(tracked, again_at)

    def _next_look(self, tracked: Tracked, again_at: datetime | None) -> datetime | None:
        """Behind another process there is nobody to tell of a leader's end: ask, the less often the longer it takes."""
        if tracked.status.attempts_total or not self._results.waits_abroad(tracked.run.id):
            return again_at
        now = self._clock.now()
        soon = now + min(max((now - tracked.created_at) / 10, _ASK_LEAST), _ASK_MOST)
        return min(again_at or soon, soon)

    def _publish(self, tracked: Tracked, effect: Publish) -> None:
        """A cache that cannot be written costs the next run its hit, and this one nothing."""
        components = tracked.plan.components if tracked.plan else None
        try:
            why_not = self._results.publish(effect, tracked.run, tracked.uid, components)
        except Exception as error:  # noqa: BLE001 - whatever it is
            why_not = str(error)
        if why_not is not None:
            log.warning("The result of task run '%s' was not cached: %s", tracked.run.name, why_not)

    def _perform(self, tracked: Tracked, effect: Effect) -> None:
        if isinstance(effect, Launch):
            self._launcher.launch(tracked, effect.attempt)
        elif isinstance(effect, (Stop, DeletePod)) and tracked.pod is not None:
            tracked.pod = replace(tracked.pod, stopping=True)
            self._launcher.stop(tracked, effect.attempt)

    def _look_again(self, tracked: Tracked, when: datetime) -> None:
        if tracked.timer is not None:
            tracked.timer.cancel()
        tracked.timer = self._clock.call_at(when, lambda: self.poke(tracked))

    def _forget(self, tracked: Tracked) -> None:
        self._runs.pop(tracked.run.id, None)
        if tracked.timer is not None:
            tracked.timer.cancel()
        if tracked.plan is not None and tracked.plan.key:
            for follower in self._results.leave(tracked.plan.key, tracked.run.id):
                if waiting := self._runs.get(follower):
                    tracked.run.on_finished(partial(self.poke, waiting))

    def _forget_progress(self, tracked: Tracked) -> None:
        """After the end was reported: a batch looks what its items came to (`saved`)."""
        if tracked.status.finished and tracked.run.task.options.checkpoints:
            forget(self._results, tracked.uid)

    def _crash(self, tracked: Tracked, error: BaseException, now: datetime) -> None:
        """The end of a run whose cache key function, or podtask itself, failed: never retried (as in Prefect 2.0b5).

        Nothing is asked again that may have failed just now: this end comes in any case.
        """
        from podtask_runner.serialization.exceptions import dump_exception, message_of

        text = f"{type(error).__name__}: {message_of(error)}"[:MESSAGE_LIMIT]
        why = Why(Reason.CRASHED, f"Execution was interrupted by an unexpected exception: {text}")
        seen = Observed(tracked.uid, tracked.created_at, tracked.policy, tracked.status)
        tracked.status = end(seen, now, State.CRASHED, why, ErrorInfo(type(error).__name__, text)).status
        tracked.payload = None
        for last in (self._stop_attempt, self._forget):
            try:
                last(tracked)
            except Exception:
                log.exception("podtask could not tidy up after task run '%s'", tracked.run.name)
        with suppress(Exception):  # its words are in the status
            tracked.payload = dump_exception(error)
        tracked.run.report(tracked.status, tracked.payload)
        self._forget_progress(tracked)

    def _stop_attempt(self, tracked: Tracked) -> None:
        running = tracked.status.running
        if running is not None and tracked.pod is not None and tracked.pod.phase is not PodPhase.ENDED:
            self._launcher.stop(tracked, running.number)
