"""Upstreams that failed and may, or that are gone: what is recorded or said of them, and what that means for the cache.

Pure.

Observed by: the operator and the local backends. Recorded by: `podtask.core.lifecycle.transitions`. The exception is
made of it where the task runs: `podtask_runner.serialization.failures`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from podtask.core.api.names import Reason, State
from podtask.core.api.status import MESSAGE_LIMIT, ResolvedInput, Status
from podtask.core.lifecycle.model import Upstream, Why

TEXTS_LIMIT = 128 * 1024
"""Characters of all messages of one run together: its status goes through etcd."""
_ENDED = {
    State.NOT_READY: "did not run",
    State.CANCELLED: "was cancelled",
    State.TIMED_OUT: "timed out",
    State.CRASHED: "crashed",
}
OWN = (State.FAILED, State.CRASHED)
"""Ends that the task's own exception says more about."""


def failed_input(name: str, uid: str, status: Status) -> ResolvedInput:
    """How a finished run failed, as an input of another one."""
    error = status.error if status.state in OWN else None
    stored = error is not None and error.digest is not None
    return ResolvedInput(
        task_run=name,
        uid=uid,
        attempt=(error.attempt if error is not None else None) or status.attempts_total,
        digest=(error.digest if error is not None else None) or "",
        size=(error.size if error is not None and stored else None) or 0,
        failed_as=status.state,
        message=_text(name, status),
    )


def resolved(upstreams: Iterable[Upstream]) -> tuple[ResolvedInput, ...]:
    """The inputs of a run that starts now, with messages that are not too long together."""
    found = [up.result for up in upstreams if up.result is not None and up.wants_data]
    failed = sum(one.failed_as is not None for one in found)
    most = min(MESSAGE_LIMIT, TEXTS_LIMIT // max(failed, 1))
    return tuple(one if one.message is None else replace(one, message=one.message[:most]) for one in found)


def uncached_by(upstreams: Iterable[Upstream]) -> str | None:
    """Why a run with such upstreams has no cache key: what a task makes of a failure is no result of its inputs."""
    failed = next((up for up in upstreams if up.failed), None)
    if failed is None:
        return None
    return f"Upstream task run '{failed.task_run}' is {failed.state}; a run whose upstream failed is not cached."


def no_upstream(missing: Upstream) -> Why:
    """An upstream does not exist, or not any more."""
    name = missing.task_run
    if not missing.replaced:
        text = f"There is no TaskRun '{name}' in this namespace."
        return Why(
            Reason.INVALID_SPEC, text, "Create the upstream run, or correct its name; then create this one again."
        )
    return Why(
        Reason.INVALID_SPEC,
        f"TaskRun '{name}' has another UID than the one that is needed: it was deleted and made anew.",
        f"To use the new '{name}', repeat this run (podtask retry), or create it again without that uid.",
    )


def _text(name: str, status: Status) -> str:
    cure = status.error.cure if status.error is not None else None
    message = f"Upstream task run '{name}' {_ENDED.get(status.state, 'failed')}: {status.message or ''}".rstrip(": ")
    return f"{message} {cure}" if cure and cure not in message else message
