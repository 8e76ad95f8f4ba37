"""What tasks print in their pods, shown here: lines of the pod logs, to the logger of their task run.

    watch ──status──> PodLogs ──pod log API──> logger podtask.task_runs ──> run.report

One thread for all pods. The log of an attempt that runs is looked into every two seconds, a few pods per round;
when the attempt has ended the rest is read once, before the run's end is reported, so that prints come before
results. Nothing of this is needed for a result: what cannot be read is left out, and then nobody waits for it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from podtask.context import task_run_logger
from podtask.core.api import names
from podtask.core.api.status import pod_name
from podtask.core.storage.log_tail import sentences
from podtask.kube.client import utc

if TYPE_CHECKING:
    from podtask.core.api.status import Attempt, Status
    from podtask.model.task_run import TaskRun

log = logging.getLogger("podtask.backends")

LOOK_SECONDS = 2.0
PODS_PER_LOOK = 20
"""The API server asks a kubelet for each."""
LIMIT_BYTES = 1024 * 1024
"""Of one read; more is in the bucket and in `kubectl logs`."""
READ_SECONDS = 3.0
BACKLOG = 64
"""With more ends than this waiting for their logs, results go first."""
FAILURES = 3
"""Reads in a row that failed, after which no more are made."""


class PodLogReader(Protocol):
    """`client.Api.pod_log`, bound to a namespace."""

    def __call__(self, pod: str, since: str | None, limit_bytes: int, seconds: float) -> str: ...


LogTail = Callable[["TaskRun", int], bytes]
"""What the operator wrote at the end of an attempt's log because the runner could not; empty where it had not to."""

CUT: Final = frozenset({names.Ended.CRASHED, names.Ended.DISRUPTION, names.Ended.OUT_OF_MEMORY, names.Ended.TIMED_OUT})
"""Ends that may have left the runner no time for the log."""


@dataclass
class Tail:
    """One attempt's log, as far as it was shown."""

    run: TaskRun
    number: int
    pod: str
    """Name of its pod."""
    last: str = ""
    """Time of the last line shown."""
    cut: bool = False
    """It ended in one of the ways of `CUT`."""


@dataclass
class EndedRun:
    """A run whose end is to be told once its logs are out."""

    run: TaskRun
    tails: list[Tail]
    then: Callable[[], None]


