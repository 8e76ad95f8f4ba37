"""The process with the user's code: forked by `podtask_runner.process.supervisor`, it executes once and reports.

Forked, not started anew: the interpreter and the wire formats are already loaded. It is a process group of its
own (so that the supervisor can end everything the user's code has started) and it does not outlive its supervisor.
"""

from __future__ import annotations

import faulthandler
import importlib
import io
import os
import signal
import sys
import threading
import types
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn

from podtask_runner.attempt import context
from podtask_runner.attempt.execute import execute, refusal
from podtask_runner.attempt.report import Handover, Phase
from podtask_runner.errors import ImportedAlready, RunnerError, ToldToStop
from podtask_runner.process import preload, spawn
from podtask_runner.process.idle import Gate
from podtask_runner.process.log_shipping import Tee, as_error
from podtask_runner.protocol import Error, Grants, Outcome, Verdict, load_grants
from podtask_runner.script import main_module
from podtask_runner.storage.client import Reload, Store

AHEAD: Final = (
    "encodings.idna",
    "http.client",
    "podtask_runner.bundle.archive",
    "podtask_runner.bundle.finder",
    "podtask_runner.hashing.content_hash",
    "podtask_runner.serialization.compression",
    "podtask_runner.serialization.exceptions",
    "podtask_runner.serialization.registry",
    "podtask_runner.serialization.pickling",
)
"""What a waiting child imports before its attempt comes."""


def main(grants: Grants, reload: Reload, handover: Handover, supervisor: int) -> int:
    """Execute one attempt and leave the report; the exit code is 0 when a report is there."""
    _settle(handover, supervisor)
    return _perform(grants, reload, handover)


def wait(gate: Gate, reload: Reload, handover: Handover, supervisor: int, tee: Tee, modules: Sequence[str] = ()) -> int:
    """The same in a pod that waits for its attempt: what every task needs is imported before the attempt comes.

    `modules`: what the WarmPool wants imported, too. An attempt with a project that has one of these names is left to
    the child that has not imported them.
    """
    _settle(handover, supervisor)
    _import_ahead()
    if modules:
        preload.import_all(modules, handover.preloaded)
    given = gate.child_side()
    if given is None:
        os._exit(0)
    grants = load_grants(given)
    if grants.logs is not None:
        tee.child_side()
        _renew_identity()
    return _perform(grants, reload, handover, preloaded=bool(modules))


def _import_ahead() -> None:
    """Everything of the runner that an attempt may need; `tests.unit.runner.process.test_ahead` counts what is left."""
    for name in AHEAD:
        importlib.import_module(name)


def _perform(grants: Grants, reload: Reload, handover: Handover, *, preloaded: bool = False) -> int:
    here = os.getpid()
    context.enter(grants, reload, handover.room)
    try:
        outcome = execute(grants, Store(grants, reload), handover)
    except RunnerError as error:
        outcome = refusal(error)
    except BaseException as error:  # noqa: BLE001 - the runner's own mistakes get a verdict too
        if os.getpid() != here:
            _leave(error, handover)
        cure = "This is a defect of podtask; please report it with this message."
        outcome = Outcome(Verdict.CRASHED, error=Error(type(error).__name__, str(error), retryable=False, cure=cure))
    if os.getpid() != here:  # the forked one met a refusal of the runner
        os._exit(1)
    if preloaded and outcome.error is not None and outcome.error.type == ImportedAlready.__name__:
        handover.enter(Phase.ELSEWHERE)
        os._exit(0)
    _flush()
    handover.report(outcome)
    if grants.traceparent is not None:
        from podtask_runner import tracing

        tracing.flush()  # no limit and no signal turns what is reported into something else any more
    return 0


