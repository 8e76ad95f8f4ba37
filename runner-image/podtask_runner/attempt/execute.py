"""The call: the user's function on the user's arguments, and one `Outcome` for whatever comes of it.

Runs inside the child (`podtask_runner.process.child`). Before it: `podtask_runner.attempt.loading`. After it, in the
supervisor: `podtask_runner.process.delivery`. Who is to blame decides the verdict: an Exception of the user's is Failed
and may be retried; SystemExit, KeyboardInterrupt and a result that cannot be pickled are Crashed and are not.
"""

from __future__ import annotations

import base64
import errno
import io
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Protocol

from podtask_runner.attempt import loading, retry
from podtask_runner.attempt.report import Handover, Phase
from podtask_runner.attempt.retry import RetryBudget
from podtask_runner.errors import InvalidSpec, RunnerError, StoreUnavailable
from podtask_runner.names import FILE_LIMIT, INLINE_LIMIT, JSON, VALUE_LIMIT
from podtask_runner.pickled_names import Batch, Shipped
from podtask_runner.protocol import Error, Grants, Outcome, Result, Verdict
from podtask_runner.serialization.format import Word, file_word
from podtask_runner.serialization.header import check_python, encode_json_exact
from podtask_runner.storage.client import Store
from podtask_runner.storage.spool import Digesting, NoRoom, close, digest

TRACEBACK_TAIL: Final = 2048
"""Characters of the traceback that travel in the outcome; the whole text is in the stored exception."""
LARGEST_HASHED: Final = 64 * 1024 * 1024
MOST_HASHED: Final = 500_000
"""Bytes of payload and elements beyond which a result gets no content hash (its digest stands in): the walk may not
take longer than half a second, nor memory that the task does not have."""


class PayloadSlot(Protocol):
    """Where one payload goes."""

    def write_bytes(self, data: bytes, /) -> object:
        """Keep it. Raises `OSError` when there is no room."""
        ...

    def open(self, mode: Literal["wb"], /) -> BinaryIO:
        """A writer for it, which is closed when all is written."""
        ...


class PayloadSink(Protocol):
    """Where an answer leaves its payload: `Handover` in a pod, memory where a task runs in the driver's process."""

    @property
    def result(self) -> PayloadSlot:
        """For the value."""
        ...

    @property
    def error(self) -> PayloadSlot:
        """For the pickled exception."""
        ...

    @property
    def far(self) -> bool:
        """Whether payloads go over a network, where smaller is quicker."""
        ...

    def take(self, file: Path, /) -> None:
        """The value is this file. Raises `OSError`."""
        ...

    def tell(self, text: str) -> None:
        """The traceback, for the task's log."""
        ...


def execute(grants: Grants, store: Store, sink: Handover) -> Outcome:
    """Load, call, serialize. Payloads are left in the `sink`; nothing of the user's is raised from here.

    Except in a process that user code forked: what it raises is its own, and `SystemExit` says that it returned.
    """
    here, started = os.getpid(), time.monotonic()
    shipped: Shipped | None = None
    timings: dict[str, float] = {}
    try:
        check_python(grants.python)
        sink.far = not grants.result.put.url.startswith("file:")
        sink.enter(Phase.FETCH)
        fetched = loading.fetch(grants, store, sink)
        sink.enter(Phase.LOAD)
        loading.install_project(grants, fetched, sink, at_home=not sink.far)
        shipped = _as_shipped(loading.load_code(grants, fetched))
        loading.at_home(shipped.fn)
        args, kwargs = loading.load_arguments(grants, fetched)
        del fetched
        timings["load"] = round(time.monotonic() - started, 4)
        if grants.traceparent is not None:
            from podtask_runner import tracing

            tracing.begin(grants.traceparent)  # behind the import of the task's modules, which may have a provider
        sink.enter(Phase.RUN)
        started = time.monotonic()
        value = _opened(_call(_function(shipped, grants, sink), args, kwargs, by_name=grants.inputs is None))
        if os.getpid() != here:
            sys.exit()
        timings["run"] = round(time.monotonic() - started, 4)
        outcome = _publishable(completed(value, sink))
    except RunnerError as error:
        outcome = refusal(error)
    except NoRoom as error:  # while reading; the task has not run
        outcome = refusal(StoreUnavailable(f"No room in TMPDIR for the inputs: {error}.", _DISK_CURE))
    except BaseException as error:
        if os.getpid() != here:
            raise
        timings.setdefault("run" if "load" in timings else "load", round(time.monotonic() - started, 4))
        outcome = raised(error, shipped, grants, sink, timings)
    return replace(outcome, timings=timings)


def refusal(error: RunnerError) -> Outcome:
    """The outcome of something that the runner itself found wrong."""
    return Outcome(error.verdict, error=Error(type(error).__name__, str(error), retryable=False, cure=error.cure))


