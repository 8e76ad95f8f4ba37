"""Between a run of the SDK and the lifecycle's view of it: options as policy, futures as upstreams, ends as log lines.

Used by: `podtask.backends.in_process.controller`.
"""

from __future__ import annotations

from dataclasses import replace

from podtask.context import task_run_logger
from podtask.core.api.names import Ended
from podtask.core.api.status import Status
from podtask.core.lifecycle.model import CachePolicy, Policy, Upstream
from podtask.model.task_run import TaskRun


def policy_of(run: TaskRun) -> Policy:
    """The task's options as the lifecycle reads them."""
    options = run.task.options
    cache = None
    if options.cache_key_fn is not None:
        expiration = options.cache_expiration
        cache = CachePolicy(
            expiration_seconds=None if expiration is None else expiration.total_seconds(),
            refresh=options.refresh_cache,
            wait_for_concurrent=options.cache_concurrent == "wait",
        )
    return replace(Policy.of(options, options.delays), cache=cache)


def upstreams_of(run: TaskRun) -> tuple[Upstream, ...]:
    """What the run needs, as the lifecycle reads it."""
    blocked = run.inputs.blocked_by
    given = () if blocked is None else (Upstream("given state", exists=True, finished=True, state=blocked.name),)
    wanted = {needed.id for needed in run.upstreams}
    return given + tuple(
        Upstream(
            needed.id,
            exists=True,
            finished=needed.finished,
            succeeded=needed.finished and needed.status.state.succeeded,
            state=str(needed.status.state),
            wants_data=needed.id in wanted,
            may_fail=needed.id in run.may_fail,
        )
        for needed in run.needs
    )


def log_failure(run: TaskRun, before: Status, after: Status) -> None:
    """One line per attempt that did not complete; the traceback comes with the exception that is raised."""
    for attempt in after.attempts[-2:]:
        known = next((old for old in before.attempts if old.number == attempt.number), None)
        if attempt.judged and attempt.outcome is not Ended.COMPLETED and not (known and known.judged):
            info = replace(run.info, run_count=attempt.number)
            what_next = "" if after.finished else "; it is tried again"
            said = " ".join(part for part in (attempt.message, attempt.cure) if part)
            task_run_logger(info).warning("Attempt %d: %s%s", attempt.number, said, what_next)
