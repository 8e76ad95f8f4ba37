"""The TaskRun as a person writes it: the single source of the CRD, of `kubectl explain` and of the Python types.

Reading is lenient (a newer CRD and an older reader), the schema is strict and everything is bounded.
`podtask.core.crd` turns these models into the CustomResourceDefinition; `podtask.core.api.status` is the other
half. Durations are numbers of seconds with the unit in the name (Kubernetes API conventions).
"""

from __future__ import annotations

import enum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from podtask.core.api import limits
from podtask.core.api.limits import RESOURCES_LIMIT
from podtask.core.api.names import NAME_LIMIT, PodCleanup
from podtask.core.api.status import camel_case

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""Names of objects in Kubernetes (RFC 1123 subdomain). The API server refuses others; what is read here is judged by
the operator, in a sentence about the run: a pattern of the model would make the object unreadable instead."""
Name = Annotated[str, Field(max_length=253, min_length=1, json_schema_extra={"pattern": NAME_PATTERN})]
Uid = Annotated[str, Field(max_length=64, min_length=1)]
Text = Annotated[str, Field(max_length=1024)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Inline = Annotated[str, Field(max_length=87384)]
Seconds = Annotated[float, Field(ge=0, le=limits.DELAY_LIMIT)]
Quantity = Annotated[int | str, Field(json_schema_extra={"x-kubernetes-int-or-string": True})]
_OPEN: JsonDict = {
    "additionalProperties": {"x-kubernetes-preserve-unknown-fields": True, "nullable": True},
    "maxProperties": 256,
}
OpenObject = Annotated[dict[str, Any], Field(json_schema_extra=_OPEN)]
"""Any JSON under each key. Not one open object: the API server would take two of equal size for equal when their keys
differ (see `podtask.core.crd`)."""


class Model(BaseModel):
    """Shared behaviour: camelCase on the wire, docstrings become descriptions, values never change."""

    model_config = ConfigDict(
        alias_generator=camel_case, populate_by_name=True, frozen=True, use_attribute_docstrings=True, extra="ignore"
    )


def plain(model: Model) -> dict[str, Any]:
    """A model as Kubernetes writes it."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


class Payload(Model):
    """A payload: stored under its digest, or inline."""

    digest: Digest | None = None
    """sha256 of the object in the bucket (blobs/<digest>)."""
    size: Annotated[int, Field(ge=0)] | None = None
    """Bytes of that object."""
    inline: Inline | None = None
    """The object itself, base64; at most 64 KiB before encoding."""


class StoredFile(Model):
    """The content of a file among the arguments."""

    digest: Digest
    """sha256 of the object in the bucket (blobs/<digest>)."""
    size: Annotated[int, Field(ge=0, le=5 * 1024**3)]
    """Bytes of that object."""


