"""What the lifecycle looks at and what it answers. Plain, frozen data; no I/O, no clock.

    observe (operator, local backend) ──> Observed ──> decide ──> Decision ──> apply

Next on the road: `podtask.core.lifecycle.rules`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from podtask.core.api.names import Reason
from podtask.core.api.status import Claim, ResolvedInput, ResultInfo, Status
from podtask.core.lifecycle.memory import MemoryGrowth
from podtask_runner.protocol import Outcome


@dataclass(frozen=True)
class CachePolicy:
    """`spec.cache` as far as the lifecycle cares; None in `Policy` means no caching was asked for."""

    expiration_seconds: float | None = None
    refresh: bool = False
    wait_for_concurrent: bool = True


class AsksForAttempts(Protocol):
    """What a TaskRun's spec and the options of a task have in common: how attempts follow each other."""

    @property
    def retries(self) -> int: ...
    @property
    def retry_jitter_factor(self) -> float: ...
    @property
    def max_disruptions(self) -> int | None: ...
    @property
    def timeout_seconds(self) -> float | None: ...
    @property
    def deadline_seconds(self) -> float | None: ...


@dataclass(frozen=True)
class Policy:
    """What the spec asks of the lifecycle. All times in seconds."""

    retries: int = 0
    retry_delays: tuple[float, ...] = ()
    """Delay before retry k; the last one repeats; empty: no delay."""
    retry_jitter: float = 0.0
    """Each delay grows by up to this fraction of itself, never shrinks."""
    max_disruptions: int = 5
    on_out_of_memory: MemoryGrowth | None = None
    """None: an out-of-memory kill uses retries."""
    timeout_seconds: float | None = None
    deadline_seconds: float | None = None
    """For all attempts together, from the record of the first; time suspended is not counted."""
    force_after_seconds: float | None = None
    """A pod that is still there so long after its deletion was due (a lost node) is removed by force; None: never."""
    pending_timeout_seconds: float = 900.0
    grace_seconds: float = 10.0
    suspend: bool = False
    cancel: bool = False
    ttl_seconds: float | None = None
    cache: CachePolicy | None = None

    @classmethod
    def of(cls, asked: AsksForAttempts, retry_delays: Iterable[float]) -> Policy:
        """Of a spec, or of the options of a task on a laptop. What only one of them has is added by who reads it."""
        return cls(
            retries=asked.retries,
            retry_delays=tuple(retry_delays),
            retry_jitter=asked.retry_jitter_factor,
            max_disruptions=cls.max_disruptions if asked.max_disruptions is None else asked.max_disruptions,
            timeout_seconds=asked.timeout_seconds,
            deadline_seconds=asked.deadline_seconds,
        )


class Presence(enum.Enum):
    """What is known of the pod of the attempt that runs."""

    UNPOSTED = "recorded by this process; no POST was accepted, and none is in doubt"
    EXPECTED = "POST accepted, not seen by the watch yet"
    SEEN = "seen, and ours"
    ABSENT = "a live GET found no pod"
    LATE = "a live GET found no pod, and a POST of the operator before this one may still be on its way"
    FOREIGN = "a pod of that name belongs to somebody else"
    IDLE = "the idle pod that another process chose for it; whether its claim is under way nobody knows"
    UNCLAIMED = "the idle pod that was chosen is not its own, and never will be"


class PodPhase(enum.Enum):
    """The three phases that matter here."""

    WAITING = "its container has not started"
    RUNNING = "its container runs"
    ENDED = "it will never run again"


@dataclass(frozen=True)
class Why:
    """A reason with its sentence and its cure."""

    reason: Reason
    message: str
    cure: str | None = None


@dataclass(frozen=True)
class Pod:
    """What one pod of ours says, translated from its status by whoever observes it."""

    uid: str
    phase: PodPhase
    node: str | None = None
    scheduled_at: datetime | None = None
    """PodScheduled, or the first refusal to schedule, or its creation where no scheduler has looked at it, or when it
    was first seen without the gates that had held it; None while scheduling gates hold it (Kueue)."""
    started_at: datetime | None = None
    waiting: Why | None = None
    """Why it does not run yet."""
    stopping: bool = False
    """Its end was asked for already, by us or by a deletion."""
    gone_by: datetime | None = None
    """When a deletion that was asked for is due, grace included; a pod on a lost node stays beyond it."""
    outcome: Outcome | None = None
    """The runner's termination message."""
    exit_code: int | None = None
    disruption: Why | None = None
    """Eviction, preemption, node loss, admission, a deletion before its end: not the user's code ended it."""
    oom_killed: bool = False
    deadline_exceeded: bool = False