class PodLogs:
    """Logs of the attempts of all runs. `step` is all of the logic; `start` makes the thread that calls it."""

    def __init__(self, read: PodLogReader, *, log_tail: LogTail | None = None, threaded: bool = True) -> None:
        self._read = read
        self._log_tail = log_tail or _no_log_tail
        self._threaded = threaded
        self._tails: dict[tuple[str, int], Tail] = {}
        self._over: set[tuple[str, int]] = set()
        self._ended: deque[EndedRun] = deque()
        self._changed = threading.Condition()
        self._running = self._closed = False
        self._failures = 0

    def update(self, run: TaskRun, status: Status, then: Callable[[], None]) -> None:
        """The run has a newer status. `then` reports it; at an end it is called after the last line was shown."""
        if self.off:
            then()
            return
        with self._changed:
            due = [tail for attempt in status.attempts if (tail := self._due(run, attempt, over=status.finished))]
            self._over.update((run.id, tail.number) for tail in due)
            wait = status.finished and bool(due) and len(self._ended) < BACKLOG
            if due:
                self._ended.append(EndedRun(run, due, then if wait else _nothing))
            if status.finished:
                self._forget(run)
            if self._ended or self._tails:
                self._start()
            self._changed.notify()
        if not wait:
            then()

    @property
    def off(self) -> bool:
        """True when logs turned out to be unavailable."""
        return self._failures >= FAILURES or self._closed

    def step(self) -> None:
        """Show what ended since the last step; where nothing did, look into what runs."""
        with self._changed:
            ended = self._ended.popleft() if self._ended else None
            tails = list(self._tails.values())[:PODS_PER_LOOK] if ended is None else []
            for tail in tails:  # to the back of the line
                self._tails[tail.run.id, tail.number] = self._tails.pop((tail.run.id, tail.number))
        for tail in tails:
            self._show(tail)
        if ended is None:
            return
        try:
            for tail in ended.tails:
                self._show(tail)
                self._show_log_tail(tail)
        finally:
            ended.then()

    def close(self) -> None:
        """Show no more logs. Ends that wait for their logs are reported."""
        with self._changed:
            self._closed = True
            ended = list(self._ended)
            self._ended.clear()
            self._tails.clear()
            self._changed.notify()
        for one in ended:
            one.then()

    def _due(self, run: TaskRun, attempt: Attempt, *, over: bool) -> Tail | None:
        """The tail of an attempt that has ended and whose rest was not asked for yet; one that runs is looked into."""
        key = (run.id, attempt.number)
        if attempt.started_at is None or key in self._over:
            return None
        tail = self._tails.pop(key, None) or Tail(run, attempt.number, pod_name(run.id, attempt))
        tail.cut = attempt.outcome in CUT
        if attempt.judged or over:
            return tail
        self._tails[key] = tail
        return None

    def _forget(self, run: TaskRun) -> None:
        for kept in (self._tails, self._over):
            for key in [key for key in kept if key[0] == run.id]:
                kept.pop(key) if isinstance(kept, dict) else kept.discard(key)

    def _show(self, tail: Tail) -> None:
        """Lines that are newer than the last one. Never raises."""
        if self.off:
            return
        since = f"{tail.last[:19]}Z" if tail.last else None
        try:
            text = self._read(tail.pod, since, LIMIT_BYTES, READ_SECONDS)
        except Exception as error:  # noqa: BLE001 - a log is never worth a flow
            self._failed(tail, error)
            return
        self._failures = 0
        out = task_run_logger(replace(tail.run.info, run_count=tail.number))
        for line in text.split("\n"):  # the only end of a line there: what a task prints may hold others, such as \r
            when, _, words = line.partition(" ")
            moment = utc(when)
            if moment is not None and moment > tail.last:
                tail.last = moment
                out.info("%s", words)

    def _show_log_tail(self, tail: Tail) -> None:
        """How a log ends that the runner could not complete; all of the chunk where the pod could not be read.

        Never raises.
        """
        if self.off or not tail.cut:
            return
        try:
            chunk = self._log_tail(tail.run, tail.number)
        except Exception as error:  # noqa: BLE001 - a log is never worth a flow
            self._failed(tail, error)
            return
        out = task_run_logger(replace(tail.run.info, run_count=tail.number))
        for line in sentences(chunk) if tail.last else chunk.decode(errors="replace").splitlines():
            out.info("%s", line)

    def _failed(self, tail: Tail, error: Exception) -> None:
        if getattr(error, "status", None) in (400, 404):  # the pod has not started, or is gone
            log.debug("No log of %s-%d: %s", tail.run.id, tail.number, error)
            return
        self._failures = FAILURES if getattr(error, "status", None) in (401, 403) else self._failures + 1
        if self.off:
            log.warning(
                "What tasks print in their pods is not shown any more: %s (PODTASK_REMOTE_LOGS=off: do not try)", error
            )

    def _start(self) -> None:
        if self._threaded and not self._running:
            self._running = True
            threading.Thread(target=self._run, name="podtask-logs", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._ended:
                    self._changed.wait_for(lambda: self._ended or self._closed, LOOK_SECONDS)
                if self._closed or not (self._ended or self._tails):
                    self._running = False
                    return
            try:
                self.step()
            except Exception:  # other ends wait behind this one
                log.exception("The end of a task run could not be told")


class NoLogs:
    """PODTASK_REMOTE_LOGS=off."""

    def update(self, run: TaskRun, status: Status, then: Callable[[], None]) -> None:  # noqa: ARG002
        """Tell the run at once."""
        then()

    def close(self) -> None:
        """Nothing to do."""


def _nothing() -> None:
    return None


def _no_log_tail(*_: object) -> bytes:
    return b""
