"""The semantics of a TaskRun: one ordered list of rules, the first that answers wins. Pure.

What runs or ended comes before what may start. Operator and local backends ask the same function.
Before: `observer`. Next: `applier`. Beside: `judge` (how an attempt ended), `pod_timeouts` (how long a pod is waited
for), `delays` (when the next may start), `transitions` (what an end writes), `deadline`, `concurrency` and `memory`
(bounds of a run).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from podtask.core.api.names import CacheOutcome, Reason, State
from podtask.core.api.reasons import cure_of, meaning_of
from podtask.core.api.status import CacheInfo, Status
from podtask.core.lifecycle import deadline
from podtask.core.lifecycle.delays import later
from podtask.core.lifecycle.failed_inputs import no_upstream
from podtask.core.lifecycle.judge import ended_idle, judge, judge_deleted, judge_refusal, judge_suspended
from podtask.core.lifecycle.model import (
    Decision,
    DeletePod,
    DeleteRun,
    Launch,
    Observed,
    PodPhase,
    Presence,
    Release,
    Why,
)
from podtask.core.lifecycle.pod_timeouts import (
    alarms,
    error_of,
    force_at,
    give_up,
    marked,
    overdue,
    start_by,
    stop,
    was_there,
)
from podtask.core.lifecycle.transitions import end, record, settle, within_limits

REPORT_AFTER = timedelta(seconds=3)
"""Short phases are not written: a run that starts and ends within seconds costs no extra status write."""
UPSTREAM_GRACE = timedelta(seconds=60)
"""How long an upstream that does not exist (yet) is waited for."""
STOP_MARGIN = timedelta(seconds=5)
"""The runner enforces the timeout itself; the operator steps in when the runner is this much late."""
LOST_NODE_CURE = "Look at the node; if the task may still run there, its side effects may happen twice."
NOTHING_RUNS = (Presence.UNPOSTED, Presence.FOREIGN, Presence.UNCLAIMED)
CLAIM_MARGIN = timedelta(seconds=90)
"""A kubelet that missed both a claim and its renewals looks at the pod after so long by itself."""
IDLE_LIMIT_CURE = "Ask the administrator to raise the limit."
LOOK_AGAIN = timedelta(seconds=30)
"""A pod whose POST was accepted and that no watch has shown by then is looked up by name."""

Rule = Callable[[Observed, datetime], "Decision | None"]


def decide(seen: Observed, now: datetime) -> Decision:
    """The one answer for what was observed at `now` (timezone-aware)."""
    answers = ((rule.__name__, rule(seen, now)) for rule in RULES)
    name, decision = next((name, answer) for name, answer in answers if answer is not None)
    moments = [decision.again_at, *([] if decision.status.finished else alarms(seen, decision.status, now))]
    if seen.read_again_at is not None and decision.status.running is not None:
        moments.append(seen.read_again_at)
    again_at = min([moment for moment in moments if moment is not None], default=None)
    return replace(decision, status=within_limits(_cured(decision.status)), again_at=again_at, rule=name)


def _cured(status: Status) -> Status:
    """A cure is that of a message about waiting."""
    waits = status.state is State.PENDING and status.message is not None
    return status if waits or status.cure is None else replace(status, cure=None)


def finished(seen: Observed, now: datetime) -> Decision | None:
    """A finished run never changes; after its time to live, and when nobody needs it, it is deleted."""
    status = seen.status
    if status.finished_at is None:
        return None
    if seen.policy.ttl_seconds is None or seen.needed:
        return Decision(status)
    due = later(status.finished_at, seen.policy.ttl_seconds)
    return Decision(status, (DeleteRun(),)) if now >= due else Decision(status, again_at=due)


def stored_result(seen: Observed, now: datetime) -> Decision | None:
    """Its runner stored a result and said so: the run ends now, before the kubelet tells of the pod's end."""
    attempt, pod = seen.status.running, seen.pod
    if attempt is None or pod is None or pod.phase is PodPhase.ENDED or seen.stored is None:
        return None
    judged = judge(seen, attempt)
    return settle(seen, attempt, judged, now) if judged.result is not None else None


