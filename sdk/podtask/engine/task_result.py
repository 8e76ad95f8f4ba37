"""From a finished run to a value or an exception: bytes are checked, then unpickled, anew for every reader.

Before: `podtask.model.task_run`. The bytes come with the report, inside the status, or from `Backend.read`.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from podtask.core.api.names import State as Word
from podtask.core.api.status import ErrorInfo, ResultInfo
from podtask.core.lifecycle.failed_inputs import OWN, failed_input
from podtask.errors import (
    RemoteError,
    ResultUnavailable,
    RunError,
    TaskCancelled,
    TaskCrashed,
    TaskTimedOut,
    UpstreamNotReady,
)
from podtask_runner.files import File
from podtask_runner.names import FILE
from podtask_runner.protocol import Failure
from podtask_runner.serialization.format import Word as Serializer
from podtask_runner.storage.spool import SPOOL_ABOVE, SpoolFile

if TYPE_CHECKING:
    from podtask.model.task_run import TaskRun


def load(run: TaskRun) -> Any:
    """The value of a completed run. Otherwise raises the task's exception, or a `RunError` that says what happened."""
    if run.status.state.succeeded:
        return _value(run)
    raise failure(run)


def failure(run: TaskRun) -> BaseException:
    """The exception of a finished run that did not complete; NotReady is chained down to what failed first."""
    chain = [run]
    while (needed := _failed_upstream(chain[-1])) is not None:
        chain.append(needed)
    *not_ready, root = chain
    blocked = root.inputs.blocked_by
    error = _caused(UpstreamNotReady(_text(root)), blocked.exception()) if blocked is not None else _own_failure(root)
    if len(not_ready) > 2 * _LINKS:  # a traceback of a thousand links helps nobody, and printing it recurses
        not_ready = not_ready[:_LINKS] + not_ready[-_LINKS:]
    for link in reversed(not_ready):
        error = _caused(UpstreamNotReady(_text(link)), error)
    return error


def allowed_failure(run: TaskRun) -> tuple[Failure, bytes | None]:
    """How a finished run failed, for a task that runs in spite of it; and its pickled exception, where there is one."""
    found = failed_input(run.id, "", run.status)
    stored = None
    if run.status.error is not None and run.status.state in OWN:
        with contextlib.suppress(ResultUnavailable):  # its words are known
            stored = _error_bytes(run, run.status.error)
    return Failure(str(run.status.state), found.message or ""), stored


def _failed_upstream(run: TaskRun) -> TaskRun | None:
    """The first upstream that kept a run from starting."""
    if run.status.state is not Word.NOT_READY or run.inputs.blocked_by is not None:
        return None
    return next(iter(run.failed_needs), None)


def _own_failure(run: TaskRun) -> BaseException:
    word, text = run.status.state, _text(run)
    if word is Word.NOT_READY:
        return UpstreamNotReady(text)
    if word is Word.CANCELLED:
        return TaskCancelled(text)
    if word is Word.TIMED_OUT:
        return TaskTimedOut(text)
    cause = _exception(run)
    if word is Word.CRASHED:
        return _caused(TaskCrashed(text), cause)
    return cause if cause is not None else RemoteError(text)


def _text(run: TaskRun) -> str:
    message, cure = run.status.message or "", run.status.error.cure if run.status.error else None
    text = f"Task run '{run.name}' ({run.id}) {_ENDED.get(run.status.state, 'failed')}: {message}".rstrip(": ")
    return f"{text} {cure}" if cure and cure not in text else text


_LINKS = 5
_ENDED = {
    Word.NOT_READY: "did not run",
    Word.CANCELLED: "was cancelled",
    Word.TIMED_OUT: "timed out",
    Word.CRASHED: "crashed",
    Word.FAILED: "failed",
}


class RemoteTraceback(Exception):
    """Shows the traceback of where the task ran, as the cause of its exception (as `concurrent.futures` does)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text.rstrip()}\n"""'


def _value(run: TaskRun) -> Any:
    from podtask_runner.serialization.pickling import deserialize

    info = run.status.result
    if info is None:
        raise ResultUnavailable(f"Task run '{run.name}' completed without telling where its result is; see {run.id}.")
    word = Serializer.read(info.serializer)
    if word.format == FILE:
        return _file(run, info, word.details.get("name", ""))
    data = _large(run, info) if _at_hand(run, info) is None and info.size > SPOOL_ABOVE else _bytes(run, info)
    try:
        return deserialize(data, info.serializer)
    except Exception as error:
        raise ResultUnavailable(
            f"The result of task run '{run.name}' cannot be read here: {type(error).__name__}: {error}{cure_of(error)}"
        ) from error


