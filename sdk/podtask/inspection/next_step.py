"""What to do next about a TaskRun: one ordered list, the first that answers wins. Pure.

Asked by: `description`, and by whoever tells of an end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from podtask.core.api.names import Reason, State
from podtask.core.api.reasons import cure_of
from podtask.core.api.status import own_pod_name, pod_name
from podtask.inspection.task_run import SeenTaskRun

SILENCE_SECONDS = 15
"""After so long without a word of the operator, something is wrong."""


def next_step(run: SeenTaskRun, now: datetime, where: str = "") -> str:
    """One sentence with one command. `where`: options that reach the same cluster and namespace."""
    return next(advice for rule in RULES if (advice := rule(run, now, f"{run.name}{where}")))


def _unheard(run: SeenTaskRun, now: datetime, this: str) -> str | None:
    """No status at all."""
    if run.raw.get("state"):
        return None
    if (now - run.created_at).total_seconds() < SILENCE_SECONDS:
        return f"the operator has not seen it yet; podtask wait {this}"
    return "the operator has not seen it; find out why: podtask doctor"


def _succeeded(run: SeenTaskRun, _: datetime, this: str) -> str | None:
    return f"podtask result {this}" if run.state.succeeded else None


def _not_ready(run: SeenTaskRun, _: datetime, this: str) -> str | None:
    if run.state is not State.NOT_READY:
        return None
    guilty = run.status.failed_upstream or next(iter(run.must_complete), run.name)
    return f"see why the upstream failed: podtask describe {guilty}{this.removeprefix(run.name)}"


def _cancelled(run: SeenTaskRun, _: datetime, this: str) -> str | None:
    return f"start it again under a new name: podtask retry {this}" if run.state is State.CANCELLED else None


def _invalid(run: SeenTaskRun, _: datetime, this: str) -> str | None:
    if run.status.reason is not Reason.INVALID_SPEC:
        return None
    return f"correct the manifest, then: podtask delete {this} and podtask submit -f FILE"


def _failed(run: SeenTaskRun, _: datetime, this: str) -> str | None:
    """A cure, where the operator knows one, is the first thing to do."""
    if not run.finished:
        return None
    cure = run.status.error.cure if run.status.error else None
    traceback = run.status.error is not None and run.status.error.traceback
    see = f"see the traceback: podtask error {this}; then" if traceback and not cure else "then" if cure else ""
    return f"{(cure or '').rstrip('.')}{'; ' if cure else ''}{see} podtask retry {this}".strip()


def _suspended(run: SeenTaskRun, _: datetime, this: str) -> str | None:
    return f"podtask resume {this}" if run.status.reason is Reason.SUSPENDED else None


def _upstream(run: SeenTaskRun, _: datetime, this: str) -> str | None:
    if run.status.reason is not Reason.WAITING_FOR_UPSTREAM:
        return None
    return f"it starts when its upstreams are done: podtask wait {this}"


def _stuck(run: SeenTaskRun, _: datetime, this: str) -> str | None:
    """The cluster does not take the pod. What is wrong in a spec stays wrong: it cannot be changed."""
    latest = run.status.latest
    pod = own_pod_name(run.name, run.status.attempts_total) if latest is None else pod_name(run.name, latest)
    where = f" -n {run.namespace}"
    commands = {
        Reason.UNSCHEDULABLE: f"kubectl describe pod {pod}{where}",
        Reason.QUOTA: f"kubectl describe quota{where}",
        Reason.ADMISSION: None,
        Reason.POD_SECURITY: None,
        Reason.POD_NAME_CONFLICT: None,
    }
    commands[Reason.IMAGE_PULL] = commands[Reason.CONTAINER_CONFIG] = commands[Reason.UNSCHEDULABLE]
    reason = run.status.reason
    if reason is None or reason not in commands:
        return None
    cure = run.status.cure or cure_of(reason)
    steps = [cure.rstrip(".") if cure else None, commands[reason]]
    again = f"if the spec has to change: podtask cancel {this}, then create it under another name"
    return "; ".join([*filter(None, steps), again])


def _running(run: SeenTaskRun, _: datetime, this: str) -> str | None:
    return f"podtask logs -f {this}" if run.state in (State.RUNNING, State.RETRYING) else None


def _otherwise(_: SeenTaskRun, __: datetime, this: str) -> str:
    return f"podtask wait {this}"


RULES: tuple[Callable[[SeenTaskRun, datetime, str], str | None], ...] = (
    _unheard,
    _succeeded,
    _not_ready,
    _cancelled,
    _invalid,
    _failed,
    _suspended,
    _upstream,
    _stuck,
    _running,
    _otherwise,
)
