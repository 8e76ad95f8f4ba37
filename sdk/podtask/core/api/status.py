"""`TaskRun.status` as plain, frozen data: what is known of a run, and the only thing the operator writes.

Pure: standard library only, so the lifecycle and the local backend use it without a model library.
`podtask.core.api.spec` reads these classes for the CRD schema and turns them from and to JSON (camelCase).
Attempts are appended and completed, never overwritten; a finished status never changes again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar

from podtask.core.api.names import CacheOutcome, Cause, Ended, Reason, State

ATTEMPTS_KEPT = 20
"""Newest attempts in the status; the counters keep the rest."""
MESSAGE_LIMIT = 1024
"""Characters of a message in the status."""
WORD_LIMIT = 256
"""Characters of a type, a serializer, a hash."""
PAYLOAD_LIMIT = 8192
"""Characters of a value, an inline object, a traceback; longer ones are read from the store."""


def camel_case(name: str) -> str:
    """`started_at` as Kubernetes writes it: `startedAt`; `pod_uid` as `podUID`."""
    head, *rest = name.split("_")
    return head + "".join("UID" if word == "uid" else word.capitalize() for word in rest)


class Wire:
    """Base of everything written as JSON: pydantic, where it is used, reads this and names fields in camelCase."""

    __slots__ = ()
    __pydantic_config__: ClassVar[Any] = {"alias_generator": camel_case, "populate_by_name": True}


def doc(text: str) -> dict[str, str]:
    """Field metadata that becomes `kubectl explain`."""
    return {"description": text}


@dataclass(frozen=True, slots=True)
class Claim(Wire):
    """The idle pod of a WarmPool that an attempt takes instead of a new one."""

    pod_name: str = field(metadata=doc("Name of the pod, which is that of the attempt then."))
    pod_uid: str = field(metadata=doc("UID of the pod when it was chosen."))


@dataclass(frozen=True, slots=True)
class Attempt(Wire):
    """One pod, from its record to its judgement."""

    number: int = field(metadata=doc("Counts from 1; used once; a pod of its own is named <taskrun>-<number>."))
    cause: Cause = field(default=Cause.FIRST, metadata=doc("Why it was started."))
    recorded_at: datetime | None = field(
        default=None, metadata=doc("When it was recorded, before its pod was created.")
    )
    claim: Claim | None = field(
        default=None, metadata=doc("The idle pod of a WarmPool that it runs in; absent: a pod of its own.")
    )
    pod_uid: str | None = field(default=None, metadata=doc("UID of its pod, once known."))
    node: str | None = field(default=None, metadata=doc("Node of its pod."))
    started_at: datetime | None = field(default=None, metadata=doc("Start of its container."))
    finished_at: datetime | None = field(
        default=None, metadata=doc("When the operator first saw its end; retry delays count from here.")
    )
    outcome: Ended | None = field(default=None, metadata=doc("How it was judged; absent while it runs."))
    exit_code: int | None = field(
        default=None,
        metadata=doc("Exit code of its container; absent where its stored result ended the run before the pod's end."),
    )
    memory: str | None = field(
        default=None, metadata=doc("Memory it gets, where an out-of-memory kill of an earlier attempt made it grow.")
    )
    reason: Reason | None = field(default=None, metadata=doc("One CamelCase word."))
    message: str | None = field(default=None, metadata=doc("What happened, for people."))
    cure: str | None = field(default=None, metadata=doc("What to do about it."))
    held_up_by: Reason | None = field(
        default=None, metadata=doc("Of an attempt that did not start in time: the reason for which it waited.")
    )

    @property
    def judged(self) -> bool:
        """True once its end is written."""
        return self.outcome is not None


def own_pod_name(task_run: str, number: int) -> str:
    """`<taskrun>-<attempt>`: the API server itself refuses a second pod of the same attempt."""
    return f"{task_run}-{number}"


def pod_name(task_run: str, attempt: Attempt) -> str:
    """The pod of an attempt, as the record has it: the idle pod that it took, else its own."""
    return own_pod_name(task_run, attempt.number) if attempt.claim is None else attempt.claim.pod_name


@dataclass(frozen=True, slots=True)
class ResolvedInput(Wire):
    """An upstream result, or how it failed where it may; resolved once at the first launch, and later attempts use
    only this."""

    task_run: str = field(metadata=doc("Name of the upstream TaskRun."))
    uid: str = field(metadata=doc("Its UID."))
    attempt: int = field(metadata=doc("The attempt whose result it is; for a cached run, of its source."))
    digest: str = field(
        metadata=doc(
            "sha256 of the result object; of one that failed: of its stored exception, empty where it has none."
        )
    )
    size: int = field(default=0, metadata=doc("Bytes of that object."))
    serializer: str = field(default="cloudpickle", metadata=doc("How it is written."))
    content_hash: str | None = field(default=None, metadata=doc("Canonical hash of the value; part of cache keys."))
    source_uid: str | None = field(
        default=None, metadata=doc("UID of the run that stored it, where another did (cache).")
    )
    failed_as: State | None = field(
        default=None, metadata=doc("How it ended, where it did not complete and allowFailure let this run start.")
    )
    message: str | None = field(default=None, metadata=doc("What it failed with, where it did."))


@dataclass(frozen=True, slots=True)
class ResultInfo(Wire):
    """The stored result that proves success."""

    digest: str = field(metadata=doc("sha256 of the result object."))
    size: int = field(metadata=doc("Bytes of the result object."))
    serializer: str = field(metadata=doc("json, cloudpickle or a registered serializer."))
    content_hash: str | None = field(default=None, metadata=doc("Canonical hash of the value."))
    value: str | None = field(
        default=None, metadata=doc("The value as JSON text, when JSON carries it exactly and it is small.")
    )
    inline: str | None = field(default=None, metadata=doc("base64 of the object itself, when it is small."))
    attempt: int | None = field(default=None, metadata=doc("The attempt that stored it."))
    source_uid: str | None = field(
        default=None, metadata=doc("UID of the run that stored it, where another did (cache).")
    )


@dataclass(frozen=True, slots=True)
class ErrorInfo(Wire):
    """Why the run did not succeed."""

    type: str = field(metadata=doc("Type of the exception, or the reason."))
    message: str = field(metadata=doc("What happened."))
    traceback: str | None = field(default=None, metadata=doc("Last lines of the traceback."))
    digest: str | None = field(default=None, metadata=doc("sha256 of the stored, pickled exception."))
    size: int | None = field(default=None, metadata=doc("Bytes of that object."))
    inline: str | None = field(default=None, metadata=doc("base64 of that object, when it is small."))
    attempt: int | None = field(default=None, metadata=doc("The attempt that stored it."))
    cure: str | None = field(default=None, metadata=doc("What to do about it."))


@dataclass(frozen=True, slots=True)
class CacheInfo(Wire):
    """What the cache had to do with the run."""

    key: str | None = field(default=None, metadata=doc("The key, as composed or given."))
    outcome: CacheOutcome = field(default=CacheOutcome.OFF, metadata=doc("Hit, Miss, Waiting or Off."))
    source_run: str | None = field(default=None, metadata=doc("The TaskRun whose result was used or is awaited."))
    expires_at: datetime | None = field(default=None, metadata=doc("When the entry expires; counted from completion."))
    miss_reason: str | None = field(default=None, metadata=doc("Why nothing was found, or why the cache is off."))
    compared_with: str | None = field(
        default=None, metadata=doc("The earlier TaskRun that missReason compares this one with.")
    )


@dataclass(frozen=True, slots=True)
class Status(Wire):
    """All of `TaskRun.status` that is not derived (conditions and texts are: see
    `podtask.core.lifecycle.rendering`)."""

    state: State = field(default=State.PENDING, metadata=doc("One word for people; machines read the conditions."))
    reason: Reason | None = field(default=None, metadata=doc("One CamelCase word: why it is in this state."))
    message: str | None = field(default=None, metadata=doc("A sentence for people."))
    attempts: tuple[Attempt, ...] = field(default=(), metadata=doc("The newest 20 attempts, oldest first."))
    attempts_total: int = field(default=0, metadata=doc("Attempts recorded; also the number of the newest one."))
    retries_used: int = field(default=0, metadata=doc("Retries taken from spec.retries."))
    disruptions_used: int = field(default=0, metadata=doc("Re-creations taken from spec.maxDisruptions."))
    out_of_memory_used: int = field(
        default=0, metadata=doc("Attempts with more memory taken from spec.onOutOfMemory.maxAttempts.")
    )
    suspended_at: datetime | None = field(
        default=None, metadata=doc("Since when the deadline's clock stands still, because the run is suspended.")
    )
    suspended_seconds: float | None = field(
        default=None,
        metadata=doc("How long it was suspended after its first attempt; spec.deadlineSeconds excludes it."),
    )
    next_attempt_at: datetime | None = field(
        default=None, metadata=doc("The next attempt starts at this time, never earlier.")
    )
    spec_digest: str | None = field(
        default=None,
        metadata=doc("Digest of parameters and podTemplate at the first attempt; later ones need the same."),
    )
    inputs: tuple[ResolvedInput, ...] = field(default=(), metadata=doc("Upstream results, resolved once."))
    result: ResultInfo | None = field(default=None, metadata=doc("The stored result that proves success."))
    error: ErrorInfo | None = field(default=None, metadata=doc("Why the run did not succeed."))
    cure: str | None = field(
        default=None, metadata=doc("What to do about the message, while the run waits; of an end: error.cure.")
    )
    failed_upstream: str | None = field(
        default=None, metadata=doc("The TaskRun that this one needed and that did not complete.")
    )
    cache: CacheInfo | None = field(default=None, metadata=doc("What the cache had to do with it."))
    started_at: datetime | None = field(default=None, metadata=doc("When the first attempt was recorded."))
    finished_at: datetime | None = field(
        default=None, metadata=doc("When the run ended; from then on nothing changes.")
    )

    @property
    def finished(self) -> bool:
        """True once the end is written."""
        return self.finished_at is not None

    @property
    def latest(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def running(self) -> Attempt | None:
        """The attempt that is recorded and not judged yet: there is at most one."""
        return self.latest if self.latest and not self.latest.judged else None

    def with_latest(self, attempt: Attempt) -> Status:
        """This status with its newest attempt completed."""
        return replace(self, attempts=(*self.attempts[:-1], attempt))

    def with_new(self, attempt: Attempt) -> Status:
        """This status with one more attempt; the oldest make room."""
        return replace(self, attempts=(*self.attempts, attempt)[-ATTEMPTS_KEPT:], attempts_total=attempt.number)