class Task(Model):
    """What to run: exactly one of source, entrypoint and code."""

    name: Annotated[str, Field(max_length=253)] | None = None
    """Display name; default: the TaskRun's name."""
    source: Annotated[str, Field(max_length=131072, min_length=1)] | None = None
    """Inline Python source."""
    function: Annotated[str, Field(max_length=253, min_length=1)] = "main"
    """The function in source to call."""
    entrypoint: Annotated[str, Field(max_length=1024, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")] | None = None
    """package.module:function, imported inside the image."""
    code: Payload | None = None
    """A function shipped by the Python SDK."""
    bundle: Payload | None = None
    """The source files of the project that code and inputs belong to, one archive for all its TaskRuns; set by the
    SDK."""
    overlay: Payload | None = None
    """What the driver changed in modules of the bundle since it imported them; set by the SDK."""
    key: Annotated[str, Field(max_length=253)] | None = None
    """What stays the same over all runs of the task: a cache miss is explained by earlier runs of the same key;
    default: the name."""
    python: Annotated[str, Field(pattern=r"^3\.[0-9]{1,2}$")] | None = None
    """Python minor the code was made with, such as 3.11; chooses the runner image."""


class Upstream(Model):
    """The result of another TaskRun in the same namespace."""

    task_run: Name
    """Name of the TaskRun whose result is needed."""
    uid: Uid | None = None
    """Its UID. When given, another TaskRun that has the name by now is not taken for it: the upstream counts as
    deleted."""
    parameter: Annotated[str, Field(max_length=253)] | None = None
    """Keyword parameter that gets the value."""
    ref: Annotated[str, Field(max_length=253)] | None = None
    """Placeholder in the pickled inputs that gets the value; default: the name of the TaskRun."""
    allow_failure: bool | None = None
    """True: start also when it fails, and get its exception as the value; then the run is not cached. An upstream that
    is also named without it must complete."""

    @property
    def placeholder(self) -> str | None:
        """What stands for the value in pickled inputs; None where the value goes to a parameter alone."""
        return self.ref or (self.task_run if self.parameter is None else None)


class WaitFor(Model):
    """Order without data."""

    task_run: Name
    """Name of the TaskRun that must complete first."""
    uid: Uid | None = None
    """Its UID, as in upstream."""
    allow_failure: bool | None = None
    """True: it must only end; if it fails, the run is not cached."""


class OnConcurrent(str, enum.Enum):
    """What to do while an identical run is under way."""

    WAIT = "Wait"
    RUN = "Run"


class CacheComponents(Model):
    """What the SDK knows of a key; the operator adds upstream results and the image."""

    code: Annotated[str, Field(max_length=256)]
    """Code identity."""
    arguments: Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=256)] = Field(
        default_factory=dict
    )
    """Canonical hash of each argument."""


class Cache(Model):
    """Reuse the result of an identical earlier run; with {} the key is composed from code, parameters and image."""

    key: Annotated[str, Field(max_length=limits.KEY_LIMIT, min_length=1)] | None = None
    """The key, when you choose it yourself."""
    components: CacheComponents | None = None
    """Set by the SDK."""
    uncached: Annotated[str, Field(max_length=1024, min_length=1)] | None = None
    """Why the caller could compute no key; the run executes uncached, whatever else is here. Set by the SDK."""
    ignore: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=limits.UPSTREAMS_LIMIT)] = Field(
        default_factory=list
    )
    """Parameters that do not count for a composed key; a result without a parameter is "upstream 0", "upstream 1", …"""
    add: Annotated[dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=64)] = Field(
        default_factory=dict
    )
    """What counts for a composed key beside the parameters, for example the version of a table that the task reads."""
    expiration_seconds: Annotated[float, Field(ge=0)] | None = None
    """Life of the entry, counted from completion; absent: for ever."""
    refresh: bool = False
    """Run anyway and write the entry anew."""
    on_concurrent: OnConcurrent = OnConcurrent.WAIT
    """Wait for an identical run that is under way, or Run beside it."""


class Resources(Model):
    """CPU and memory of the task's container, as in a pod."""

    limits: Annotated[dict[str, Quantity], Field(max_length=RESOURCES_LIMIT)] | None = None
    """Most it may use."""
    requests: Annotated[dict[str, Quantity], Field(max_length=RESOURCES_LIMIT)] | None = None
    """What the scheduler sets aside."""


class OnOutOfMemory(Model):
    """More memory after an out-of-memory kill, from a budget of its own; without it such a kill uses retries."""

    memory_factor: Annotated[float, Field(gt=1, le=10)] = 2
    """Each further attempt gets this many times the memory of the one before, request and limit."""
    max_memory: Quantity
    """Never more than this, for example 16Gi. An attempt that had it and was killed ends the run."""
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """Attempts with more memory, at most; they use no retries."""


NodeSelector = Annotated[
    dict[str, Annotated[str, Field(max_length=limits.LABEL_LIMIT)]], Field(max_length=limits.SELECTOR_LIMIT)
]


