"""`TaskRun`: the driver's record of one call of a task; what backends receive and report to.

    Task call ──> TaskRun ──> backend.submit(run) … run.report(status) … ──> futures, dependents

A run knows who it is (`key`, `id`), what to run (`task`, `inputs`), what it needs (`upstreams`, `wait_for`) and
what is known of it (`status`). Before: `podtask.engine.flow_run`. Next on the road: `podtask.engine.backend`.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from podtask.context import FlowRunInfo, TaskRunInfo
from podtask.core.api.status import ErrorInfo, ResultInfo, Status
from podtask.states import State, from_status

if TYPE_CHECKING:
    import asyncio

    from podtask.model.definitions import TaskDefinition
    from podtask_runner.files import File
    from podtask_runner.storage.spool import Payload

log = logging.getLogger("podtask.backends")
_SLUG_LIMIT = 30
_HASH_DIGITS = 16


Listener = Callable[["TaskRun", Status, Status], None]
"""`(run, status before, status after)`, on the thread that brings the news: must neither block nor raise."""


@dataclass(frozen=True)
class Inputs:
    """The arguments of one call."""

    parameters: Mapping[str, Any]
    """By parameter name, defaults included, `*args` as a tuple and `**kwargs` as a dict; futures still inside."""
    payload: Payload
    """The pickled `(args, kwargs)`, with the run id of each upstream in place of its future; large ones in a file."""
    upstreams: tuple[TaskRun, ...] = ()
    """Runs whose data is needed, in the order met."""
    blocked_by: State[Any] | None = None
    """A state made by hand, or of another flow, that is not completed: the task will not run."""
    upstream_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Run ids of the upstreams by the parameter they were found in; empty ones included."""
    modules: frozenset[str] = frozenset()
    """What must be importable where the arguments are opened; only known of what goes to another machine."""
    imported: frozenset[str] = frozenset()
    """What functions among the arguments may import when they are called."""
    files: Mapping[str, File] = field(default_factory=dict)
    """Files that stand in the payload by reference, where it goes to another machine."""
    files_met: int = 0
    """How many different files are among the arguments."""
    definitions: bytes = b""
    """Pickled classes and functions of the script that the payload only names; they travel with the code."""
    defined: tuple[object, ...] = ()
    """Those classes and functions."""
    must_complete: frozenset[str] = frozenset()
    """Ids of the upstreams that stand outside of `allow_failure`."""

    def spent(self) -> Inputs:
        """The inputs without the arguments. Large arguments are released when the run has finished."""
        return replace(self, parameters={}, payload=b"", definitions=b"", defined=())


class Executor(Protocol):
    """The part of a backend that runs and those who hold them use; see `podtask.engine.backend.Backend`."""

    detachable: bool
    submits_at_once: int

    def cancel(self, run: TaskRun) -> None:
        """Ask for the end of the run."""
        ...

    def read(self, run: TaskRun, what: ResultInfo | ErrorInfo) -> bytes:
        """The stored bytes behind a result or an error."""
        ...

    def fetch(self, run: TaskRun, what: ResultInfo | ErrorInfo, path: Path) -> tuple[Path, str]:
        """As `read`, but the bytes are in a file. Returns its path and its sha256."""
        ...


Load = Callable[["TaskRun"], Any]
"""Gives the value of a finished run, or raises what it failed with."""


@dataclass(frozen=True)
class RunKey:
    """What makes a run the same run after a restart of the driver."""

    flow_run_id: str
    task_key: str
    dynamic_key: str
    """Counts the calls of one task key inside one flow run: "0", "1", …"""

    def name(self, task_name: str) -> str:
        """A DNS label of at most 47 characters, the same for the same key: `greet-4f0c…`; names the TaskRun."""
        parts = (self.flow_run_id, self.task_key, self.dynamic_key)
        digest = hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()
        return f"{slug(task_name)}-{digest[:_HASH_DIGITS]}"


