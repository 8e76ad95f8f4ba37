"""`podtask result` and `podtask error`: what a task returned or raised. A pickle is opened only when asked for.

Bytes are compared with the digest in the status before anything is made of them. Below: `bucket`, the runner's
`payload` and `pickling`.
"""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path
from typing import Any

import click

from podtask.cli.common import output as printers
from podtask.cli.common import selection
from podtask.cli.common.exits import CommandEnded, CommandFailed, outcome
from podtask.cli.common.options import latest, with_session
from podtask.cli.common.session import Session, note
from podtask.core.api.status import ErrorInfo, ResultInfo
from podtask.inspection.next_step import next_step
from podtask.inspection.task_run import SeenTaskRun
from podtask.support.terminal_text import visible_log
from podtask_runner.names import FILE, JSON, NPY, PARQUET
from podtask_runner.serialization.format import Word
from podtask_runner.storage.spool import digest

HARMLESS = (NPY, PARQUET)
"""Opened without asking: data, no code."""
SAFE_PYARROW = (14, 0, 1)
WARNING = "podtask: unpickling runs whatever code the task's author put there; do it only with runs that you trust."


@click.command()
@click.argument("name", required=False)
@latest
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Store the bytes in this file as they are.")
@click.option("--unpickle", is_flag=True, help="Open a pickled result: runs code of the task's author.")
@with_session
def result(session: Session, name: str | None, *, latest: bool, output: str | None, unpickle: bool) -> None:
    """Print the result of a TaskRun as JSON, or store it in a file."""
    run = selection.one(session, name, latest=latest)
    info = run.status.result
    if info is None:
        _no_result(session, run)
        return
    word = Word.read(info.serializer)
    if output is not None:
        _stored(session, run, info, Path(output))
        note(f"{output}: {info.size} bytes, {info.serializer}, sha256 {info.digest}")
    elif word.format == JSON:
        data = _bytes(session, run, info)
        text = (_unpacked(run, data, word) if word.gzipped else data) + b"\n"
        sys.stdout.buffer.write(visible_log(text) if sys.stdout.isatty() else text)
    elif word.format == FILE:
        name = word.details.get("name", "")
        raise CommandFailed(f"The result of '{run.name}' is the file '{name}' ({info.size} bytes): -o FILE stores it.")
    elif word.format in HARMLESS:
        _no_code(run, word)
        printers.out(printers.value(_opened(run, _bytes(session, run, info), info.serializer)))
    elif unpickle:
        note(WARNING)
        printers.out(printers.value(_opened(run, _bytes(session, run, info), info.serializer)))
    else:
        raise CommandFailed(
            f"The result of '{run.name}' is no JSON but a payload of kind {info.serializer} ({info.size} bytes): "
            f"-o FILE stores it, --unpickle opens it here, which runs code of the task's author."
        )


@click.command()
@click.argument("name", required=False)
@latest
@click.option("--unpickle", is_flag=True, help="The whole traceback of the stored exception: runs its author's code.")
@with_session
def error(session: Session, name: str | None, *, latest: bool, unpickle: bool) -> None:
    """Print the traceback of a TaskRun that failed."""
    run = selection.one(session, name, latest=latest)
    info = run.status.error
    if info is None:
        latest_attempt = run.status.latest
        told = run.status.message if run.finished and not run.state.succeeded else None
        before = next((one for one in reversed(run.status.attempts) if one.message and one is not latest_attempt), None)
        if told:
            printers.out(told)
        elif before is not None and not run.finished:
            printers.out(f"Attempt {before.number}: {before.message}")
        else:
            raise CommandFailed(f"TaskRun '{run.name}' is {run.word}: there is no error.")
        return
    whole = _whole_traceback(session, run, info) if unpickle else None
    text = whole or info.traceback or f"{info.type}: {info.message}"
    printers.out(text.rstrip("\n"))
    if whole is None and info.traceback and not info.traceback.startswith("Traceback"):
        note(f"podtask: these are its last lines; podtask logs {run.name}{session.where} has all of it.")
    if info.cure:
        note(f"podtask: {info.cure}")