class Toleration(Model):
    """As in a pod."""

    key: Annotated[str, Field(max_length=limits.TAINT_LIMITS["key"])] | None = None
    """Taint key."""
    operator: Annotated[str, Field(max_length=limits.TAINT_LIMITS["operator"])] | None = None
    """Exists or Equal."""
    value: Annotated[str, Field(max_length=limits.TAINT_LIMITS["value"])] | None = None
    """Taint value."""
    effect: Annotated[str, Field(max_length=limits.TAINT_LIMITS["effect"])] | None = None
    """NoSchedule, PreferNoSchedule or NoExecute."""
    toleration_seconds: int | None = None
    """How long a NoExecute taint is tolerated."""


class LastAttempt(Model):
    """Where the last attempt runs. Each field that is given takes the place of what the spec says elsewhere."""

    node_selector: NodeSelector | None = None
    """In place of spec.nodeSelector; {} asks for no labels."""
    tolerations: Annotated[list[Toleration], Field(max_length=limits.TOLERATIONS_LIMIT)] | None = None
    """In place of spec.tolerations; [] tolerates nothing."""
    priority_class_name: Name | None = None
    """In place of spec.podTemplate.priorityClassName."""


class OnDisruption(Model):
    """Where an attempt runs after a disruption. At least one of both."""

    avoid_node: bool | None = None
    """True: attempts prefer other nodes than those where an attempt was disrupted (preferred node affinity). Where no
    other node takes the pod, it may run there again."""
    last_attempt: LastAttempt | None = None
    """For every attempt that starts after the last free re-creation of maxDisruptions is used: one more disruption
    would end the run."""


class KeyRef(Model):
    """One key of a Secret or ConfigMap of the same namespace."""

    name: Name
    """Name of the object."""
    key: Annotated[str, Field(max_length=253, min_length=1, json_schema_extra={"pattern": r"^[-._a-zA-Z0-9]+$"})]
    """Key inside it."""
    optional: bool | None = None
    """True: absent is not an error."""


class FieldRef(Model):
    """A field of the pod."""

    field_path: Annotated[str, Field(max_length=253)]
    """For example metadata.name."""


class EnvSource(Model):
    """Where a value comes from."""

    secret_key_ref: KeyRef | None = None
    """A Secret."""
    config_map_key_ref: KeyRef | None = None
    """A ConfigMap."""
    field_ref: FieldRef | None = None
    """A field of the pod."""


class EnvVar(Model):
    """One environment variable of the task."""

    name: Annotated[str, Field(max_length=253, min_length=1)]
    """Name."""
    value: Annotated[str, Field(max_length=limits.ENV_VALUE_LIMIT)] | None = None
    """Literal value."""
    value_from: EnvSource | None = None
    """Or where it comes from."""