def slug(name: str) -> str:
    """The name in lower-case letters, digits and dashes, starting with a letter; at most 30 characters."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower())[:_SLUG_LIMIT].strip("-")
    return text if text[:1].isalpha() else f"task-{text}"[:_SLUG_LIMIT].rstrip("-")


class TaskRun:
    """One call of a task. `report` is the only way it changes; it may be called from any thread."""

    def __init__(
        self,
        key: RunKey,
        task: TaskDefinition,
        inputs: Inputs,
        *,
        flow: FlowRunInfo,
        backend: Executor,
        load: Load,
        wait_for: tuple[TaskRun, ...] = (),
        may_fail: frozenset[str] = frozenset(),
        tags: frozenset[str] = frozenset(),
        loop: asyncio.AbstractEventLoop | None = None,
        listeners: Sequence[Listener] = (),
        name: str | None = None,
    ) -> None:
        self.key = key
        self.id = key.name(task.name)
        self.name = name or f"{task.name}-{task.task_key[:8]}-{key.dynamic_key}"
        self.title = name or task.name
        """What the runner and `kubectl get ptr` call it."""
        self.task = task
        self.inputs = inputs
        self.flow = flow
        self.backend = backend
        self._load = load
        self.wait_for = wait_for
        self.may_fail = may_fail
        """Ids of the runs among its needs whose failure does not keep it from starting (`allow_failure`)."""
        self.tags = tags
        self.loop = loop
        """The flow's event loop, for async tasks in this process; None in a sync flow."""
        self.listeners = listeners
        """Told of every newer status, before those who wait for the run."""
        self.uid: str | None = None
        """Set by the backend: what its objects in the store are filed under."""
        self.traceparent: str | None = None
        """The span that submitted it (W3C trace context), where somebody traces."""
        self.part_of: TaskRun | None = None
        """Of an item of a batch (`podtask.engine.batches`): the batch's run, which is the one that a backend has."""
        self.shipment: Any = None
        """The pickled function with the project it belongs to, where the backend keeps them."""
        self.status = Status()
        self.payload: bytes | None = None
        """Result or pickled exception of a finished run, where the backend had it at hand."""
        self.history: tuple[State[Any], ...] = (from_status(self.status, self.id, None),)
        self._lock = threading.Lock()
        self._done: Future[None] = Future()
        self._ended = False
        self._bells: list[threading.Lock] = []

    @property
    def upstreams(self) -> tuple[TaskRun, ...]:
        """Runs whose data is needed."""
        return self.inputs.upstreams

    @property
    def needs(self) -> tuple[TaskRun, ...]:
        """All runs that must end first, and complete unless they may fail."""
        return self.inputs.upstreams + self.wait_for

    @property
    def failed_needs(self) -> tuple[TaskRun, ...]:
        """Those that ended otherwise than they must."""
        ended = [needed for needed in self.needs if needed.finished and not needed.status.state.succeeded]
        return tuple(needed for needed in ended if needed.id not in self.may_fail)

    @property
    def task_inputs(self) -> dict[str, list[str]]:
        """Per parameter the run ids of the upstreams found in it; `wait_for` only where it was given."""
        found = {name: list(ids) for name, ids in self.inputs.upstream_ids.items()}
        return {**found, "wait_for": [run.id for run in self.wait_for]} if self.wait_for else found

    @property
    def info(self) -> TaskRunInfo:
        """The identity as code inside the run sees it, before its first attempt."""
        key = self.key
        return TaskRunInfo(
            self.id,
            self.name,
            key.flow_run_id,
            self.flow.flow_name,
            self.tags,
            key.task_key,
            key.dynamic_key,
            task_name=self.task.name,
            flow_run_name=self.flow.name,
        )

    @property
    def finished(self) -> bool:
        """True once the end was reported and can be read."""
        return self._ended

    @property
    def state(self) -> State[Any]:
        """The latest known state."""
        return self.history[-1]

    def report(self, status: Status, payload: bytes | None = None) -> None:
        """Store a newer status. The first finished one is final; waiters and dependents are told of it."""
        with self._lock:
            if self.status.finished:
                return
            before, changed = self.status, status.state is not self.status.state
            self.status, self.payload = status, payload
            if changed or status.finished:
                load = self.load if status.finished else None
                self.history = (*self.history, from_status(status, self.id, load))
        for tell in self.listeners:
            try:
                tell(self, before, status)
            except Exception:  # who watches a run may fail, and the run has its end all the same
                log.exception("What task run '%s' reports could not be shown", self.name)
        if status.finished:
            self.inputs, self.shipment = self.inputs.spent(), None
            self._ended = True  # before the callbacks, which may wait for this run
            self._done.set_result(None)
            for bell in list(self._bells):
                bell.release()

    def arrived(self, result: ResultInfo | None, payload: bytes | None) -> None:
        """Store the value of a completed run that was reported without its value."""
        with self._lock:
            self.status, self.payload = replace(self.status, result=result), payload

    def load(self) -> Any:
        """The value, read and unpickled anew; raises what `State.result` promises."""
        return self._load(self)

    def cancel(self) -> None:
        """Ask the backend to end the run. Does nothing when the run has finished."""
        if not self.finished:
            self.backend.cancel(self)

    def on_finished(self, tell: Callable[[], object]) -> None:
        """Call `tell` when the run finishes, or at once when it has finished."""
        self._done.add_done_callback(lambda _: tell())

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the run has finished, at most `timeout` seconds. Returns whether it has.

        On a plain lock: a Ctrl-C between two steps of `threading.Condition.wait` (and `Future.result`) is lost in a
        RuntimeError about a lock that nobody has.
        """
        bell = threading.Lock()
        bell.acquire()
        self._bells.append(bell)
        try:
            if self._ended:  # asked after the bell is in its place, so that the end cannot come in between
                return True
            return bell.acquire(timeout=-1 if timeout is None else min(max(timeout, 0), threading.TIMEOUT_MAX))
        finally:
            self._bells.remove(bell)

    async def wait_async(self, timeout: float | None = None) -> bool:
        """As `wait`, without a thread and without blocking the event loop."""
        import asyncio

        done = asyncio.shield(asyncio.wrap_future(self._done))
        try:
            await asyncio.wait_for(done, timeout)
        except (asyncio.TimeoutError, TimeoutError):
            return False
        return True