def lost_node(seen: Observed, now: datetime) -> Decision | None:
    """By the administrator's policy: a pod that outlived its deletion for so long is on a lost node, and is removed.

    Without the policy the run waits for the node to come back or the pod object to go, however long that takes:
    whether the task still runs over there nobody can know.
    """
    attempt, pod, patience = seen.status.running, seen.pod, force_at(seen)
    if attempt is None or pod is None or pod.phase is PodPhase.ENDED or patience is None or now < patience:
        return None
    where = f"its node {pod.node}" if pod.node else "its node"
    text = f"The pod did not go when it was deleted: {where} is lost. It was removed by force."
    if attempt.reason not in (Reason.TIMED_OUT, Reason.DEADLINE_EXCEEDED, Reason.PENDING_TIMEOUT):
        attempt = replace(attempt, reason=Reason.NODE_LOST, message=text, cure=LOST_NODE_CURE)
    known = replace(attempt, pod_uid=pod.uid, node=pod.node)
    return Decision(seen.status.with_latest(known), (DeletePod(attempt.number, pod.uid, force=True),))


def cancelled(seen: Observed, now: datetime) -> Decision | None:
    """Cancel stops what runs and ends the run; a result that was stored meanwhile wins (see `ended_attempt`)."""
    if not seen.policy.cancel:
        return None
    return _cancel(seen, now, Why(Reason.CANCELLED, "Cancelled by spec.cancel."))


def flow_cancelled(seen: Observed, now: datetime) -> Decision | None:
    """The flow run, or one around it, was cancelled or deleted: so is every run of it, also one that comes later."""
    return None if seen.flow_ended is None else _cancel(seen, now, seen.flow_ended)


def _cancel(seen: Observed, now: datetime, why: Why) -> Decision | None:
    attempt = seen.status.running
    if attempt is None:
        return end(seen, now, State.CANCELLED, why)
    if seen.presence in NOTHING_RUNS:
        return settle(seen, attempt, judge(replace(seen, presence=Presence.ABSENT), attempt), now)
    if seen.presence is Presence.IDLE and attempt.claim is not None:
        return Decision(seen.status, (Release(attempt.number, attempt.claim),))
    if seen.pod is None or seen.pod.phase is PodPhase.ENDED:
        return None
    return stop(attempt, seen.pod, replace(seen.status, message="Cancelling: the pod is being stopped.", cure=None))


def past_deadline(seen: Observed, now: datetime) -> Decision | None:
    """The run's whole time is over: what runs is stopped, and nothing starts any more."""
    attempt, policy = seen.status.running, seen.policy
    if not deadline.passed(policy, seen.status, now) or (attempt is None and policy.suspend):
        return None
    if attempt is None:
        return end(seen, now, State.TIMED_OUT, deadline.why(policy), deadline.error(policy))
    said = deadline.why(policy)
    late = replace(attempt, reason=said.reason, message=said.message, cure=said.cure)
    if seen.presence in NOTHING_RUNS and not was_there(seen, attempt):
        return settle(seen, attempt, judge(replace(seen, presence=Presence.ABSENT), late), now)
    if seen.presence is Presence.IDLE and attempt.claim is not None:
        return Decision(seen.status, (Release(attempt.number, attempt.claim),))
    if seen.pod is None or seen.pod.phase is PodPhase.ENDED:
        return None
    stopping = attempt if attempt.reason is Reason.TIMED_OUT else late
    return stop(stopping, seen.pod, seen.status.with_latest(stopping))