class TaskRunSpec(Model):
    """One call of one task: what to run, with which arguments, how hard to try. Immutable but for the last three."""

    task: Task
    """What to run."""
    parameters: OpenObject | None = None
    """Keyword arguments as JSON, at most 32 KiB."""
    inputs: Payload | None = None
    """Pickled arguments; set by the SDK."""
    files: Annotated[list[StoredFile], Field(max_length=limits.FILES_LIMIT)] = Field(default_factory=list)
    """Content of the podtask.Files among the arguments; set by the SDK."""
    upstream: Annotated[list[Upstream], Field(max_length=limits.UPSTREAMS_LIMIT)] = Field(default_factory=list)
    """Results of other TaskRuns that this one needs."""
    wait_for: Annotated[list[WaitFor], Field(max_length=limits.UPSTREAMS_LIMIT)] = Field(default_factory=list)
    """TaskRuns that must complete first."""
    retries: Annotated[int, Field(ge=0, le=limits.RETRIES_LIMIT)] = 0
    """Extra attempts after a failure of the task's own code."""
    retry_delay_seconds: Annotated[list[Seconds], Field(max_length=limits.RETRIES_LIMIT)] = Field(default_factory=list)
    """Delay before retry k; the last one repeats."""
    retry_jitter_factor: Annotated[float, Field(ge=0, le=limits.JITTER_LIMIT)] = 0
    """Each delay grows by up to this fraction of itself."""
    max_disruptions: Annotated[int, Field(ge=0, le=limits.DISRUPTIONS_LIMIT)] | None = None
    """Free re-creations after evictions, lost nodes, deleted pods and the like; absent: the chart's default, which is
    5."""
    on_disruption: OnDisruption | None = None
    """Where attempts run after a disruption, for example the last one on a node that is no spot node; absent: like the
    first one."""
    on_out_of_memory: OnOutOfMemory | None = None
    """More memory after an out-of-memory kill; absent: such a kill uses retries, with the same memory."""
    timeout_seconds: Annotated[float, Field(gt=0, le=limits.TIMEOUT_LIMIT)] | None = None
    """Per attempt, from the start of its container; a timeout uses retries."""
    deadline_seconds: Annotated[float, Field(gt=0, le=limits.DEADLINE_LIMIT)] | None = None
    """For all attempts together, from the record of the first (status.startedAt); time suspended is not counted."""
    pending_timeout_seconds: Annotated[float, Field(gt=0, le=limits.TIMEOUT_LIMIT)] | None = None
    """How long a pod may stay without a running container; its expiry counts as a disruption; absent: the chart's
    default, which is 900."""
    checkpoints: bool = False
    """True: the task may save its progress (get_run_context().checkpoint), and the next attempt goes on from there."""
    cache: Cache | None = None
    """Reuse the result of an identical earlier run."""
    tags: Annotated[list[Annotated[str, Field(max_length=limits.TAG_LIMIT)]], Field(max_length=limits.TAGS_LIMIT)] = (
        Field(default_factory=list)
    )
    """Words for people and limits."""
    image: Annotated[str, Field(max_length=limits.IMAGE_LIMIT)] | None = None
    """Image with Python and the podtask runner; default: the runner image of the Python minor."""
    resources: Resources | None = None
    """CPU and memory."""
    env: Annotated[list[EnvVar], Field(max_length=limits.ENV_LIMIT)] = Field(default_factory=list)
    """Environment variables."""
    service_account_name: Name | None = None
    """Service account of the pod; its token is never mounted."""
    node_selector: NodeSelector | None = None
    """Labels a node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=limits.TOLERATIONS_LIMIT)] = Field(default_factory=list)
    """Taints the pod tolerates."""
    pod_template: OpenObject | None = None
    """Further pod fields from an allow-list; anything else ends the run as InvalidSpec, naming the field."""
    pod_cleanup: PodCleanup | None = None
    """Pods to delete once their end is in the status; absent: the chart's default, which is KeepAll."""
    result_retention_seconds: Annotated[int, Field(ge=0)] | None = None
    """Earliest removal of its objects from the bucket."""
    client: (
        Annotated[
            dict[str, Annotated[str, Field(max_length=limits.CLIENT_VALUE_LIMIT)]],
            Field(max_length=limits.CLIENT_LIMIT),
        ]
        | None
    ) = None
    """Private to the SDK that wrote it, without any promise: the operator does not read it, and nothing depends on
    it."""
    suspend: bool = False
    """True: start nothing; what runs already runs on."""
    cancel: bool = False
    """True, one way: stop the pod and end the run."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0)] | None = None
    """Delete the TaskRun this long after its end, unless an unfinished run names it."""

    @property
    def needs(self) -> list[Upstream | WaitFor]:
        """Other TaskRuns that it names: those whose results it gets, then those that only come first."""
        return [*self.upstream, *self.wait_for]


MUTABLE = ("suspend", "cancel", "ttlSecondsAfterFinished")
"""The only fields of a spec that may change."""

__all__ = ["MUTABLE", "NAME_LIMIT", "Cache", "Payload", "Task", "TaskRunSpec", "Upstream"]