def cure_of(error: Exception) -> str:
    """What to do about a result that cannot be opened, behind what went wrong; empty where nobody knows."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return ""
    return f". It holds objects of the module '{error.name}': read it where that can be imported."


_files: WeakKeyDictionary[TaskRun, File] = WeakKeyDictionary()


def _file(run: TaskRun, info: ResultInfo, name: str) -> File:
    """The file of a result: the task's own, or a verified copy that this process fetches once."""
    from podtask import files

    if run.payload is not None:  # the task ran in this process
        try:
            return File(os.fsdecode(run.payload))
        except (OSError, ValueError) as error:
            raise ResultUnavailable(f"The file that task run '{run.name}' returned is gone: {error}") from error
    known = _files.get(run)
    if known is not None and known.path.is_file():
        return known
    path, digest = run.backend.fetch(run, info, files.room())
    _files[run] = files.named(path, name, _same(run, digest, info.digest))
    return _files[run]


def _large(run: TaskRun, info: ResultInfo) -> SpoolFile | Path:
    """The bytes as a verified file, which is deleted after it was read."""
    from podtask import files

    wanted = files.room()
    path, digest = run.backend.fetch(run, info, wanted)
    _same(run, digest, info.digest)
    return SpoolFile(path, digest, info.size) if path == wanted else path


def _at_hand(run: TaskRun, info: ResultInfo) -> bytes | str | None:
    return run.payload if run.payload is not None else info.value or info.inline


def _bytes(run: TaskRun, info: ResultInfo) -> bytes:
    if run.payload is not None:
        return run.payload
    if info.value is not None:
        data = info.value.encode()
    else:
        data = run.backend.read(run, info) if info.inline is None else base64.b64decode(info.inline)
    return _checked(run, data, info.digest)


def _exception(run: TaskRun) -> BaseException | None:
    """The task's own exception as it was raised, with the traceback of where it was raised below it."""
    from podtask_runner.pickled_names import RemoteError as Unpicklable
    from podtask_runner.serialization.exceptions import notes_of
    from podtask_runner.serialization.pickling import loads

    error = run.status.error
    if error is None:
        return None
    try:
        data = _error_bytes(run, error)
        found = None if data is None else loads(data)
    except Exception as problem:  # noqa: BLE001 - whatever keeps it from being rebuilt, its words are known
        words = f"{error.type}: {error.message}\n{error.traceback or ''}".rstrip()
        return _noted(_caused(RemoteError(words), problem), [error.cure])
    if not isinstance(found, BaseException):
        return None
    text = getattr(found, "__podtask_traceback__", None) or error.traceback
    if isinstance(found, Unpicklable):
        stand_in = RemoteError(str(found))
        stand_in.__cause__, stand_in.__context__ = found.__cause__, found.__context__
        stand_in.__suppress_context__ = found.__suppress_context__
        found = _noted(stand_in, notes_of(found))
    _below(found, text)
    return _noted(found, [error.cure] if run.status.state is Word.FAILED else [])


def _below(error: BaseException, text: str | None) -> None:
    """The text with every place, under the first link of the chain: causes stay what they are, and print before it."""
    first, seen = error, {id(error)}
    while (link := first.__cause__ or (None if first.__suppress_context__ else first.__context__)) is not None:
        if id(link) in seen:
            return
        seen.add(id(link))
        first = link
    if text:
        first.__cause__ = RemoteTraceback(text)


def _noted(error: BaseException, notes: Iterable[str | None]) -> BaseException:
    """With these notes; before Python 3.11 nobody prints them, and `__notes__` has them all the same."""
    added = [note for note in notes if note]
    if added:
        with contextlib.suppress(Exception):  # a class may refuse attributes; then only this is lost
            error.__notes__ = [*getattr(error, "__notes__", ()), *added]  # type: ignore[attr-defined]
    return error


def _error_bytes(run: TaskRun, error: ErrorInfo) -> bytes | None:
    if run.payload is not None:
        return run.payload
    if error.digest is None:
        return None
    data = run.backend.read(run, error) if error.inline is None else base64.b64decode(error.inline)
    return _checked(run, data, error.digest)


def _checked(run: TaskRun, data: bytes, digest: str) -> bytes:
    from podtask_runner.storage.spool import digest as digest_of

    _same(run, digest_of(data), digest)
    return data


def _same(run: TaskRun, stored: str, digest: str) -> str:
    if stored != digest:
        raise ResultUnavailable(
            f"What is stored for task run '{run.name}' is not what it stored (sha256 differs); run the task again."
        )
    return digest


def _caused(error: RunError, cause: BaseException | None) -> RunError:
    error.__cause__ = cause
    return error