def unclaimed(seen: Observed, now: datetime) -> Decision | None:
    """The idle pod that was chosen is not its own, or ended before it: the same number gets a pod of its own."""
    attempt = seen.status.running
    if attempt is None or attempt.claim is None or not (seen.presence is Presence.UNCLAIMED or ended_idle(seen)):
        return None
    if seen.cancelled or deadline.passed(seen.policy, seen.status, now):
        return None  # judged below
    if seen.policy.suspend:
        return settle(seen, attempt, judge_suspended(), now)
    cold = replace(attempt, claim=None, pod_uid=None, node=None, started_at=None)
    return Decision(seen.status.with_latest(cold), (Release(attempt.number, attempt.claim), Launch(attempt.number)))


def pod_to_come(seen: Observed, now: datetime) -> Decision | None:
    """An attempt is recorded and its pod is still to be created, or accepted and not seen yet."""
    attempt = seen.status.running
    if attempt is None:
        return None
    if seen.presence is Presence.EXPECTED:
        return Decision(seen.status, again_at=now + LOOK_AGAIN)
    if seen.presence is Presence.LATE:  # judged lost, the next attempt would run beside a pod that comes after all
        return Decision(seen.status, again_at=seen.late_until)
    if was_there(seen, attempt):
        return None  # whoever has its pod's name now, the number is used
    if seen.presence is Presence.FOREIGN:
        why = Why(
            Reason.POD_NAME_CONFLICT,
            "A pod of the attempt's name belongs to another object; waiting for it to go.",
            "Delete that pod, or give the run another name.",
        )
        if overdue(seen, attempt.recorded_at, now):
            return give_up(seen, attempt, why, now)
        return Decision(_waiting(seen, why), again_at=now + timedelta(seconds=2))
    if seen.presence is Presence.IDLE and attempt.claim is not None:  # the claim decides whose it is, whoever sent it
        again = Release(attempt.number, attempt.claim) if seen.policy.suspend else Launch(attempt.number)
        return Decision(seen.status, (again,))
    if seen.presence is not Presence.UNPOSTED:
        return None
    if seen.policy.suspend:
        return settle(seen, attempt, judge_suspended(), now)
    if seen.deleting:
        return settle(seen, attempt, judge_deleted(), now)
    if seen.refusal is None:
        return Decision(seen.status, (Launch(attempt.number),))
    if seen.refusal.final:
        return settle(seen, attempt, judge_refusal(seen.refusal.why), now)
    if overdue(seen, attempt.recorded_at, now):
        return give_up(seen, attempt, seen.refusal.why, now)
    launch = (Launch(attempt.number),) if now >= seen.refusal.retry_at else ()
    return Decision(_waiting(seen, seen.refusal.why), launch, again_at=seen.refusal.retry_at)


def waiting_pod(seen: Observed, now: datetime) -> Decision | None:
    """The pod exists and its container has not started: say why; after the pending timeout, give the pod up."""
    attempt, pod = seen.status.running, seen.pod
    if attempt is None or pod is None or pod.phase is not PodPhase.WAITING:
        return None
    why = pod.waiting or Why(Reason.SCHEDULING, meaning_of(Reason.SCHEDULING))
    if attempt.reason is Reason.PENDING_TIMEOUT or overdue(seen, pod.scheduled_at, now):
        return stop(attempt, pod, seen.status.with_latest(marked(attempt, why)))
    soon, latest = _report_at(seen, attempt.recorded_at or now), start_by(seen, pod.scheduled_at)
    if now < soon and pod.waiting is None:
        return Decision(seen.status, again_at=min(soon, latest or soon))
    known = replace(attempt, pod_uid=pod.uid, node=pod.node)
    return Decision(_waiting(seen, why).with_latest(known), again_at=latest)


