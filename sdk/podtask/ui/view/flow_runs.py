"""Flow runs as rows: what a FlowRun says, and what the TaskRuns with its label say. Pure.

A cluster without FlowRuns has the label only; such a flow run is as long as its TaskRuns are there. What a FlowRun says
is what its driver reports; counts come from the TaskRuns wherever they were read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from podtask.core.api.names import CONDITION_DRIVER_LOST, FlowState, State
from podtask.ui.view.briefs import Brief
from podtask.ui.view.moments import epoch
from podtask.ui.view.states import ended, group, in_order

Object = Mapping[str, Any]
DRIVER_LOST = "DriverLost"
"""The word for a flow run that nobody drives; the state stays Running."""


@dataclass(frozen=True, slots=True)
class FlowRunBrief:
    """What is kept of a FlowRun for the list."""

    name: str
    uid: str
    flow: str
    title: str
    state: str
    message: str
    tags: tuple[str, ...]
    parent: str
    started: float
    finished: float | None
    counts: Mapping[str, int]
    lost: bool
    cancel: bool


def flow_run_brief(obj: Object) -> FlowRunBrief:
    """Of a FlowRun, as the API server has it."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    created = epoch(meta.get("creationTimestamp")) or 0.0
    conditions = {str(one.get("type")): str(one.get("status")) for one in status.get("conditions") or ()}
    return FlowRunBrief(
        name=str(meta["name"]),
        uid=str(meta["uid"]),
        flow=str(spec.get("flow") or meta["name"]),
        title=str(spec.get("title") or ""),
        state=str(status.get("state") or FlowState.RUNNING),
        message=str(status.get("message") or ""),
        tags=tuple(str(tag) for tag in spec.get("tags") or ()),
        parent=str((spec.get("parent") or {}).get("name") or ""),
        started=epoch(status.get("startedAt")) or created,
        finished=epoch(status.get("finishedAt")),
        counts={str(state): int(count) for state, count in (status.get("counts") or {}).items()},
        lost=conditions.get(CONDITION_DRIVER_LOST) == "True",
        cancel=bool(spec.get("cancel")),
    )


class Share(NamedTuple):
    """A group of states and its part of all, in per cent of the width."""

    group: str
    at: float
    width: float


@dataclass(frozen=True)
class FlowRunRow:
    """One line of the list of flow runs, and the head of a flow run's page."""

    name: str
    flow: str
    title: str
    state: str
    started: float
    finished: float | None
    counts: list[tuple[str, int]]
    tags: tuple[str, ...] = ()
    parent: str = ""
    lost: bool = False
    recorded: bool = False
    """True: there is a FlowRun; otherwise only the label on TaskRuns."""
    message: str = ""
    cancel: bool = False
    bar: list[Share] = field(default_factory=list)
    retries: int = 0
    """Of its task runs, as far as they were read."""
    recorded_more: int = 0
    """Task runs that the driver counted at the end and that are not in the counts: a record keeps the first."""

    @property
    def word(self) -> str:
        """The state that the list shows and filters by."""
        return DRIVER_LOST if self.lost and not ended(self.state) else self.state

    @property
    def total(self) -> int:
        """TaskRuns of the run."""
        return sum(count for _, count in self.counts)

    @property
    def over(self) -> int:
        """TaskRuns that have ended."""
        return sum(count for state, count in self.counts if ended(state))

    @property
    def failed(self) -> int:
        """TaskRuns that did not succeed."""
        return sum(count for state, count in self.counts if group(state) == "failed")


def rows(recorded: Iterable[FlowRunBrief], briefs: Iterable[Brief]) -> list[FlowRunRow]:
    """Every flow run there is, newest first."""
    by_run: dict[str, list[Brief]] = {}
    for one in briefs:
        if one.flow_run:
            by_run.setdefault(one.flow_run, []).append(one)
    found = [row(one, by_run.pop(one.name, [])) for one in recorded]
    found += [unrecorded(members) for members in by_run.values()]
    return sorted(found, key=lambda one: (-one.started, one.name))


def row(recorded: FlowRunBrief, members: list[Brief]) -> FlowRunRow:
    """Of a FlowRun; without TaskRuns at hand the driver's own counts are shown."""
    counts = in_order(Counter(one.state for one in members)) if members else in_order(recorded.counts)
    return FlowRunRow(
        name=recorded.name,
        flow=recorded.flow,
        title=recorded.title,
        state=recorded.state,
        started=recorded.started,
        finished=recorded.finished,
        counts=counts,
        tags=recorded.tags,
        parent=recorded.parent,
        lost=recorded.lost,
        recorded=True,
        message=recorded.message,
        cancel=recorded.cancel,
        bar=shares(counts),
        retries=sum(one.retries for one in members),
        recorded_more=max(0, sum(recorded.counts.values()) - len(members)) if members and recorded.finished else 0,
    )


def unrecorded(members: list[Brief]) -> FlowRunRow:
    """Of a label on TaskRuns: it runs while one of them does, and its end is what its TaskRuns say."""
    counts = in_order(Counter(one.state for one in members))
    over = all(ended(one.state) for one in members)
    ends = [one.finished for one in members]
    return FlowRunRow(
        name=members[0].flow_run,
        flow=members[0].flow or members[0].flow_run,
        title="",
        state=_state_of(counts, over=over),
        started=min(one.created for one in members),
        finished=max((end for end in ends if end is not None), default=None) if over and None not in ends else None,
        counts=counts,
        bar=shares(counts),
        retries=sum(one.retries for one in members),
    )


def _state_of(counts: list[tuple[str, int]], *, over: bool) -> str:
    groups = {group(state) for state, _ in counts}
    if not over:
        return str(State.RUNNING) if groups - {"waiting"} else str(State.PENDING)
    if "failed" in groups:
        return str(State.FAILED)
    return str(State.CANCELLED) if "stopped" in groups else str(State.COMPLETED)


def shares(counts: list[tuple[str, int]]) -> list[Share]:
    """Groups and their parts of all, side by side; what is there at all is at least two per cent wide."""
    by_group: Counter[str] = Counter()
    for state, count in counts:
        by_group[group(state)] += count
    total = sum(by_group.values())
    if not total:
        return []
    wide = {name: max(2.0, 100.0 * count / total) for name, count in by_group.items()}
    scale, at, found = 100.0 / sum(wide.values()), 0.0, []
    for name in ("done", "stopped", "failed", "delayed", "running", "waiting"):
        if name in wide:
            found.append(Share(name, at, wide[name] * scale))
            at += wide[name] * scale
    return found
