"""A runner that waits for its attempt: process 1 of a pod of a WarmPool, until the operator gives an attempt to it.

    claim (an annotation, by a file) + grants (a Secret, by another) ──matching──> the attempt starts, once

The grants alone start nothing: whoever may write Secrets could give others' pods something to do. The claim names the
TaskRun, the attempt, this very pod and the digest of the grants. The two files come in no order, and may be renewed.
Asked by: `podtask_runner.process.warm`. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import select
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from podtask_runner.names import (
    CLAIM_DIR,
    CLAIM_FILE,
    ENV_CLAIM,
    ENV_DOORBELL,
    ENV_GRANTS,
    ENV_IDLE_SECONDS,
    ENV_POD_UID,
    ENV_PRELOAD,
    GRANTS_DIR,
    GRANTS_FILE,
)
from podtask_runner.protocol import Error, Grants, Outcome, Verdict, load_grants
from podtask_runner.storage import grants_file

LOOK_SECONDS: Final = 0.02
"""Between two looks at the files: what a claimed attempt waits for on average is half of it."""
IDLE_SECONDS: Final = 1860.0
"""Where nobody says for how long."""
LONGEST: Final = 1024
"""Bytes of a claim that are read."""


@dataclass(frozen=True)
class Places:
    """Where claim and grants come, and for whom."""

    claim: Path
    grants: Path
    pod_uid: str
    idle_seconds: float
    preload: tuple[str, ...] = ()
    """Modules to import meanwhile."""
    doorbell: str | None = None
    """Where to say what came of that."""

    @classmethod
    def of_environment(cls) -> Places:
        """As the operator has set them."""
        seconds = os.environ.get(ENV_IDLE_SECONDS) or ""
        return cls(
            Path(os.environ.get(ENV_CLAIM) or f"{CLAIM_DIR}/{CLAIM_FILE}"),
            Path(os.environ.get(ENV_GRANTS) or f"{GRANTS_DIR}/{GRANTS_FILE}"),
            os.environ.get(ENV_POD_UID) or "",
            float(seconds) if seconds.isdecimal() else IDLE_SECONDS,
            tuple(name for name in (os.environ.get(ENV_PRELOAD) or "").split(",") if name),
            os.environ.get(ENV_DOORBELL),
        )


def matching(
    claim: bytes, content: bytes, pod_uid: str, opened: Callable[[bytes], Grants] = load_grants
) -> Grants | None:
    """The grants, where the claim is for this pod and these very grants, else None. A renewed claim ends in a count.

    `opened`: gives the grants behind the content of their file. Raises what it raises but for `ValueError`.
    """
    parts = claim.decode("ascii", "replace").strip().split("/")
    if len(parts) not in (4, 5) or not pod_uid or parts[2] != pod_uid:
        return None
    if hashlib.sha256(content).hexdigest() != parts[3]:
        return None
    try:
        read = opened(content)
    except (ValueError, TypeError, RecursionError):
        return None
    return read if read.uid == parts[0] and str(read.attempt) == parts[1] else None


def wait(places: Places, signals: int, ended: Callable[[], str | None]) -> Grants | str:
    """The grants of the attempt; or why there will be none. Raises `RunnerError` where they cannot be fetched.

    `signals` is a descriptor that becomes readable with a signal; `ended` then says whether waiting is over, and why.
    """
    until = time.monotonic() + places.idle_seconds
    while True:
        found = _look(places)
        if found is not None:
            return found
        if time.monotonic() >= until:
            return f"No attempt was given to the pod within {places.idle_seconds:g} s."
        select.select([signals], (), (), LOOK_SECONDS)
        why = ended()
        if why is not None:
            return why


def _look(places: Places) -> Grants | None:
    with suppress(OSError):  # not there yet, or just being exchanged
        with places.claim.open("rb") as file:
            claim = file.read(LONGEST)
        if claim:
            content = places.grants.read_bytes()
            return matching(claim, content, places.pod_uid, lambda data: grants_file.opened(data, places.grants))
    return None


def never_started(why: str) -> Outcome:
    """What the termination message says: no attempt began here, so none has failed."""
    cure = "Nothing to do: the pool replaces the pod, and an attempt that was about to come starts in another one."
    return Outcome(Verdict.NEVER_STARTED, error=Error("NeverStarted", why, cure=cure))


class Gate:
    """A pipe and a file: the waiting child goes on when the supervisor has put its grants there."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "given"
        self._read_end, self._write_end = os.pipe()

    def child_side(self) -> bytes | None:
        """Child: wait; the grants, or None where there will be none."""
        os.close(self._write_end)
        opened = os.read(self._read_end, 1)
        os.close(self._read_end)
        if not opened:
            return None
        data = self._file.read_bytes()
        self._file.unlink()
        return data

    def supervisor_side(self) -> None:
        """Supervisor: after the fork."""
        os.close(self._read_end)

    def open(self, data: bytes) -> None:
        """Supervisor: let the child go on. By a file, because a pipe holds 64 KiB. Raises `OSError` without room."""
        self._file.write_bytes(data)
        os.write(self._write_end, b"g")
        self.close()

    def close(self) -> None:
        """Supervisor: nothing (more) will come."""
        os.close(self._write_end)