def _as_shipped(code: object) -> Shipped:
    if isinstance(code, Shipped):
        return code
    if type(code).__module__.partition(".")[0] == "podtask":  # a @task object: its function is what runs here
        code = getattr(code, "fn", code)
    if not callable(code):
        raise InvalidSpec(f"The task's code is a {type(code).__name__}, not a function.")
    return Shipped(code)


def _function(shipped: Shipped, grants: Grants, sink: PayloadSink) -> Callable[..., Any]:
    if not isinstance(shipped, Batch):
        return shipped.fn
    from podtask_runner.attempt import batch, context

    here = context.current()
    checkpoint = here.checkpoint if here is not None else None
    rules = batch.Rules(value_of, completed, raised)
    return batch.Running(shipped, rules, grants, checkpoint, grants.attempt, sink.tell)


def _call(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, by_name: bool) -> Any:
    """The value; coroutines are awaited. `by_name`: from the YAML door, where a wrong name is the manifest's fault."""
    try:
        value = fn(*args, **kwargs)
    except TypeError as error:
        inner = error.__traceback__ and error.__traceback__.tb_next
        if by_name and inner is None:  # raised by the call itself: no line of the function has run
            _explain_mismatch(fn, args, kwargs)
        raise
    if isinstance(value, Coroutine):
        import asyncio

        value = asyncio.run(value)
    return drained(value)


def drained(value: Any) -> Any:
    """An iterator as the list of what it gives: a generator cannot travel, and results are read more than once.

    Part of the call: what a generator raises is raised by the task.
    """
    return list(value) if isinstance(value, Iterator) and not isinstance(value, io.IOBase) else value


def value_of(returned: Any) -> Any:
    """What the return value of an item's call stands for."""
    return _opened(drained(returned))


def _opened(value: Any) -> Any:
    """A state that the task returned says how the task ended. Only code that made one has loaded the SDK."""
    states = sys.modules.get("podtask.states")
    return value if states is None else states.open_returned(value)