def running_pod(seen: Observed, now: datetime) -> Decision | None:
    """The container runs: say so when it takes longer than a few seconds; stop it when its time is over."""
    attempt, pod = seen.status.running, seen.pod
    if attempt is None or pod is None or pod.phase is not PodPhase.RUNNING:
        return None
    # By the node's clock, which may be behind: nothing of an attempt runs before its record.
    started = max((moment for moment in (pod.started_at, attempt.recorded_at) if moment is not None), default=now)
    over = None
    if seen.policy.timeout_seconds is not None:
        over = later(started, seen.policy.timeout_seconds + seen.policy.grace_seconds) + STOP_MARGIN
        over += CLAIM_MARGIN if attempt.claim is not None else timedelta(0)
        if now >= over:
            late = replace(attempt, reason=Reason.TIMED_OUT, message="The attempt ran longer than timeoutSeconds.")
            return stop(attempt, pod, seen.status.with_latest(late))
    if now < _report_at(seen, started):
        return Decision(seen.status, again_at=_report_at(seen, started))
    state = State.RETRYING if seen.status.retries_used or seen.status.out_of_memory_used else State.RUNNING
    known = replace(attempt, pod_uid=pod.uid, node=pod.node, started_at=pod.started_at)
    if attempt.reason is Reason.PENDING_TIMEOUT:  # it started after all, before it was deleted
        known = replace(known, reason=None, message=None, cure=None)
    status = replace(seen.status.with_latest(known), state=state, reason=Reason.RUNNING, message=None)
    return Decision(status, again_at=over)


def ended_attempt(seen: Observed, now: datetime) -> Decision | None:
    """The attempt's pod ended or vanished: judge it, and end the run or plan the next attempt."""
    attempt, pod = seen.status.running, seen.pod
    if attempt is None:
        return None
    by_kubelet = pod is not None and pod.deadline_exceeded and attempt.reason is None
    if by_kubelet and deadline.passed(seen.policy, seen.status, now):  # not the attempt's own time, but the run's
        attempt = replace(attempt, reason=Reason.DEADLINE_EXCEEDED)
    return settle(seen, attempt, judge(seen, attempt), now)


def deleted(seen: Observed, now: datetime) -> Decision | None:
    """Somebody's finalizer holds a TaskRun that was deleted: nothing of it starts any more. What runs is followed."""
    if not seen.deleting:
        return None
    return end(seen, now, State.CANCELLED, Why(Reason.CANCELLED, "The TaskRun was deleted."))


def invalid(seen: Observed, now: datetime) -> Decision | None:
    """What the schema cannot see, and no attempt would cure."""
    return None if seen.invalid is None else end(seen, now, State.FAILED, seen.invalid, error_of(seen.invalid))


def suspended(seen: Observed, now: datetime) -> Decision | None:
    """Suspended runs start nothing; what runs already runs on."""
    if not seen.policy.suspend:
        return None
    status = _waiting(seen, Why(Reason.SUSPENDED, meaning_of(Reason.SUSPENDED)))
    return Decision(deadline.pause(seen.policy, status, now))


def upstream(seen: Observed, now: datetime) -> Decision | None:
    """Before the first attempt: every upstream must complete (one that may fail: end); another end means NotReady."""
    if seen.status.attempts_total:  # its results were resolved then, and later attempts use only those
        return None
    failed = [up for up in seen.upstreams if up.failed and not up.may_fail]
    if failed:
        text = f"Upstream task run '{failed[0].task_run}' did not reach a 'COMPLETED' state (it is {failed[0].state})."
        why = Why(Reason.UPSTREAM_FAILED, text, cure_of(Reason.UPSTREAM_FAILED))
        named = replace(seen, status=replace(seen.status, failed_upstream=failed[0].task_run))
        return end(named, now, State.NOT_READY, why, error_of(why))
    missing = [up for up in seen.upstreams if not up.exists]
    if missing and now >= seen.created_at + UPSTREAM_GRACE:
        why = no_upstream(missing[0])
        return end(seen, now, State.FAILED, why, error_of(why))
    waited = [up.task_run for up in seen.upstreams if not up.ready]
    if not waited:
        return None
    why = Why(Reason.WAITING_FOR_UPSTREAM, f"Waiting for {', '.join(waited[:3])}{' …' if waited[3:] else ''}.")
    grace = seen.created_at + UPSTREAM_GRACE if missing else None
    return _wait_quietly(seen, why, now, grace)