def _no_result(session: Session, run: SeenTaskRun) -> None:
    if not run.finished:
        raise CommandFailed(
            f"TaskRun '{run.name}' has no result yet, it is {run.word}: podtask wait {run.name}{session.where}"
        )
    why = f"{run.status.error.type}: {run.status.error.message}" if run.status.error else run.status.message or ""
    note(f"podtask: TaskRun '{run.name}' has no result, it ended as {run.word}: {why}".rstrip(": "))
    note(f"Next: {next_step(run, session.now(), session.where)}")
    raise CommandEnded(outcome([run.state]))


def _no_code(run: SeenTaskRun, word: Word) -> None:
    """Raises `CommandFailed` where the installed reader of Parquet runs code that a file brings (CVE-2023-47248)."""
    from importlib.metadata import PackageNotFoundError, version

    if word.format != PARQUET:
        return
    try:
        installed = version("pyarrow")
    except PackageNotFoundError:  # said when it is opened
        return
    if tuple(int(part) for part in re.findall(r"\d+", installed)[:3]) < SAFE_PYARROW:
        safe = ".".join(map(str, SAFE_PYARROW))
        raise CommandFailed(
            f"The result of '{run.name}' is Parquet, and pyarrow {installed} may run code from such a file "
            f"(CVE-2023-47248): pip install 'pyarrow>={safe}'; -o FILE stores it."
        )


def _bytes(session: Session, run: SeenTaskRun, info: ResultInfo | ErrorInfo) -> bytes:
    """What is stored, from the status where it is small; never other bytes. Raises `NoBucket`, `CommandFailed`."""
    value = getattr(info, "value", None)
    if value is not None:
        data = str(value).encode()
    elif info.inline is not None:
        data = base64.b64decode(info.inline)
    else:
        data = session.bucket(run.namespace).read(*_place(run, info))
    if digest(data) != info.digest:
        raise _changed(run, info)
    return data


def _stored(session: Session, run: SeenTaskRun, info: ResultInfo, target: Path) -> None:
    """The bytes as they are, streamed into a file that is there only when they are right."""
    if info.value is not None or info.inline is not None:
        target.write_bytes(_bytes(session, run, info))
        return
    beside = target.with_name(f".{target.name}.part")
    try:
        found = session.bucket(run.namespace).download(*_place(run, info), beside)
        if found != info.digest:
            raise _changed(run, info)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _place(run: SeenTaskRun, info: ResultInfo | ErrorInfo) -> tuple[str, int, str, str, int]:
    """What the bucket asks to find the object: run, attempt, kind, what to call it, its size."""
    kind = "result" if isinstance(info, ResultInfo) else "error"
    uid = getattr(info, "source_uid", None) or run.uid
    what = f"The {kind} of TaskRun {run.namespace}/{run.name}"
    return uid, info.attempt or run.status.attempts_total, kind, what, info.size or 0


def _changed(run: SeenTaskRun, info: ResultInfo | ErrorInfo) -> CommandFailed:
    what = _place(run, info)[3]
    where = "bucket" if getattr(info, "value", None) is None and info.inline is None else "status"
    return CommandFailed(f"{what} in the {where} is not what the run stored (sha256 differs); run it again.")


def _unpacked(run: SeenTaskRun, data: bytes, word: Word) -> bytes:
    from podtask_runner.errors import InputCorrupted
    from podtask_runner.serialization.compression import parts, unpacked

    try:
        found = unpacked(parts(data), word.size)
    except (InputCorrupted, ValueError) as problem:
        raise CommandFailed(f"The result of '{run.name}' cannot be unpacked: {problem}") from problem
    return found if isinstance(found, bytes) else found.path.read_bytes()


def _opened(run: SeenTaskRun, data: bytes, serializer: str) -> Any:
    from podtask.engine.task_result import cure_of
    from podtask_runner.serialization.pickling import deserialize

    try:
        return deserialize(data, serializer)
    except Exception as problem:
        raise CommandFailed(
            f"The result of '{run.name}' cannot be opened here: {type(problem).__name__}: {problem}{cure_of(problem)}"
        ) from problem


def _whole_traceback(session: Session, run: SeenTaskRun, info: ErrorInfo) -> str | None:
    if info.inline is None and info.digest is None:
        return None
    note(WARNING)
    found = _opened(run, _bytes(session, run, info), "cloudpickle")
    return getattr(found, "__podtask_traceback__", None)
