"""`process`: a subprocess per attempt, through the very runner that pods use.

    Launch ──> grants file with file:// slots ──> python -m podtask_runner ──> outcome file ──> ended

Code and arguments travel pickled, results lie in the directory store below `PODTASK_HOME`. Timeouts, crashes and
dead interpreters are judged as on a cluster. The rest is `podtask.backends.in_process.controller`, shared with `local`.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podtask.backends.in_process.attempt import broken
from podtask.backends.in_process.clock import Clock, WallClock
from podtask.backends.in_process.controller import LifecycleLoop, Tracked
from podtask.backends.in_process.flow_records import LocalFlowRecords
from podtask.backends.in_process.output import follow
from podtask.backends.in_process.progress import grant, last
from podtask.backends.in_process.result_cache import NAMESPACE, ResultCache
from podtask.core.tracing.context import inside_attempt
from podtask.engine.task_result import allowed_failure
from podtask.errors import PodtaskError
from podtask.payloads.code import Shipment, shipment
from podtask.support.thread_pool import Workers
from podtask_runner import protocol
from podtask_runner.attempt.execute import refusal
from podtask_runner.attempt.report import no_room
from podtask_runner.errors import InvalidSpec
from podtask_runner.files import File
from podtask_runner.names import ENV_GRANTS, ENV_STDERR_MARK, ENV_TERMINATION_LOG
from podtask_runner.serialization.format import file_word
from podtask_runner.storage.spool import Payload, Spool, SpoolFile, digest

if TYPE_CHECKING:
    from podtask.core.api.status import ErrorInfo, ResultInfo
    from podtask.model.task_run import TaskRun
    from podtask.settings import Settings

log = logging.getLogger("podtask.backends")
PROCESSES = max(2, os.cpu_count() or 2)
"""Attempts at once."""
_NO_EXPIRY = 0.0
_DIES_WITH_DRIVER = (
    "import ctypes, os, signal, sys; del sys.path[0]\n"  # as `podtask_runner.__main__` does
    "ctypes.CDLL(None).prctl(1, signal.SIGTERM)\n"  # PR_SET_PDEATHSIG, prctl(2); its parent is the waiting worker
    "from podtask_runner.process.supervisor import main\n"
    "sys.exit(main() if os.getppid() == int(sys.argv[1]) else 1)"
)
"""A driver that is killed takes its subprocesses along; elsewhere than on Linux they run to their end."""
_LINUX = sys.platform.startswith("linux")
_GRACE_SECONDS = 5.0


class ProcessBackend:
    """Subprocess execution; see `podtask.engine.backend.Backend`."""

    name = "process"
    detachable = False
    remote = False
    own_interpreter = True
    submits_at_once = 1

    def __init__(self, home: Path, clock: Clock | None = None, processes: int = PROCESSES) -> None:
        self._workers = Workers(processes, "podtask-process")
        self._helpers = Workers(4, "podtask-keys")
        self._results = ResultCache(home, self._helpers)
        self.flow_runs = LocalFlowRecords(home)
        """Where flow runs are recorded; see `podtask.recording.record.FlowRunRecords`."""
        self._loop = LifecycleLoop(self, self._results, clock or WallClock())
        self._live: dict[str, LiveProcess] = {}
        self._bundles: dict[str, Payload] = {}
        """Projects by their digest, in files that go with this backend."""
        self._lock = threading.Lock()
        atexit.register(self.close)  # a driver that ends early takes its subprocesses along

    def submit(self, run: TaskRun) -> None:
        run.shipment = _shipment(run)  # now: what cannot travel is said here
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
        self._helpers.close()
        for live in list(self._live.values()):
            live.stop()

    def launch(self, tracked: Tracked, attempt: int) -> None:
        """Run the attempt on one of few threads: as many subprocesses as there are processors."""
        live = LiveProcess(attempt)
        self._live[tracked.uid] = live
        self._workers.submit(partial(self._attempt, tracked, live))

    def _code(self, run: TaskRun) -> protocol.Code:
        """The code of a run; the project lies in one file for all of them."""
        sent = run.shipment or _shipment(run)
        return protocol.Code(
            shipped=_inline(sent.code),
            bundle=self._bundle(sent),
            overlay=_inline(sent.overlay) if sent.overlay is not None else None,
        )

    def _bundle(self, sent: Shipment) -> protocol.Blob | None:
        if sent.bundle is None:
            return None
        with self._lock:
            if sent.bundle.digest not in self._bundles:
                spool = Spool(0)
                spool.write(sent.bundle.data)
                self._bundles[sent.bundle.digest] = spool.payload()
            return _inline(self._bundles[sent.bundle.digest])

    def stop(self, tracked: Tracked, attempt: int) -> None:
        """SIGTERM to the supervisor, which gives the task its grace and then kills it."""
        live = self._live.get(tracked.uid)
        if live is not None and live.number == attempt:
            live.stop()

    def _attempt(self, tracked: Tracked, live: LiveProcess) -> None:
        folder: Path | None = None
        outcome: protocol.Outcome | None = None
        try:
            folder = Path(tempfile.mkdtemp(prefix="podtask-"))
            if not self._loop.began(tracked, live.number):
                outcome = protocol.Outcome(protocol.Verdict.INTERRUPTED)
                return
            grants = _grants(self._results, tracked, live.number, self, self._code(tracked.run))
            outcome = live.run(folder, protocol.dump(grants))
        except PodtaskError as error:  # an upstream's result is gone
            outcome = protocol.Outcome(
                protocol.Verdict.INPUT_CORRUPTED, error=protocol.Error(type(error).__name__, str(error))
            )
        except OSError as error:
            outcome = _not_started(error)
        except Exception as error:
            log.exception("podtask could not go on with task run '%s'", tracked.run.name)
            outcome = broken(error)
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            self._live.pop(tracked.uid, None)
            self._loop.ended(tracked, live.number, outcome)


class LiveProcess:
    """The subprocess of one attempt."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self, folder: Path, grants: bytes) -> protocol.Outcome | None:
        """Start the subprocess and wait for its end. Returns its outcome, or None."""
        grants_file, said = folder / "grants.json", folder / "outcome"
        grants_file.touch(mode=0o600)
        grants_file.write_bytes(grants)
        mark = f"\x0e{os.urandom(8).hex()}"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(_path()),
            ENV_GRANTS: str(grants_file),
            ENV_TERMINATION_LOG: str(said),
            ENV_STDERR_MARK: mark,
        }
        with self._lock:
            if self._stopped:
                return protocol.Outcome(protocol.Verdict.INTERRUPTED)
            runner = ["-c", _DIES_WITH_DRIVER, str(os.getpid())] if _LINUX else ["-m", "podtask_runner"]
            command = [sys.executable, "-X", "utf8", *runner]
            # A session of its own: Ctrl-C is for the driver, which then cancels what it has started.
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        with self._process:
            follow(self._process, mark)
        try:
            return protocol.load_outcome(said.read_bytes())
        except (OSError, ValueError):
            return None  # killed from outside before it could say anything

    def stop(self) -> None:
        """Ask the subprocess to end. One that has not started yet never starts."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)


def _shipment(run: TaskRun) -> Shipment:
    return shipment(run.task, run.inputs, at_home=True)


def _path() -> list[str]:
    """The driver's, so that a name is the same module there.

    The runner puts the working directory first unless it knows it already; here it is first where the driver's has "".
    """
    known = [entry for entry in sys.path if entry]
    if "" not in sys.path:
        with contextlib.suppress(OSError):  # it may be gone
            known.append(os.getcwd())  # noqa: PTH109 - a string, as they all are
    return known


def _grants(
    results: ResultCache, tracked: Tracked, attempt: int, owner: ProcessBackend, code: protocol.Code
) -> protocol.Grants:
    """Everything the attempt may touch: its own three objects, its code and arguments, its upstreams' results."""
    run, keys = tracked.run, results.bucket.attempt(tracked.uid, attempt)
    upstream = tuple(_upstream(results, needed, owner) for needed in run.upstreams)

    def slot(key: str) -> protocol.Slot:
        return protocol.Slot(results.signer.sign_put(key, _NO_EXPIRY), results.signer.sign_get(key, _NO_EXPIRY))

    return protocol.Grants(
        namespace=NAMESPACE,
        task_run=run.id,
        uid=tracked.uid,
        attempt=attempt,
        code=code,
        result=slot(keys.result),
        error=slot(keys.error),
        outcome=slot(keys.outcome),
        task_name=run.task.name,
        run_name=run.name,
        inputs=_inline(run.inputs.payload),
        upstream=upstream,
        retries_left=tracked.retries_left,
        retries_used=tracked.status.retries_used,
        tags=tuple(sorted(run.tags)),
        flow_run=run.flow.id,
        flow_name=run.flow.flow_name,
        timeout_seconds=tracked.policy.timeout_seconds,
        grace_seconds=_GRACE_SECONDS,
        traceparent=inside_attempt(tracked.uid, attempt, run.traceparent),
        checkpoints=grant(results, tracked.uid, attempt) if run.task.options.checkpoints else None,
        v=protocol.version_of(code, upstream),
    )


