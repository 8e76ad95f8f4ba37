"""The FlowRun: what a driver writes about one run of a flow, so that everybody else can see, cancel and delete it.

One POST when the flow starts, one PATCH when it ends, a heartbeat a minute. The driver owns everything in the status
but the conditions DriverLost and Settled, which are the operator's. Whoever may write FlowRuns can write anything
here, so readers say "as the driver reports" and decide nothing about TaskRuns by it but `spec.cancel`.
`podtask.core.crd_flow_run` turns these models into the CustomResourceDefinition. Reading is lenient, the schema is
strict and everything is bounded: a FlowRun has at most 16 KiB of parameters and result, and 1 KiB of each.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

from pydantic import Field

from podtask.core.api.names import FlowState
from podtask.core.api.spec import Model

PARAMETERS_KEPT = 64
"""Parameters in a FlowRun, at most."""
TEXT_LIMIT = 1024
"""Characters of the JSON text of one parameter, and of the result; also of a message."""
TOTAL_LIMIT = 14 * 1024
"""Bytes of the JSON texts of all parameters of a FlowRun together; with the result and the rest 16 KiB."""
TAGS_KEPT = 32

Word = Annotated[str, Field(max_length=63)]
Short = Annotated[str, Field(max_length=253)]
Name = Annotated[str, Field(max_length=253, min_length=1)]
Text = Annotated[str, Field(max_length=TEXT_LIMIT)]
Count = Annotated[int, Field(ge=0)]


class Omitted(str, enum.Enum):
    """Why the text of a value is not the whole value."""

    CUT = "Cut"
    HIDDEN = "Hidden"
    NOT_JSON = "NotJSON"

    __str__ = str.__str__


class Parameter(Model):
    """One argument of the flow, for people to read; a value is never read back from here."""

    name: Annotated[str, Field(max_length=128, min_length=1)]
    """Name of the parameter."""
    type: Annotated[str, Field(max_length=128)] | None = None
    """Python type of the value."""
    value: Text | None = None
    """The value as JSON text; the beginning of it, where omitted is Cut."""
    omitted: Omitted | None = None
    """Cut: longer than this. Hidden: a secret. NotJSON: no JSON carries it. Absent: the text is the whole value."""


class ParentFlowRun(Model):
    """The FlowRun around this one."""

    name: Name
    """Name of the FlowRun."""
    uid: Word
    """UID of the FlowRun."""


class Driver(Model):
    """The Python process that runs the flow's body."""

    id: Word
    """Random text that the process drew: two drivers of one flow run are told apart by it."""
    host: Short | None = None
    """Host name."""
    task_run: Short | None = None
    """Name of the TaskRun that the driver runs in, where it runs in the cluster."""
    program: Short | None = None
    """File name of the program, without its arguments."""
    sdk_version: Word | None = None
    """Version of podtask."""
    python: Word | None = None
    """Version of Python."""


class FlowRunSpec(Model):
    """One run of a flow: what was called with which parameters. Immutable but for the last two."""

    flow: Name
    """Name of the flow."""
    title: Short | None = None
    """Name of this run for people, such as etl-1f3a52b7."""
    parameters: Annotated[list[Parameter], Field(max_length=PARAMETERS_KEPT)] = Field(default_factory=list)
    """Arguments of the flow, as JSON text."""
    tags: Annotated[list[Word], Field(max_length=TAGS_KEPT)] = Field(default_factory=list)
    """Words for people and filters: the tags around the call."""
    parent: ParentFlowRun | None = None
    """The FlowRun whose flow called this one; absent for an outermost run."""
    driver: Driver | None = None
    """The process that started the flow."""
    pin: Short | None = None
    """Value of PODTASK_FLOW_RUN_ID with which a new driver attaches to the TaskRuns of this run."""
    ordinal: Count | None = None
    """How often the driver, or the flow around it, had called this flow before."""
    cancel: bool = False
    """True: cancel every unfinished TaskRun of this run and of its subflows, also those that come later."""
    ttl_seconds_after_finished: Count | None = None
    """Delete an outermost run with its subflows and TaskRuns this long after everything ended."""


class StatusCondition(Model):
    """A Kubernetes condition."""

    type: Word
    """Succeeded and Finished, written by the driver; DriverLost and Settled, written by the operator."""
    status: Annotated[str, Field(max_length=16)]
    """True, False or Unknown."""
    reason: Word
    """One CamelCase word."""
    message: Text = ""
    """A sentence for people."""
    last_transition_time: datetime
    """When the status last changed."""


class FlowRunStatus(Model):
    """How the run goes, as the driver reports."""

    state: FlowState = FlowState.RUNNING
    """Running, or how the flow ended."""
    message: Text | None = None
    """A sentence for people."""
    runs: Count | None = None
    """How many drivers opened this run, one after the other; absent is 1."""
    driver: Driver | None = None
    """The driver that writes this status now; absent is the one of the spec."""
    heartbeat: Count | None = None
    """Grows about once a minute while the driver lives."""
    tasks: Annotated[str, Field(max_length=32)] | None = None
    """TaskRuns that ended, of all: 12/20."""
    counts: Annotated[dict[str, Count], Field(max_length=16)] = Field(default_factory=dict)
    """TaskRuns by state, without those of subflows."""
    result: Text | None = None
    """What the flow returned, as JSON text, where it is small and no secret."""
    started_at: datetime | None = None
    """When the flow started, by the driver's clock; absent is metadata.creationTimestamp."""
    finished_at: datetime | None = None
    """When the flow ended, by the driver's clock."""
    duration: Annotated[str, Field(max_length=32)] | None = None
    """Time from the start to the end."""
    conditions: Annotated[list[StatusCondition], Field(max_length=8)] = Field(default_factory=list)
    """Succeeded, Finished, DriverLost and Settled."""


MUTABLE = ("cancel", "ttlSecondsAfterFinished")
"""The only fields of a spec that may change."""
