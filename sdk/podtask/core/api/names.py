"""Every group, label, annotation, reason and state that appears on a Kubernetes object, spelled once.

Below: `podtask_runner.names`. Users of these words: models (CRD), lifecycle, operator, SDK.
"""

from __future__ import annotations

import enum
import re
from typing import Any, Final

WORD_LIMIT: Final = 64
WORD: Final = "^[A-Z][A-Za-z0-9]*$"
"""A reason, an outcome, a cause."""
_WORD: Final = re.compile(rf"(?=.{{1,{WORD_LIMIT}}}\Z){WORD[:-1]}\Z")

GROUP: Final = "podtask.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "TaskRun"
PLURAL: Final = "taskruns"
CRD_NAME: Final = f"{PLURAL}.{GROUP}"
SHORT_NAME: Final = "ptr"
CATEGORY: Final = "podtask"
FLOW_RUN_KIND: Final = "FlowRun"
FLOW_RUN_PLURAL: Final = "flowruns"
FLOW_RUN_CRD_NAME: Final = f"{FLOW_RUN_PLURAL}.{GROUP}"
FLOW_RUN_SHORT_NAME: Final = "pfr"
WARM_POOL_KIND: Final = "WarmPool"
WARM_POOL_PLURAL: Final = "warmpools"
WARM_POOL_CRD_NAME: Final = f"{WARM_POOL_PLURAL}.{GROUP}"
WARM_POOL_SHORT_NAME: Final = "pwp"
WARM_POOL_NAME_LIMIT: Final = 52
"""Characters of a WarmPool's name: pods are named `<pool>-<random>`."""

# On TaskRuns, set by the SDK, for selecting.
LABEL_FLOW_RUN: Final = f"{GROUP}/flow-run"
LABEL_FLOW: Final = f"{GROUP}/flow"
LABEL_TASK: Final = f"{GROUP}/task"
LABEL_RETRY_OF: Final = f"{GROUP}/retry-of"
"""On a run that was made again by hand: the name of the run that it repeats (see `podtask.core.api.resubmit`)."""
LABEL_ROOT_FLOW_RUN: Final = f"{GROUP}/root-flow-run"
"""On a FlowRun: the name of the outermost FlowRun around it, its own where there is none. One selector, one tree."""
# On pods, set by the operator.
LABEL_TASK_RUN: Final = f"{GROUP}/task-run"
LABEL_ATTEMPT: Final = f"{GROUP}/attempt"
LABEL_POOL: Final = f"{GROUP}/pool"
"""On a pod: the WarmPool that it was made for, also once an attempt has claimed it."""
LABEL_POOL_STATE: Final = f"{GROUP}/pool-state"
"""`POOL_IDLE` until an attempt claims the pod, then `POOL_CLAIMED`, for ever."""
POOL_IDLE: Final = "idle"
POOL_CLAIMED: Final = "claimed"
ANNOTATION_CLAIM: Final = f"{GROUP}/claim"
"""On a claimed pod: `<uid of the TaskRun>/<attempt>/<uid of the pod>/<sha256 of the grants>`, and how
often it was renewed. It starts the attempt."""
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "podtask"
SECRET_TYPE: Final = f"{GROUP}/grants"
"""Type of the Secrets with grants. A Secret's type is immutable, so the operator cannot take over anybody else's."""
# On TaskRuns, set by the SDK: code + canonical arguments of the call.
# A restarted driver never takes another call's run.
CLIENT_CALL_DIGEST: Final = "callDigest"
ANNOTATION_RUN_NAME: Final = f"{GROUP}/run-name"
"""What the SDK calls the run: the code inside is told so, as on every backend."""
RUN_NAME_LIMIT: Final = 253
ANNOTATION_TRACEPARENT: Final = f"{GROUP}/traceparent"
"""The span that made the TaskRun, as W3C trace context. It is part of no digest and of no cache key."""

CLIENT_CONFIG_MAP: Final = "podtask-client"
"""Published by the chart: what a client needs to know (endpoint, bucket, prefix, runner minors); no credentials."""

OPERATOR_NAMESPACE: Final = "podtask-system"
"""Where the documentation installs the operator."""

OWNER_LEASE: Final = "podtask-owner"
"""Lease in each namespace with something alive: which release's operator works there (`podtask_operator.ownership`)."""

DRIVER_ACCOUNT: Final = "podtask-driver"
"""Service account of drivers of flows inside the cluster, made by the chart (`driver.enabled`)."""

POD_CONTAINER: Final = "task"
NAME_LIMIT: Final = 52
"""Characters of a TaskRun's name, so that `<name>-<attempt>` stays a valid label and host name (63)."""


class State(str, enum.Enum):
    """`status.state`: a derived word for people; machines read the conditions."""

    PENDING = "Pending"
    RUNNING = "Running"
    AWAITING_RETRY = "AwaitingRetry"
    RETRYING = "Retrying"
    COMPLETED = "Completed"
    CACHED = "Cached"
    FAILED = "Failed"
    CRASHED = "Crashed"
    TIMED_OUT = "TimedOut"
    CANCELLED = "Cancelled"
    NOT_READY = "NotReady"

    __str__ = str.__str__

    @property
    def finished(self) -> bool:
        """True at every end; write-once from then on."""
        return self in _FINISHED

    @property
    def succeeded(self) -> bool:
        """True where a stored result exists."""
        return self in (State.COMPLETED, State.CACHED)