def _explain_mismatch(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    import inspect

    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        takes = ", ".join(str(parameter) for parameter in signature.parameters.values()) or "nothing"
        given = ", ".join(kwargs) or "nothing"
        name = getattr(fn, "__name__", "the function")
        raise InvalidSpec(
            f"The parameters do not fit {name}: {error}. It takes: {takes}. Given: {given}.",
            "Correct spec.parameters or the parameter names in spec.upstream.",
        ) from None


def completed(value: Any, sink: PayloadSink) -> Outcome:
    """The outcome of a call that returned; the payload is left in the sink. What cannot be pickled crashed."""
    try:
        result = _written(value, sink)
        if result.size > FILE_LIMIT:
            raise NoRoom(errno.EFBIG, f"{result.size} bytes are more than one object can have (5 GiB)")
    except NoRoom as error:
        return _crash(error, sink, f"the result ({type(value).__qualname__}) cannot be written to TMPDIR", _DISK_CURE)
    except Exception as error:  # noqa: BLE001 - user classes may do anything while they are pickled
        if type(error).__name__ == "FileInside" or _is_file(value):
            return _crash(error, sink, "the result cannot be passed on", _FILE_CURE)
        return _crash(error, sink, f"the result ({type(value).__qualname__}) cannot be pickled", _UNPICKLABLE_CURE)
    return Outcome(Verdict.COMPLETED, result=result)


def _publishable(outcome: Outcome) -> Outcome:
    """Says so where globals that the cache key was made of are others here."""
    finder = sys.modules.get("podtask_runner.bundle.finder")
    why = finder.why_uncached() if finder is not None and outcome.result is not None else None
    if why is None or outcome.result is None:
        return outcome
    return replace(outcome, result=replace(outcome.result, uncached=why))


def _written(value: Any, sink: PayloadSink) -> Result:
    """The value's payload in the sink, and what is to be said of it. Raises `NoRoom`, and whatever pickling raises."""
    data = encode_json_exact(value)
    if data is not None and len(data) <= INLINE_LIMIT:
        _onto(sink.result, data)
        text = data.decode() if len(data) <= VALUE_LIMIT else None
        return Result(digest(data), len(data), JSON, _content_hash(value, len(data)), value=text)
    if _is_file(value):
        return _file_taken(value, sink)
    stream = sink.result.open("wb")
    try:
        passed = Digesting(stream, keep=VALUE_LIMIT)
        word, size = _streamed(value, data, passed, squeeze=sink.far)
    finally:
        close(stream)
    small = base64.b64encode(passed.head).decode() if passed.size <= VALUE_LIMIT and size <= VALUE_LIMIT else None
    return Result(passed.digest, passed.size, word, _content_hash(value, size), inline=small)


def _streamed(value: Any, text: bytes | None, sink: Digesting, *, squeeze: bool) -> tuple[str, int]:
    """The value, or its JSON, into the writer; its serializer, and its size before it was compressed."""
    from podtask_runner.serialization import pickling
    from podtask_runner.serialization.compression import Squeezing

    packer = Squeezing(sink) if squeeze else None
    if text is not None:
        (packer or sink).write(text)
        word = JSON
    else:
        word = pickling.write_result(value, packer or sink)
    if packer is None:
        return word, sink.size
    packer.finish()
    return str(Word.read(word).compressed(packer.size)) if packer.gzipped else word, packer.size


def _onto(slot: PayloadSlot, data: bytes) -> None:
    try:
        slot.write_bytes(data)
    except OSError as error:
        raise NoRoom(*error.args) from error


def _is_file(value: Any) -> bool:
    """Only code that made a `File` has loaded its module."""
    files = sys.modules.get("podtask_runner.files")
    return files is not None and isinstance(value, files.File)


def _file_taken(file: Any, sink: PayloadSink) -> Result:
    """A `File`: its bytes as they are. It was read once, for its digest, and is read again when it is stored."""
    file.check()
    found, size = file.digest, file.size
    try:
        sink.take(file.path)
    except OSError as error:
        raise NoRoom(*error.args) from error
    return Result(found, size, str(file_word(file.name)), _content_hash(file, 0))


def _content_hash(value: Any, size: int) -> str | None:
    if size > LARGEST_HASHED:
        return None
    from podtask_runner.hashing.content_hash import content_hash

    try:
        return content_hash(value, limit=MOST_HASHED)
    except Exception:  # noqa: BLE001 - the walk meets user classes; a result without a content hash is no failure
        return None


def raised(
    error: BaseException, shipped: Shipped | None, budget: RetryBudget, sink: PayloadSink, timings: dict[str, float]
) -> Outcome:
    """The outcome of a call that raised; the pickled exception is left in the sink. The task's own delay: `timings`."""
    if not isinstance(error, Exception):
        sentence, cure = _abort(error)
        return _crash(error, sink, sentence, cure, said_by_user=False)
    described = _described(error, sink)
    if shipped is None or budget.retries_left <= 0:
        return Outcome(Verdict.FAILED, error=described)
    retryable, delay, why_not = retry.asked(shipped, error, budget.retries_used + 1)
    if delay is not None:
        timings["delay"] = delay
    return Outcome(Verdict.FAILED, error=replace(described, retryable=retryable, cure=why_not))


def _abort(error: BaseException) -> tuple[str, str]:
    """What is said about an end that is no Exception, and its cure (wording after Prefect 2.0b5)."""
    if isinstance(error, SystemExit):
        return (
            f"Execution was aborted by Python system exit call: sys.exit({error.code!r}).",
            "Return from the task, or raise an Exception when it should count as a failure and be retried.",
        )
    if isinstance(error, KeyboardInterrupt):
        return (
            "Execution was aborted by an interrupt signal.",
            "Raise an Exception instead of KeyboardInterrupt, and let nothing send SIGINT to the task.",
        )
    if type(error).__name__ == "CancelledError":
        return (
            "Execution was cancelled by the runtime environment.",
            "The task cancelled itself; catch asyncio.CancelledError where you cancel.",
        )
    return (
        f"Execution was interrupted by an unexpected exception: {type(error).__qualname__}: {error}",
        "Derive from Exception, not from BaseException, what should be retried.",
    )


_UNPICKLABLE_CURE: Final = "Return plain data, or write the object somewhere and return where it is."
_FILE_CURE: Final = (
    "Return one podtask.File by itself, of a file that is still there; return several from several tasks."
)
_DISK_CURE: Final = "Give the pod more ephemeral storage, or return less."


def _crash(error: BaseException, sink: PayloadSink, why: str, cure: str, *, said_by_user: bool = True) -> Outcome:
    described = _described(error, sink)
    if said_by_user:
        detail = f": {described.message}" if described.message and described.message not in why else ""
        why = f"Execution was interrupted by an unexpected exception: {why}{detail}."
    return Outcome(Verdict.CRASHED, error=replace(described, message=why, retryable=False, cure=cure))


def _described(error: BaseException, sink: PayloadSink) -> Error:
    """The error, its pickle left in the sink. An exception that cannot be pickled leaves its words (`RemoteError`)."""
    from podtask_runner.serialization import exceptions

    data = exceptions.dump_exception(error)
    text = _encodable(exceptions.traceback_text(error))
    sink.tell(text)
    described = Error(
        type(error).__qualname__,
        _encodable(exceptions.message_of(error)),
        text[-TRACEBACK_TAIL:],
    )
    try:
        sink.error.write_bytes(data)
    except OSError:
        return described  # a full disk must not hide the user's exception
    inline = base64.b64encode(data).decode() if len(data) <= VALUE_LIMIT else None
    return replace(described, digest=digest(data), size=len(data), inline=inline)


def _encodable(text: str) -> str:
    """Without lone surrogates, which no JSON reader but Python's keeps."""
    return text.encode("utf-8", "backslashreplace").decode()