def _inline(data: Payload) -> protocol.Blob:
    """A payload inside the grants, or as a file where it is large."""
    if isinstance(data, SpoolFile):
        return protocol.Blob(data.digest, data.size, url=data.path.as_uri())
    return protocol.Blob(digest(data), len(data), inline=base64.b64encode(data).decode())


def _upstream(results: ResultCache, needed: TaskRun, owner: ProcessBackend) -> protocol.Upstream:
    """The result of an upstream where it lies; that of another backend's run travels inside the grants, and so does
    what one failed with that may fail."""
    from podtask_runner.serialization.pickling import serialize_result

    if not needed.status.state.succeeded:
        failure, stored = allowed_failure(needed)
        blob = protocol.NOTHING if stored is None else _inline(stored)
        return protocol.Upstream(blob, ref=needed.id, failure=failure)

    info = needed.status.result
    if needed.backend is owner and info is not None:
        url = results.signer.sign_get(results.place(needed, info), _NO_EXPIRY)
        return protocol.Upstream(protocol.Blob(info.digest, info.size, info.serializer, url=url), ref=needed.id)
    value = needed.load()
    if isinstance(value, File):
        whole = protocol.Blob(value.digest, value.size, str(file_word(value.name)), url=value.path.as_uri())
        return protocol.Upstream(whole, ref=needed.id)
    data, serializer = serialize_result(value)
    return protocol.Upstream(replace(_inline(data), serializer=serializer), ref=needed.id)


def _not_started(error: OSError) -> protocol.Outcome:
    """No process, or no file for it; a TMPDIR that is not there is named as the runner names it."""
    found = no_room(error)
    if isinstance(found, InvalidSpec):
        return refusal(found)
    why = protocol.Error(type(error).__name__, f"The subprocess could not be started: {error}")
    return protocol.Outcome(protocol.Verdict.CRASHED, error=why)


def create(settings: Settings) -> ProcessBackend:
    """For `podtask.engine.registry`."""
    return ProcessBackend(settings.home)
