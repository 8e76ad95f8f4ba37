"""`podtask logs`: one attempt, all attempts, or a whole flow run; live or over. Bytes go through as they came.

Where they come from: `log_sources`. Several followed at once take a thread each, and write whole lines.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue

import click

from podtask.cli.common import selection
from podtask.cli.common.exits import CommandFailed, Exit
from podtask.cli.common.options import latest, with_session
from podtask.cli.common.session import Session, note
from podtask.cli.flows import steer
from podtask.cli.flows.flow_run import is_flow
from podtask.errors import PodtaskError
from podtask.inspection import log_sources
from podtask.inspection.log_lines import Line
from podtask.inspection.task_run import SeenTaskRun
from podtask.support.terminal_text import visible_log
from podtask.support.thread_pool import Workers

AT_ONCE = 20
"""TaskRuns of a flow run that are followed at the same time; each holds a connection to a kubelet."""


@dataclass(frozen=True)
class Form:
    """How lines are printed."""

    prefix: bool = False
    timestamps: bool = False
    count: int | None = None
    """Only so many last lines of each attempt."""

    def line(self, run: SeenTaskRun, number: int, line: Line) -> bytes:
        """With its end. A piece of a long line has one only behind a prefix or a time, else it goes on as it was."""
        when, text = line
        if not self.prefix and not self.timestamps:
            return text
        before = f"[{run.name}/{number}] ".encode() if self.prefix else b""
        return before + (when + b" " if self.timestamps else b"") + text.removesuffix(b"\n") + b"\n"


@click.command()
@click.argument("name", required=False)
@latest
@click.option("--flow-run", help="All TaskRuns of a flow run, each line behind its name.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended, over all further attempts.")
@click.option("--attempt", type=click.IntRange(min=1), help="This attempt; else the newest one.")
@click.option("--all-attempts", is_flag=True, help="All attempts, the first one first.")
@click.option("--prefix", is_flag=True, help="Each line behind [NAME/ATTEMPT].")
@click.option("--timestamps", is_flag=True, help="Each line behind its time; from the bucket: when it was stored.")
@click.option("--tail", type=click.IntRange(min=0), help="Only so many last lines of each attempt.")
@with_session
def logs(
    session: Session,
    name: str | None,
    *,
    latest: bool,
    flow_run: str | None,
    follow: bool,
    attempt: int | None,
    all_attempts: bool,
    prefix: bool,
    timestamps: bool,
    tail: int | None,
) -> None:
    """Print what a task printed, also after its pod is gone."""
    if follow and tail is not None:
        raise CommandFailed("--tail counts from the end, and with -f there is none yet.", Exit.USAGE)
    if attempt is not None and all_attempts:
        raise CommandFailed("Say --attempt or --all-attempts, not both.", Exit.USAGE)
    if name is not None and is_flow(name):
        if latest or attempt or flow_run is not None:
            raise CommandFailed("flow/NAME prints all its TaskRuns; leave -L and --attempt out.", Exit.USAGE)
        form = Form(prefix=True, timestamps=timestamps, count=tail)
        _flow_run(session, steer.task_runs(session, name), form, follow=follow, everything=all_attempts)
        return
    form = Form(prefix=prefix or flow_run is not None, timestamps=timestamps, count=tail)
    if flow_run is not None:
        if name or latest or attempt:
            raise CommandFailed("--flow-run prints all its TaskRuns; leave the name and --attempt out.", Exit.USAGE)
        _flow_run(session, selection.flow_run_of(session, flow_run), form, follow=follow, everything=all_attempts)
        return
    run = selection.one(session, name, latest=latest)
    if follow:
        _write(follow_run(session, run, form, attempt=attempt, first=all_attempts))
        return
    numbers = [attempt] if attempt else _numbers(run, everything=all_attempts)
    _there(run, numbers)
    for number in numbers:
        if all_attempts and not form.prefix:
            _title(run, number)
        _write(form.line(run, number, line) for line in _lines(session, run, number, form))


def follow_run(
    session: Session, run: SeenTaskRun, form: Form, *, attempt: int | None = None, first: bool = False
) -> Iterator[bytes]:
    """What the run prints from now on, over all its further attempts; `attempt`: of this one only."""
    number = attempt or (1 if first else max(run.status.attempts_total, 1))
    while True:
        run = _with_attempt(session, run, number)
        if run.status.attempts_total < number:
            if not run.status.attempts_total:
                _there(run, [])
            return
        yield from (form.line(run, number, line) for line in log_sources.follow(session, run, number))
        if attempt is not None:
            return
        number += 1


def _with_attempt(session: Session, run: SeenTaskRun, number: int) -> SeenTaskRun:
    """The run, once that attempt is recorded or none will come."""
    if run.status.attempts_total >= number or run.finished:
        return run
    fields = f"metadata.name={run.name}"
    items, version = session.cluster.runs(run.namespace, "", fields)
    for item in items:
        run = SeenTaskRun(item)
    if not items:
        raise CommandFailed(f"TaskRun '{run.name}' was deleted.")
    if run.status.attempts_total >= number or run.finished:
        return run
    for event in session.cluster.changes(run.namespace, "", version, fields, objects=items):
        run = SeenTaskRun(event["object"])
        if event["type"] == "DELETED":
            raise CommandFailed(f"TaskRun '{run.name}' was deleted.")
        if run.status.attempts_total >= number or run.finished:
            break
    return run


def _flow_run(session: Session, runs: list[SeenTaskRun], form: Form, *, follow: bool, everything: bool) -> None:
    if not follow:
        for run in runs:
            for number in _numbers(run, everything=everything):
                _write(form.line(run, number, line) for line in _lines(session, run, number, form))
        return
    lock, ended = threading.Lock(), SimpleQueue[BaseException | None]()

    def one(run: SeenTaskRun) -> None:
        try:
            _write(follow_run(session, run, form, first=everything), lock)
            ended.put(None)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that knows what to do
            ended.put(error)

    workers = Workers(AT_ONCE, "podtask-logs")  # daemons: Ctrl-C waits for no task to print something
    for run in runs:
        workers.submit(partial(one, run))
    try:
        _all_ended(ended, len(runs))
    except BaseException:
        lock.acquire(timeout=1.0)  # for good: at the exit no thread may be writing
        raise


def _all_ended(ended: SimpleQueue[BaseException | None], count: int) -> None:
    """Raises the first trouble of a run when all have ended, anything else at once."""
    troubles = []
    for _ in range(count):
        error = ended.get()
        if isinstance(error, PodtaskError):
            troubles.append(error)
        elif error is not None:
            raise error
    if troubles:
        raise troubles[0]


def _lines(session: Session, run: SeenTaskRun, number: int, form: Form) -> Iterator[Line]:
    lines = log_sources.read(session, run, number)
    return lines if form.count is None else log_sources.last_lines(lines, form.count)


def _numbers(run: SeenTaskRun, *, everything: bool) -> list[int]:
    total = run.status.attempts_total
    return list(range(1, total + 1)) if everything else [total] if total else []


def _there(run: SeenTaskRun, numbers: list[int]) -> None:
    """Say why nothing is printed, where it is known before."""
    total = run.status.attempts_total
    if numbers and numbers[-1] > total:
        have = f"it has {total}" if total else "it has none yet"
        raise CommandFailed(f"TaskRun '{run.name}' has no attempt {numbers[-1]}: {have}.", Exit.NOT_FOUND)
    if not numbers:
        why = f" ({run.status.reason})" if run.status.reason and str(run.status.reason) != run.word else ""
        source = (run.raw.get("cache") or {}).get("sourceRun")
        cached = f" Its result is that of {source}: podtask logs {source}." if source else ""
        note(f"podtask: TaskRun '{run.name}' is {run.word}{why} and has started no pod, so there is no log.{cached}")


def _title(run: SeenTaskRun, number: int) -> None:
    attempt = run.attempt(number)
    how = f" ({attempt.outcome})" if attempt and attempt.outcome else ""
    _write([f"==> attempt {number}{how} <==\n".encode()])


def _write(lines: Iterable[bytes], lock: threading.Lock | None = None) -> None:
    """To stdout, flushed while something is awaited; line by line under the lock where others write, too."""
    sink = sys.stdout.buffer
    sys.stdout.flush()
    for line in map(visible_log, lines) if sys.stdout.isatty() else lines:
        if lock is None:
            sink.write(line)
            if len(line) < _SMALL and sys.stdout.isatty():
                sink.flush()
        else:
            with lock:
                sink.write(line)
                sink.flush()
    sink.flush()


_SMALL = 65536