@dataclass(frozen=True)
class Upstream:
    """A run this one needs: its data (`wants_data`) or only its completion; its end is enough where it may fail."""

    task_run: str
    exists: bool
    finished: bool = False
    succeeded: bool = False
    state: str = ""
    wants_data: bool = True
    result: ResolvedInput | None = None
    may_fail: bool = False
    replaced: bool = False
    """Not found, because another run has its name: it was deleted, and one was made anew."""

    @property
    def failed(self) -> bool:
        """Ended and did not complete."""
        return self.finished and not self.succeeded

    @property
    def ready(self) -> bool:
        """True when nothing of it is waited for any more."""
        return self.succeeded or (self.failed and self.may_fail)


@dataclass(frozen=True)
class CacheView:
    """What the cache says about a run past its other gates."""

    key: str | None
    """None: caching was asked for but no key could be made; `off_reason` says why."""
    off_reason: str | None = None
    hit: ResultInfo | None = None
    hit_run: str | None = None
    expires_at: datetime | None = None
    leader: str | None = None
    """Another unfinished run of the same key that goes first."""
    miss_reason: str | None = None
    compared_with: str | None = None
    """The earlier run that `miss_reason` compares this one with."""


@dataclass(frozen=True)
class Limit:
    """One concurrency limit that the run falls under, without the run itself."""

    what: str
    """As in a sentence: `tag 'gpu'`, `namespace 'team'`."""
    allowed: int
    held: int
    """Slots of others: attempts that are recorded and unfinished."""
    ahead: int = 0
    """Free slots that older waiting runs take first."""

    @property
    def full(self) -> bool:
        """True where there is no slot for the run."""
        return self.held + self.ahead >= self.allowed


@dataclass(frozen=True)
class Refusal:
    """The API server's answer to the last POST of the pod."""

    why: Why
    final: bool
    """True where trying again cannot help (422: the spec is invalid)."""
    retry_at: datetime


@dataclass(frozen=True)
class Observed:
    """Everything one decision may depend on, read at one moment."""

    uid: str
    created_at: datetime
    policy: Policy
    status: Status
    presence: Presence = Presence.ABSENT
    pod: Pod | None = None
    late_until: datetime | None = None
    """When a POST of the operator before has arrived or never will; asked only where its pod may be `LATE`."""
    known_uid: str | None = None
    """UID of the running attempt's pod where this process knew it (answer to its POST, watch), though it be gone."""
    stored: Outcome | None = None
    """Object `outcome` of the running attempt; read only where its pod cannot say how it ended, is not
    there, or where the runner says that it is stored."""
    refusal: Refusal | None = None
    idle: Claim | None = None
    """An idle pod that the next attempt may take; None: it gets a pod of its own."""
    invalid: Why | None = None
    spec_digest: str | None = None
    """Of what later attempts must find unchanged; kept with the record of the first one."""
    upstreams: tuple[Upstream, ...] = ()
    cache: CacheView | None = None
    limits: tuple[Limit, ...] = ()
    needed: bool = False
    """An unfinished run names this one."""
    deleting: bool = False
    """It was deleted, and a finalizer holds it."""
    flow_ended: Why | None = None
    """Its flow run, or one around it, was cancelled or deleted."""
    read_again_at: datetime | None = None
    """When to read anew what no watch tells of."""
    reports_at_once: bool = False
    """Every phase is reported as it begins, however short: on a laptop, where a report costs nothing."""
    worker_queue: Why | None = None
    """What a new attempt waits for where workers of this process run it; None: a cluster schedules its pod."""

    @property
    def cancelled(self) -> bool:
        """The run is to end: by its own spec.cancel, or because its flow run did."""
        return self.policy.cancel or self.flow_ended is not None


@dataclass(frozen=True)
class Launch:
    """Write the grants and create the pod of the recorded attempt."""

    attempt: int


@dataclass(frozen=True)
class Release:
    """Remove the idle pod that was chosen for the attempt, so that no claim of it can take effect any more."""

    attempt: int
    claim: Claim


@dataclass(frozen=True)
class Stop:
    """End a pod gracefully and keep it: SIGTERM, grace, its outcome stays readable."""

    attempt: int
    pod_uid: str


@dataclass(frozen=True)
class DeletePod:
    """Remove a pod whose container never started."""

    attempt: int
    pod_uid: str
    force: bool = False
    """True: do not wait for the node's word; it is lost, as far as anyone knows."""


@dataclass(frozen=True)
class Publish:
    """Write the cache pointer of a completed attempt, before the status says Completed."""

    key: str
    result: ResultInfo
    expires_at: datetime | None


@dataclass(frozen=True)
class DeleteRun:
    """Remove the TaskRun itself: its time to live is over."""


Effect = Launch | Release | Stop | DeletePod | Publish | DeleteRun


@dataclass(frozen=True)
class Decision:
    """One answer: the status as it should be, what to do, and when to look again at the latest."""

    status: Status
    effects: tuple[Effect, ...] = field(default=())
    again_at: datetime | None = None
    queues: bool = False
    """True: it waits for nothing but a slot, and has its place among those that do."""
    rule: str = ""
    """Name of the rule that answered; for logs and tests."""
