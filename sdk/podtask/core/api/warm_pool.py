"""The WarmPool: pods that wait, so that an attempt need not wait for the start of one.

`size` idle pods are kept; each serves one attempt, ever. The operator writes the status. Whoever may write a WarmPool's
spec could create the same pods by TaskRuns, so the fields are those of a TaskRun, with the same bounds.
`podtask.core.crd_warm_pool` turns these models into the CustomResourceDefinition.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from podtask.core.api import limits
from podtask.core.api.flow_run import StatusCondition
from podtask.core.api.spec import Model, NodeSelector, OpenObject, Resources, Toleration

SIZE_LIMIT = 50
"""Idle pods of one pool, at most: they hold quota, addresses and nodes."""
SHORTEST_IDLE, LONGEST_IDLE = 60, 1800
"""Seconds. Never unlimited: what an image tag or a mounted object stands for changes meanwhile."""

PRELOAD_LIMIT = 16
MODULE = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"

Module = Annotated[str, Field(max_length=128, pattern=MODULE)]
Word = Annotated[str, Field(max_length=63)]
Name = Annotated[str, Field(max_length=253, min_length=1)]
Count = Annotated[int, Field(ge=0)]


class PlainVar(Model):
    """One environment variable with a literal value: what is read from elsewhere would be as old as the idle pod."""

    name: Annotated[str, Field(max_length=limits.NAME_LIMIT, min_length=1)]
    """Name."""
    value: Annotated[str, Field(max_length=limits.ENV_VALUE_LIMIT)] | None = None
    """Literal value."""


class WarmPoolSpec(Model):
    """Which pods wait, and how many. Immutable but for size and maxIdleSeconds."""

    size: Annotated[int, Field(ge=0, le=SIZE_LIMIT)]
    """Idle pods to keep; kubectl scale changes it."""
    python: Annotated[str, Field(pattern=r"^3\.[0-9]{1,2}$")] | None = None
    """Python minor of the runner image; default: the operator's. Give python or image, not both."""
    image: Annotated[str, Field(max_length=limits.IMAGE_LIMIT)] | None = None
    """Image with Python and the podtask runner, pinned by a digest (name@sha256:…)."""
    resources: Resources | None = None
    """CPU and memory, as the TaskRuns ask for them."""
    env: Annotated[list[PlainVar], Field(max_length=limits.ENV_LIMIT)] = Field(default_factory=list)
    """Environment variables, as the TaskRuns have them."""
    node_selector: NodeSelector | None = None
    """Labels a node must have, as the TaskRuns ask for them."""
    tolerations: Annotated[list[Toleration], Field(max_length=limits.TOLERATIONS_LIMIT)] = Field(default_factory=list)
    """Taints the pods tolerate, as the TaskRuns have them."""
    pod_template: OpenObject | None = None
    """Further pod fields from the allow-list of TaskRuns, as the TaskRuns have them; no envFrom."""
    preload: Annotated[list[Module], Field(max_length=PRELOAD_LIMIT)] = Field(default_factory=list)
    """Modules that each pod imports while it waits, such as numpy. One that cannot be imported is named in the
    condition Preloaded, and the pod serves without it."""
    max_idle_seconds: Annotated[int, Field(ge=SHORTEST_IDLE, le=LONGEST_IDLE)] = LONGEST_IDLE
    """An idle pod that is older is replaced."""


class IdlePod(Model):
    """A pod that the operator posted and that no attempt has claimed."""

    name: Name
    """Name of the pod."""
    uid: Word
    """UID of the pod."""
    spec_hash: Annotated[str, Field(max_length=80)]
    """Hash of what was posted, without what belongs to one attempt."""


class WarmPoolStatus(Model):
    """How many wait, and why there are not more."""

    ready: Count = 0
    """Pods that wait and can be claimed at once."""
    claimed: Count = 0
    """Attempts that this pool has served; counted about every 5 seconds."""
    missed: Count = 0
    """Attempts that fitted this pool and found no idle pod; counted about every 5 seconds."""
    selector: Annotated[str, Field(max_length=256)] | None = None
    """Label selector of the idle pods, for the scale subresource."""
    pods: Annotated[list[IdlePod], Field(max_length=2 * SIZE_LIMIT)] = Field(default_factory=list)
    """The only pods that can be claimed. Others with the pool's labels are deleted."""
    conditions: Annotated[list[StatusCondition], Field(max_length=8)] = Field(default_factory=list)
    """Ready: every wanted pod waits; otherwise the reason, such as Quota or PodSecurity. Preloaded: whether a waiting
    pod has imported spec.preload; without it none has said so yet."""


MUTABLE = ("size", "maxIdleSeconds")
"""The only fields of a spec that may change."""
