"""Process 1 of a pod: starts the child, watches it, and says what became of it, also when the child cannot.

The road: grants (`protocol`) → fork (`child`, `execute`) → watch (here) → `verdicts.judge` → `delivery.deliver`. It
also works as an ordinary process, which is how the process backend uses it: `python -X utf8 -m podtask_runner` with
`PODTASK_GRANTS` and `PODTASK_TERMINATION_LOG` in the environment.

Standard library only, and of it only what every attempt needs: what is imported here delays every task.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from podtask_runner.attempt.execute import refusal
from podtask_runner.attempt.report import Handover, Phase, no_room
from podtask_runner.errors import EnvironmentMismatch, RunnerError, StoreUnavailable
from podtask_runner.names import ENV_GRANTS, GRANTS_DIR, GRANTS_FILE, WIRE_VERSION
from podtask_runner.process import child, doorbell
from podtask_runner.process.delivery import deliver, say
from podtask_runner.process.log_shipping import Shipper, Tee, as_error, one_stream
from podtask_runner.process.log_shipping import say as say_aloud
from podtask_runner.process.verdicts import ChildExit, judge
from podtask_runner.protocol import Grants, LogPost, Outcome, Verdict, dump_outcome
from podtask_runner.storage import grants_file
from podtask_runner.storage.client import Store

EXIT_CODES: Final = {
    Verdict.COMPLETED: 0,
    Verdict.FAILED: 1,
    Verdict.INVALID_SPEC: 64,  # EX_USAGE, and so on: sysexits(3)
    Verdict.INPUT_CORRUPTED: 65,
    Verdict.STORE_UNAVAILABLE: 69,
    Verdict.NEVER_STARTED: 75,
    Verdict.CRASHED: 70,
    Verdict.ENVIRONMENT_MISMATCH: 78,
    Verdict.TIMED_OUT: 124,  # as timeout(1)
    Verdict.INTERRUPTED: 143,  # 128 + SIGTERM
}
"""For people who look at a pod. Whoever judges an attempt reads its outcome, never its exit code."""

_STOP: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_HEARD: Final = (*_STOP, signal.SIGCHLD)
_OOM_COUNTERS: Final = (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"))
_FOREVER: Final = float("inf")


def main() -> int:
    """Execute the attempt that the grants describe; the exit code (`EXIT_CODES`). In the child: its exit code."""
    one_stream()
    bell = Bell()
    path = Path(os.environ.get(ENV_GRANTS) or f"{GRANTS_DIR}/{GRANTS_FILE}")
    try:
        grants = read_grants(path)
        handover = Handover.create()
    except (RunnerError, OSError) as error:
        return speechless(error if isinstance(error, RunnerError) else no_room(error))
    store = Store(grants, lambda: read_grants(path))
    tee = Tee(Shipper(lambda: log_post(store), store.renew)) if grants.logs is not None else None
    killed_before = oom_kills()
    supervisor, pid = os.getpid(), fork(bell, tee)
    if pid == 0:
        return child.main(grants, lambda: read_grants(path), handover, supervisor)
    return attend(grants, store, handover, bell, tee, pid, killed_before)


class StandIn(Protocol):
    """A second child that waits, for an attempt that the first one must not execute."""

    def take_over(self) -> int:
        """It has the grants now; its pid."""
        ...

    def dismiss(self) -> None:
        """It is not needed."""
        ...


def attend(
    grants: Grants,
    store: Store,
    handover: Handover,
    bell: Bell,
    tee: Tee | None,
    pid: int,
    killed_before: int,
    stand_in: StandIn | None = None,
) -> int:
    """From the fork, or from the moment that the waiting child has its grants, to the exit code."""
    store.warm_up()
    ended = _Watch(pid, grants, handover, bell, tee, stand_in).until_end()
    outcome = judge(replace(ended, out_of_memory=oom_kills() > killed_before))
    closing = _closing_words(ended, outcome)
    if tee is not None:
        tee.drain(closing)
    else:
        say_aloud(as_error(closing))
    bell.on_stop = lambda: store.hurry(grants.grace_seconds / 2)
    if bell.stopped:
        bell.on_stop()
    delivered = deliver(outcome, store, handover, tee.shipper.join if tee is not None else lambda: None)
    if delivered.outcome is Verdict.COMPLETED:
        doorbell.ring(grants)
    store.close()
    handover.remove()
    return EXIT_CODES[delivered.outcome]


def read_grants(path: Path) -> Grants:
    """The grants of this attempt. Raises `StoreUnavailable` (an `OSError` for re-reads) or `EnvironmentMismatch`."""
    cure = "The operator mounts the grants as a Secret; look at the pod's volumes and the operator's log."
    try:
        grants = grants_file.read(path)
    except (OSError, ValueError) as error:
        raise StoreUnavailable(f"The grants file {path} cannot be read: {error}.", cure) from error
    if grants.v > WIRE_VERSION:
        raise EnvironmentMismatch(
            f"The grants have version {grants.v}; this runner reads up to {WIRE_VERSION}.",
            "Use a runner image that is at least as new as the operator.",
        )
    return grants


def oom_kills() -> int:
    """How often the kernel has killed for memory in this cgroup (v2, then v1); 0 where it does not say."""
    for path in _OOM_COUNTERS:
        with suppress(OSError, ValueError):
            counts = dict(line.split(maxsplit=1) for line in path.read_text().splitlines())
            return int(counts.get("oom_kill", 0))
    return 0


class Bell:
    """Signals as bytes on a pipe, so that one `select` waits for everything."""

    def __init__(self) -> None:
        self.stopped = False
        self.on_stop: Callable[[], None] | None = None
        self.read_end, self._write_end = os.pipe()
        for end in (self.read_end, self._write_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in _HEARD:
            signal.signal(number, self._ring)

    def _ring(self, number: int, _frame: object) -> None:
        if number in _STOP:
            self.stopped = True
            if self.on_stop is not None:
                self.on_stop()

    def silence(self) -> None:
        """Wait for the next ring."""
        with suppress(BlockingIOError):
            while os.read(self.read_end, 512):
                continue

    def leave(self) -> None:
        """Child: signals mean again what they mean in any Python."""
        signal.set_wakeup_fd(-1)
        for number in _HEARD:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.close(self.read_end)
        os.close(self._write_end)


def fork(bell: Bell, tee: Tee | None) -> int:
    """The child's pid, 0 in the child. Signals wait until both sides are ready for them."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    pid = os.fork()
    with suppress(OSError):  # both sides, so that the group exists whoever is first
        os.setpgid(pid, pid)
    if pid == 0:
        bell.leave()
        if tee is not None:
            tee.child_side()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