_FINISHED: Final = frozenset(
    {
        State.COMPLETED,
        State.CACHED,
        State.FAILED,
        State.CRASHED,
        State.TIMED_OUT,
        State.CANCELLED,
        State.NOT_READY,
    }
)


class FlowState(str, enum.Enum):
    """`FlowRun.status.state`, as the driver reports it."""

    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CRASHED = "Crashed"
    TIMED_OUT = "TimedOut"
    CANCELLED = "Cancelled"

    __str__ = str.__str__

    @property
    def finished(self) -> bool:
        """True at every end. A driver that attaches again opens the flow run again."""
        return self is not FlowState.RUNNING


class OpenWord(str, enum.Enum):
    """A set of words that grows: one of a newer version is read as it is, and stored without a change of the CRD.

    As Kubernetes' API conventions have it for reasons. Nothing may fail because it does not know a word.
    """

    __str__ = str.__str__

    @classmethod
    def _missing_(cls, value: object) -> OpenWord | None:
        if not isinstance(value, str) or _WORD.fullmatch(value) is None:
            return None
        word = str.__new__(cls, value)
        word._name_ = word._value_ = value
        return word

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        shown: dict[str, Any] = handler(schema)
        return {"title": shown["title"], "type": "string", "pattern": WORD, "maxLength": WORD_LIMIT}


class Reason(OpenWord):
    """`CamelCase` reasons: of a Pending run, of an attempt's end, of a condition, of an Event."""

    # why a run is Pending
    SUSPENDED = "Suspended"
    WAITING_FOR_UPSTREAM = "WaitingForUpstream"
    WAITING_FOR_CACHE = "WaitingForCache"
    QUEUED = "Queued"
    SCHEDULING = "Scheduling"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL = "ImagePull"
    CONTAINER_CONFIG = "ContainerConfig"
    QUOTA = "Quota"
    POD_SECURITY = "PodSecurity"
    ADMISSION = "AdmissionRefused"
    POD_NAME_CONFLICT = "PodNameConflict"
    STORE_UNAVAILABLE = "StoreUnavailable"
    # how an attempt ended
    COMPLETED = "Completed"
    EXCEPTION = "Exception"
    CRASHED = "Crashed"
    TIMED_OUT = "TimedOut"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    OUT_OF_MEMORY = "OutOfMemory"
    INVALID_SPEC = "InvalidSpec"
    ENVIRONMENT_MISMATCH = "EnvironmentMismatch"
    INPUT_CORRUPTED = "InputCorrupted"
    INTERRUPTED = "Interrupted"
    EVICTED = "Evicted"
    PREEMPTED = "Preempted"
    NODE_LOST = "NodeLost"
    POD_DELETED = "PodDeleted"
    NODE_REFUSED = "NodeRefused"
    PENDING_TIMEOUT = "PendingTimeout"
    LOST = "Lost"
    # why a run ended without an attempt of its own
    CACHED = "Cached"
    CANCELLED = "Cancelled"
    UPSTREAM_FAILED = "UpstreamFailed"
    # why a run goes on
    RUNNING = "Running"
    AWAITING_RETRY = "AwaitingRetry"


class Ended(OpenWord):
    """`attempts[].outcome`: how an attempt was judged."""

    COMPLETED = "Completed"
    FAILED = "Failed"
    CRASHED = "Crashed"
    TIMED_OUT = "TimedOut"
    OUT_OF_MEMORY = "OutOfMemory"
    DISRUPTION = "Disruption"
    CANCELLED = "Cancelled"
    INVALID_SPEC = "InvalidSpec"
    ENVIRONMENT_MISMATCH = "EnvironmentMismatch"
    INPUT_CORRUPTED = "InputCorrupted"


class Cause(OpenWord):
    """Why an attempt was started."""

    FIRST = "First"
    RETRY = "Retry"
    DISRUPTION = "Disruption"
    OUT_OF_MEMORY = "OutOfMemory"


class PodCleanup(str, enum.Enum):
    """`spec.podCleanup`: which pods are deleted once the stored status says how they ended."""

    KEEP_ALL = "KeepAll"
    KEEP_FAILED = "KeepFailed"
    DELETE = "Delete"

    __str__ = str.__str__

    def deletes(self, outcome: Ended) -> bool:
        """True where the pod of an attempt that was judged so is not kept."""
        return self is PodCleanup.DELETE or (self is PodCleanup.KEEP_FAILED and outcome is Ended.COMPLETED)


class CacheOutcome(str, enum.Enum):
    """`status.cache.outcome`."""

    HIT = "Hit"
    MISS = "Miss"
    WAITING = "Waiting"
    OFF = "Off"

    __str__ = str.__str__


EVENT_ENTRY_DROPPED: Final = "CacheEntryDropped"
EVENT_STORE_REFUSED: Final = "StoreRefused"
CONDITION_SUCCEEDED: Final = "Succeeded"
CONDITION_FINISHED: Final = "Finished"
CONDITION_DRIVER_LOST: Final = "DriverLost"
"""On a FlowRun, set by the operator: the driver's heartbeat stands still. The condition comes and goes."""
CONDITION_READY: Final = "Ready"
"""On a WarmPool, set by the operator: every wanted pod waits."""
CONDITION_PRELOADED: Final = "Preloaded"
"""On a WarmPool with `preload`, set by the operator: a waiting pod has imported all of it."""
CONDITION_SETTLED: Final = "Settled"
"""On a FlowRun, set by the operator: everything of it has ended; its time to live counts from here."""