def cached(seen: Observed, now: datetime) -> Decision | None:
    """Before the first attempt: a live entry ends the run with no pod; an identical run ahead is waited for."""
    view, policy = seen.cache, seen.policy.cache
    if view is None or view.key is None or policy is None or policy.refresh or seen.status.attempts_total:
        return None
    if view.hit is not None:
        info = CacheInfo(view.key, CacheOutcome.HIT, view.hit_run, view.expires_at)
        why = Why(Reason.CACHED, f"The result of '{view.hit_run}' was used.")
        return end(replace(seen, status=replace(seen.status, result=view.hit, cache=info)), now, State.CACHED, why)
    if view.leader is None or not policy.wait_for_concurrent:
        return None
    why = Why(Reason.WAITING_FOR_CACHE, f"The identical run '{view.leader}' goes first.")
    info = CacheInfo(view.key, CacheOutcome.WAITING, view.leader)
    return _wait_quietly(seen, why, now, None, info)


def delayed(seen: Observed, now: datetime) -> Decision | None:
    """The retry delay is not over; it holds no slot meanwhile."""
    status, last = seen.status, seen.status.latest
    if status.next_attempt_at is None or now >= status.next_attempt_at:
        return None
    if last is not None and status.state is not State.AWAITING_RETRY:  # resumed
        status = replace(status, state=State.AWAITING_RETRY, reason=last.reason, message=last.message)
    return Decision(deadline.resume(status, now), again_at=status.next_attempt_at)


def queued(seen: Observed, now: datetime) -> Decision | None:
    """A slot is needed under every limit the run falls under; those who wait are served oldest first."""
    full = next((limit for limit in seen.limits if limit.full), None)
    if full is None:
        return None
    why = Why(Reason.QUEUED, f"Waiting for a slot: the limit of {full.what} ({full.allowed}) is reached.")
    if full.allowed == 0:
        text = f"The limit of {full.what} is 0: nothing starts there until the administrator raises it."
        why = Why(Reason.QUEUED, text, IDLE_LIMIT_CURE)
    return replace(_wait_quietly(seen, why, now, None), queues=True)


def due(seen: Observed, now: datetime) -> Decision | None:
    """Nothing is in the way: record the attempt and create its pod."""
    status = record(seen, seen.status, now)
    return Decision(status, (Launch(status.attempts_total),))


RULES: tuple[Rule, ...] = (
    # what runs or ended
    finished,
    stored_result,
    lost_node,
    cancelled,
    flow_cancelled,
    past_deadline,
    unclaimed,
    pod_to_come,
    waiting_pod,
    running_pod,
    ended_attempt,
    # gates: nothing is alive or unjudged
    deleted,
    invalid,
    suspended,
    upstream,
    cached,
    delayed,
    queued,
    due,
)


def _waiting(seen: Observed, why: Why) -> Status:
    cure = why.cure or cure_of(why.reason)
    return replace(seen.status, state=State.PENDING, reason=why.reason, message=why.message, cure=cure)


def _report_at(seen: Observed, began: datetime) -> datetime:
    return began if seen.reports_at_once else began + REPORT_AFTER


def _wait_quietly(
    seen: Observed, why: Why, now: datetime, until: datetime | None, cache: CacheInfo | None = None
) -> Decision:
    """Wait for another object's event; write the reason only when it takes longer than a few seconds."""
    soon = _report_at(seen, seen.created_at)
    if now < soon:
        return Decision(seen.status, again_at=soon)
    status = replace(_waiting(seen, why), cache=cache or seen.status.cache)
    return Decision(deadline.resume(status, now), again_at=until)
