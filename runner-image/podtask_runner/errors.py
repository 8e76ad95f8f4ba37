"""What ends an attempt before or beside the user's own exceptions, each with its verdict and its cure.

    RunnerError                    a sentence, a cure and a `Verdict`
    ├── InvalidSpec                the TaskRun asks for something that cannot be done
    ├── EnvironmentMismatch        made by another Python, or needs a module this image does not have
    │   └── ImportedAlready        a module of the project's name is imported already, from elsewhere
    ├── InputCorrupted             an object is gone or is not what its digest says
    ├── StoreUnavailable           the bucket did not answer in time
    └── AlreadyStored              this attempt's object exists already, with other content
    ToldToStop                     SIGTERM, as the task sees it
    CheckpointError                a checkpoint that cannot be saved or loaded, as the task sees it

Raised all over the runner, turned into an `Outcome` by `podtask_runner.attempt.execute` and
`podtask_runner.process.delivery`.
"""

from __future__ import annotations

from typing import ClassVar

from podtask_runner.protocol import Verdict


class RunnerError(Exception):
    """Base of what the runner itself finds wrong. `cure` says what a person can do about it."""

    verdict: ClassVar[Verdict] = Verdict.CRASHED

    def __init__(self, message: str, cure: str | None = None) -> None:
        super().__init__(message)
        self.cure = cure


class InvalidSpec(RunnerError):
    """The TaskRun cannot be executed as it is written; trying again does not help."""

    verdict = Verdict.INVALID_SPEC


class EnvironmentMismatch(RunnerError):
    """The payload belongs to another interpreter or to other packages than the ones that are here."""

    verdict = Verdict.ENVIRONMENT_MISMATCH


class ImportedAlready(EnvironmentMismatch):
    """A module of the project's has the name of one that this process has imported from elsewhere."""


class InputCorrupted(RunnerError):
    """An object is missing, or its bytes do not have the digest that was recorded for it."""

    verdict = Verdict.INPUT_CORRUPTED


class StoreUnavailable(RunnerError):
    """The store did not answer, or refused, for longer than `store_timeout_seconds`."""

    verdict = Verdict.STORE_UNAVAILABLE


class AlreadyStored(RunnerError):
    """The object was written before with other bytes. `digest`, `size` and `head` describe what is there."""

    def __init__(self, message: str, digest: str = "", size: int = 0, head: bytes = b"") -> None:
        super().__init__(message)
        self.digest = digest
        self.size = size
        self.head = head


class CheckpointError(RuntimeError):
    """Inside a task: its progress cannot be saved or loaded as it was asked for."""


class ToldToStop(SystemExit):
    """SIGTERM, raised in the task so that its `finally` and `with` tidy up. No Exception: user code lets it pass."""