class _Watch:
    """The supervisor's loop, from the fork to the child's end."""

    def __init__(
        self, pid: int, grants: Grants, handover: Handover, bell: Bell, tee: Tee | None, stand_in: StandIn | None
    ) -> None:
        self._pid, self._handover, self._bell, self._tee = pid, handover, bell, tee
        self._stand_in = stand_in
        self._grace = grants.grace_seconds
        self._limit = grants.timeout_seconds
        self._deadline = time.monotonic() + self._limit if self._limit is not None else _FOREVER
        self._kill_at = _FOREVER
        self._timed_out = self._interrupted = False

    def until_end(self) -> ChildExit:
        """Copy output, enforce the limits, forward SIGTERM; what was seen of the child's end."""
        control = self._handover.supervisor_side()
        waiting = {self._bell.read_end, control}
        if self._tee is not None:
            waiting.add(self._tee.supervisor_side())
        while (status := self._end()) is None:
            self._limits()
            pause = min(self._deadline, self._kill_at) - time.monotonic()
            ready, _, _ = select.select(waiting, (), (), None if pause == _FOREVER else max(0.0, pause))
            for descriptor in ready:
                if descriptor == self._bell.read_end:
                    self._bell.silence()
                elif descriptor == control:
                    self._listen(waiting, control)
                elif self._tee is not None and not self._tee.pump():
                    waiting.discard(descriptor)
        self._signal_group(signal.SIGKILL)  # what the user's code started and left behind
        self._dismiss()
        self._handover.listen()
        return ChildExit(
            self._handover.collect(),
            exit_code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
            signum=os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            phase=self._handover.phase,
            timed_out=self._limit if self._timed_out else None,
            interrupted=self._interrupted or (self._bell.stopped and self._handover.phase is not Phase.REPORTED),
            stderr_tail=self._handover.stderr_tail(),
        )

    def _end(self) -> int | None:
        """The status of whoever executes the attempt, once that has ended."""
        status = self._reap()
        if status is None or self._stand_in is None:
            return status
        self._handover.listen()
        if self._handover.phase is not Phase.ELSEWHERE or self._timed_out or self._bell.stopped:
            return status
        self._signal_group(signal.SIGKILL)  # what its modules have started
        stand_in, self._stand_in, self._handover.phase = self._stand_in, None, None
        try:
            self._pid = stand_in.take_over()
        except OSError:  # the disk is full: the first one's end stands
            stand_in.dismiss()
            return status
        return self._reap()

    def _dismiss(self) -> None:
        if self._stand_in is not None:
            self._stand_in.dismiss()
            self._stand_in = None

    def _listen(self, waiting: set[int], control: int) -> None:
        if not self._handover.listen():
            waiting.discard(control)
        if self._handover.phase is Phase.RUN:
            self._dismiss()
        if self._handover.phase is Phase.REPORTED and self._kill_at == _FOREVER:
            # The work is done. A thread that user code left running may not hold up the outcome for ever.
            self._deadline, self._kill_at = _FOREVER, time.monotonic() + self._grace

    def _limits(self) -> None:
        now = time.monotonic()
        reported = self._handover.phase is Phase.REPORTED
        if self._bell.stopped and not self._interrupted and not reported:
            self._interrupted = True
            self._ask_to_stop(now)
        if now >= self._deadline:
            self._deadline = _FOREVER
            if not self._interrupted:
                self._timed_out = True
                self._ask_to_stop(now)
        if now >= self._kill_at:
            self._kill_at = _FOREVER
            self._signal_group(signal.SIGKILL)

    def _ask_to_stop(self, now: float) -> None:
        self._kill_at = min(self._kill_at, now + self._grace)
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        if self._tee is not None:
            self._tee.shipper.hurry()

    def _signal_group(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, number)

    def _reap(self) -> int | None:
        """The child's status once it has ended; orphans are buried on the way (process 1 inherits them)."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except OSError as error:
                if error.errno == errno.ECHILD:
                    return 0
                raise
            if pid == self._pid:
                return status
            if pid == 0:
                return None


def log_post(store: Store) -> LogPost:
    post = store.grants.logs
    if post is None:  # renewed grants without logs: nobody wants them any more
        return LogPost("file:///dev/null", "", 1)
    return post


def _closing_words(ended: ChildExit, outcome: Outcome) -> bytes:
    """What the log ends with when the task did not complete: the interpreter's last words, and the verdict."""
    return ended.stderr_tail.encode("utf-8", "backslashreplace") + (
        line_of(outcome) if outcome.error is not None else b""
    )


def line_of(outcome: Outcome) -> bytes:
    error = outcome.error
    text = f"podtask: {outcome.outcome}: {error.message} {error.cure or ''}".rstrip() if error is not None else ""
    return f"{text}\n".encode("utf-8", "backslashreplace")


def speechless(error: RunnerError) -> int:
    """Without grants there is no store: the termination message and our own log are all there is."""
    outcome: Outcome = refusal(error)
    say(dump_outcome(outcome))
    say_aloud(as_error(line_of(outcome)))
    return EXIT_CODES[outcome.outcome]
