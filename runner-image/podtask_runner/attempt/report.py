"""How the child hands its work to the supervisor: files in a private directory, and one byte per phase on a pipe.

The report is a `protocol.Outcome` whose payloads lie beside it as files `result` and `error`; the supervisor stores
them and never unpickles. The report is renamed into place last, so it is there whole or not at all. Written by
`podtask_runner.process.child`, read by `podtask_runner.process.supervisor` and `podtask_runner.process.delivery`.
"""

from __future__ import annotations

import enum
import os
import sys
from contextlib import suppress
from pathlib import Path

from podtask_runner.errors import InvalidSpec, RunnerError, StoreUnavailable
from podtask_runner.names import TERMINATION_LIMIT
from podtask_runner.protocol import Outcome, dump, dump_outcome, load_outcome
from podtask_runner.storage.spool import pieces


class Phase(bytes, enum.Enum):
    """What the child is doing; the byte it writes when it begins."""

    FETCH = b"f"  # reading objects from the store
    LOAD = b"l"  # unpickling and importing
    ELSEWHERE = b"e"  # another process is to do it: what this one imported before is in the way
    RUN = b"r"  # the user's function
    REPORTED = b"d"  # the report is written, the interpreter is on its way out


class Handover:
    """One directory and one pipe of one attempt."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.result = directory / "result"
        self.error = directory / "error"
        self.fault = directory / "fault"
        """Where the interpreter writes its last words when it dies of a fatal signal (faulthandler)."""
        self.preloaded = directory / "preloaded"
        """What a waiting child says of the modules that it imported (`podtask_runner.process.preload`)."""
        self._report = directory / "report"
        self._part = directory / "report.part"
        """The report before it is whole; it takes its room at the start, because the task may fill the disk."""
        self._read_end, self._write_end = os.pipe()
        self.phase: Phase | None = None
        self.far = True
        """Whether payloads go over a network; the child finds out."""

    @classmethod
    def create(cls) -> Handover:
        """A fresh private directory under TMPDIR (pods: an emptyDir, their root file system is read-only)."""
        # Not tempfile: it costs as much to import as the rest of the supervisor's start.
        directory = Path(os.environ.get("TMPDIR") or "/tmp") / f"podtask-{os.getpid()}-{os.urandom(6).hex()}"  # noqa: S108
        directory.mkdir(mode=0o700)
        handover = cls(directory)
        handover._part.write_bytes(bytes(TERMINATION_LIMIT))
        return handover

    def room(self) -> Path:
        """Child: a new name for a file that goes with this directory."""
        return self.directory / f"in-{os.urandom(6).hex()}"

    def take(self, file: Path) -> None:
        """Child: `file` is the result. Another name for it, because user code may delete its own; else a copy."""
        self.result.unlink(missing_ok=True)
        try:
            os.link(file.resolve(), self.result)
        except OSError:
            with self.result.open("wb") as copy:
                for piece in pieces(file):
                    copy.write(piece)

    def enter(self, phase: Phase) -> None:
        """Child: say what begins now."""
        with suppress(BrokenPipeError):
            os.write(self._write_end, phase.value)

    def report(self, outcome: Outcome) -> None:
        """Child: the last word, after the payload files are complete."""
        try:
            _overwrite(self._part, dump(outcome))
        except OSError:  # the disk is full
            _overwrite(self._part, dump_outcome(outcome))
        self._part.rename(self._report)
        self.enter(Phase.REPORTED)

    def tell(self, text: str) -> None:
        """Child: into the task's log, as an interpreter does with what nobody caught."""
        with suppress(Exception):  # user code may have replaced or closed its standard error
            sys.stderr.write(text)

    def child_side(self) -> None:
        """Child: after the fork, keep the writing end only."""
        os.close(self._read_end)

    def supervisor_side(self) -> int:
        """Supervisor: after the fork, keep the reading end only; the file descriptor to wait on."""
        os.close(self._write_end)
        os.set_blocking(self._read_end, False)
        return self._read_end

    def listen(self) -> bool:
        """Supervisor: take in what the child said; False at the end of the pipe."""
        try:
            said = os.read(self._read_end, 64)
        except BlockingIOError:
            return True
        for byte in said:
            with suppress(ValueError):  # user code may have written into a descriptor that is not its own
                self.phase = Phase(bytes([byte]))
        return bool(said)

    def collect(self) -> Outcome | None:
        """Supervisor: the child's report, or None when it ended without one."""
        try:
            return load_outcome(self._report.read_bytes())
        except (OSError, ValueError):
            return None

    def stderr_tail(self) -> str:
        """Supervisor: what faulthandler wrote, or nothing."""
        try:
            return self.fault.read_text(errors="replace")
        except OSError:
            return ""

    def remove(self) -> None:
        """Supervisor: leave nothing behind."""
        os.close(self._read_end)
        with suppress(OSError):
            _remove(self.directory)


def _overwrite(path: Path, data: bytes) -> None:
    """In place: what the file holds already needs no more room."""
    with path.open("r+b", buffering=0) as file:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
        file.truncate()


def _remove(folder: Path) -> None:
    """A folder and all in it; `shutil` costs more to import than the rest of the supervisor needs."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            _remove(path)
        else:
            path.unlink()
    folder.rmdir()


def no_room(error: OSError) -> RunnerError:
    """A directory that the task's own variable names, and that is not there, is not there the next time either."""
    named = os.environ.get("TMPDIR")
    if named and not Path(named).is_dir():
        return InvalidSpec(
            f"The environment variable TMPDIR is {named!r}, and there is no such directory where the task runs.",
            "Take TMPDIR out of the task's env (or of the image), or name a directory that exists and can be written.",
        )
    return StoreUnavailable(f"No room to work in TMPDIR: {error}.")