def _settle(handover: Handover, supervisor: int) -> None:
    """From a copy of the supervisor to a process that user code may take for an ordinary Python."""
    handover.child_side()
    _die_with(supervisor)
    _end_in_order()
    with handover.fault.open("wb", buffering=0) as words:
        faulthandler.enable(os.dup(words.fileno()))
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    # New streams, because the old ones were made for the supervisor's descriptors (a file may have become a pipe);
    # by lines, so that what was printed is out before the interpreter dies.
    sys.stdout = sys.__stdout__ = _text_stream(io.BufferedWriter(_descriptor(1)))  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _text_stream(_AtOnce(_descriptor(2)), at_once=True)  # type: ignore[misc]
    # User code pickled from a script lives in `__main__`; it must not find the supervisor there.
    main_module.adopt()
    spawn.prepare(handover.room)
    sys.argv = [""]
    _complete_path()


class _AtOnce(io.BufferedWriter):
    """Standard error: nothing waits, and what standard output still holds of an unfinished line goes first."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw)
        self.renew()

    def renew(self) -> None:
        """What descriptor 2 is now is the task's own log."""
        self._pipe = _identity()

    def write(self, data: Any, /) -> int:
        with suppress(Exception):  # closed by user code
            assert sys.__stdout__ is not None
            sys.__stdout__.flush()
        text = bytes(data)
        if _identity() == self._pipe:  # elsewhere, user code has put a file in its place
            super().write(as_error(text))
        else:
            super().write(text)
        self.flush()
        return len(text)


def _renew_identity() -> None:
    """Descriptor 2 has become another pipe, and still is ours."""
    stream = getattr(sys.__stderr__, "buffer", None)
    if isinstance(stream, _AtOnce):
        stream.renew()


def _identity() -> tuple[int, int] | None:
    try:
        found = os.fstat(2)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _descriptor(number: int) -> io.FileIO:
    return io.FileIO(number, "w", closefd=False)


def _text_stream(binary: io.BufferedWriter, *, at_once: bool = False) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        binary, encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=at_once
    )


def _complete_path() -> None:
    """The working directory and PYTHONPATH first, as for `python script.py`, also under `python -I`."""
    wanted = [str(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    for entry in reversed([_cwd(), *wanted]):
        if entry not in sys.path:
            sys.path.insert(0, entry)


def _cwd() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a string for sys.path
    except OSError:
        return "/"


def _die_with(supervisor: int) -> None:
    """Ask the kernel for SIGKILL when the supervisor dies. Process 1 takes its whole pod with it anyway."""
    if supervisor == 1 or not sys.platform.startswith("linux"):
        return
    import ctypes

    set_parent_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:  # it died before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def _end_in_order() -> None:
    """SIGTERM (cancel, eviction) raises `ToldToStop`, so that `finally` and `with` tidy up within the grace.

    Python's own answer is to die on the spot. User code may install a handler of its own. Processes that it forks
    die on the spot as ever, because whoever terminates them counts on it; during the fork the signal is held
    back, because Python forgets one that reaches a new process before it is set up.
    """
    held = threading.local()

    def stop(signum: int, frame: types.FrameType | None) -> None:  # noqa: ARG001 - the shape of a handler
        raise ToldToStop(128 + signum)

    def hold() -> None:
        held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def release() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, held.mask)

    def release_new_process() -> None:
        if signal.getsignal(signal.SIGTERM) is stop:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        release()

    signal.signal(signal.SIGTERM, stop)
    os.register_at_fork(before=hold, after_in_parent=release, after_in_child=release_new_process)


def _leave(error: BaseException, handover: Handover) -> NoReturn:
    """End a process that user code forked, with the exit code and the words that any Python has for it.

    At once: files that go at the end of an interpreter belong to the task's own process.
    """
    code = error.code if isinstance(error, SystemExit) else 1
    if not isinstance(error, SystemExit):
        from podtask_runner.serialization.exceptions import traceback_text

        handover.tell(traceback_text(error))
    elif isinstance(code, str):
        handover.tell(f"{code}\n")
    _flush()
    os._exit(code & 0xFF if isinstance(code, int) else int(code is not None))


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # closed by user code, or replaced by something that does as it likes
            stream.flush()
