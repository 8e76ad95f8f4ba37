"""What is kept of a TaskRun while a page is open: some hundred bytes instead of the object. Pure.

Code, inputs, environment and error objects of a TaskRun have up to a megabyte; ten thousand of them would not fit.
Before: `podtask.ui.live`. Next on the road: `timeline`, `graph`, `listing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podtask.core.api.names import LABEL_FLOW, LABEL_FLOW_RUN, LABEL_RETRY_OF, State
from podtask.ui.view.moments import epoch
from podtask.ui.view.states import group

Object = Mapping[str, Any]
MESSAGE_KEPT = 300
"""Characters of a message in a row."""


@dataclass(frozen=True, slots=True)
class AttemptBrief:
    """One pod."""

    number: int
    cause: str
    recorded: float | None
    started: float | None
    finished: float | None
    outcome: str | None
    reason: str
    node: str


@dataclass(frozen=True, slots=True)
class Brief:
    """One TaskRun."""

    name: str
    uid: str
    task: str
    state: str
    reason: str
    message: str
    flow: str
    flow_run: str
    created: float
    started: float | None
    finished: float | None
    attempts: tuple[AttemptBrief, ...] = ()
    attempts_total: int = 0
    attempt_text: str = ""
    """`2/4`: the user attempt that counts now, of how many."""
    disruptions: int = 0
    retries: int = 0
    cache: str = ""
    node: str = ""
    duration_text: str = ""
    needs: tuple[str, ...] = ()
    """Names of the TaskRuns that it takes results of or waits for."""
    suspended: bool = False
    retry_of: str = ""
    """The TaskRun that this one repeats."""

    @property
    def group(self) -> str:
        """The group of its state."""
        return group(self.state)

    @property
    def note(self) -> str:
        """What a row says below the task: its name, the reason and the message where they say more than the state."""
        name = self.name if self.name != self.task else ""
        reason = self.reason if self.reason != self.state else ""
        message = self.message if self.group in ("failed", "delayed", "waiting") else ""
        return " · ".join(part for part in (name, reason, message) if part)


def brief(obj: Object) -> Brief:
    """Of a whole TaskRun, as the API server has it."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    labels = meta.get("labels") or {}
    attempts = tuple(_attempt(one) for one in status.get("attempts") or ())
    needs = dict.fromkeys(str(up["taskRun"]) for part in ("upstream", "waitFor") for up in spec.get(part) or ())
    return Brief(
        name=str(meta["name"]),
        uid=str(meta["uid"]),
        task=str((spec.get("task") or {}).get("name") or meta["name"]),
        state=str(status.get("state") or State.PENDING),
        reason=str(status.get("reason") or ""),
        message=str(status.get("message") or "")[:MESSAGE_KEPT],
        flow=labels.get(LABEL_FLOW, ""),
        flow_run=labels.get(LABEL_FLOW_RUN, ""),
        created=epoch(meta.get("creationTimestamp")) or 0.0,
        started=epoch(status.get("startedAt")),
        finished=epoch(status.get("finishedAt")),
        attempts=attempts,
        attempts_total=int(status.get("attemptsTotal") or len(attempts)),
        attempt_text=str(status.get("attempt") or ""),
        disruptions=int(status.get("disruptionsUsed") or 0),
        retries=int(status.get("retriesUsed") or 0),
        cache=str((status.get("cache") or {}).get("outcome") or ""),
        node=attempts[-1].node if attempts else "",
        duration_text=str(status.get("duration") or ""),
        needs=tuple(needs),
        suspended=bool(spec.get("suspend")),
        retry_of=labels.get(LABEL_RETRY_OF, ""),
    )


def brief_of_row(row: Object) -> Brief:
    """Of a row of a Table (`metadata` and `cells` by column): what a list needs, without the payloads."""
    meta, cells = row["metadata"], row["cells"]
    labels = meta.get("labels") or {}

    def cell(name: str) -> str:
        value = cells.get(name)
        return "" if value in (None, "<none>", "<unknown>") else str(value)

    return Brief(
        name=str(meta["name"]),
        uid=str(meta["uid"]),
        task=cell("Task") or str(meta["name"]),
        state=cell("State") or str(State.PENDING),
        reason=cell("Reason"),
        message="",
        flow=labels.get(LABEL_FLOW, ""),
        flow_run=labels.get(LABEL_FLOW_RUN, ""),
        created=epoch(meta.get("creationTimestamp")) or 0.0,
        started=None,
        finished=None,
        attempt_text=cell("Attempt"),
        retries=_retries(cell("Attempt")),
        cache=cell("Cache"),
        node=cell("Node"),
        duration_text=cell("Duration"),
    )


def _retries(attempt: str) -> int:
    """Of `3/4`, the third user attempt of four."""
    number = attempt.partition("/")[0]
    return max(0, int(number) - 1) if number.isascii() and number.isdigit() and len(number) < 7 else 0


def _attempt(raw: Object) -> AttemptBrief:
    return AttemptBrief(
        number=int(raw.get("number") or 0),
        cause=str(raw.get("cause") or ""),
        recorded=epoch(raw.get("recordedAt")),
        started=epoch(raw.get("startedAt")),
        finished=epoch(raw.get("finishedAt")),
        outcome=None if raw.get("outcome") is None else str(raw["outcome"]),
        reason=str(raw.get("reason") or ""),
        node=str(raw.get("node") or ""),
    )
