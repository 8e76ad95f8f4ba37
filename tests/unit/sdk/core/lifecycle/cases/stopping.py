"""Finished, cancelled, past its deadline, on a lost node: the rules that end things."""

from __future__ import annotations

from dataclasses import replace

from tests.support.lifecycle_builders import DIGEST, at, awaiting, over, pod, running, said_, seen, upstream, waiting
from tests.unit.sdk.core.lifecycle.cases.case import DEADLINE, FINISHED, FORCE, Case, cancel, suspended

from podtask.core.api.names import Ended, Reason, State
from podtask.core.api.status import ErrorInfo, ResultInfo
from podtask.core.lifecycle.model import DeletePod, DeleteRun, Policy, Presence, Stop, Why
from podtask_runner.protocol import Verdict

FLOW = Why(Reason.CANCELLED, "Flow run 'etl' was cancelled.", "podtask retry flow/etl")

CASES: dict[str, Case] = {
    # 1. finished
    "a finished run does nothing": Case(seen(FINISHED), 99, "finished", State.COMPLETED, writes=False, again=None),
    "a finished run is looked at again when its time to live is over": Case(
        seen(FINISHED, policy=Policy(ttl_seconds=60)), 69.9, "finished", writes=False, again=at(70)
    ),
    "a finished run is deleted after its time to live": Case(
        seen(FINISHED, policy=Policy(ttl_seconds=60)), 70, "finished", effects=(DeleteRun(),), writes=False
    ),
    "a time to live of zero deletes at once": Case(
        seen(FINISHED, policy=Policy(ttl_seconds=0)), 10, "finished", effects=(DeleteRun(),), writes=False
    ),
    "a finished run that an unfinished one names is kept": Case(
        seen(FINISHED, policy=Policy(ttl_seconds=60), needed=True), 999, "finished", writes=False, again=None
    ),
    "a time to live beyond the end of time is no error": Case(
        seen(FINISHED, policy=Policy(ttl_seconds=1e18)), 99, "finished", writes=False
    ),
    # a TaskRun that is deleted and held by a finalizer
    "deleted before anything started": Case(
        seen(deleting=True), 1, "deleted", State.CANCELLED, Reason.CANCELLED, has={"finished_at": at(1)}
    ),
    "deleted while it waits for its retry": Case(
        seen(awaiting(60), deleting=True), 20, "deleted", State.CANCELLED, Reason.CANCELLED
    ),
    "deleted while its pod runs: the pod is followed": Case(
        seen(running(), pod=pod(), deleting=True), 20, "running_pod", State.RUNNING, Reason.RUNNING
    ),
    "deleted, and its pod completes": Case(
        seen(running(), pod=over(Verdict.COMPLETED), deleting=True), 20, "ended_attempt", State.COMPLETED
    ),
    "deleted, and its pod is evicted: no attempt follows": Case(
        seen(running(), pod=over(disruption=Why(Reason.EVICTED, "Evicted.")), deleting=True),
        20,
        "ended_attempt",
        State.CRASHED,
        Reason.EVICTED,
    ),
    "deleted before its pod was accepted": Case(
        seen(running(), presence=Presence.UNPOSTED, deleting=True),
        20,
        "pod_to_come",
        State.CANCELLED,
        Reason.CANCELLED,
    ),
    # 2. cancel, in every phase
    "cancel before anything started ends the run": Case(
        seen(policy=cancel()), 1, "cancelled", State.CANCELLED, Reason.CANCELLED, has={"finished_at": at(1)}
    ),
    "cancel while the run waits for its retry ends the run": Case(
        seen(awaiting(60), policy=cancel()),
        11,
        "cancelled",
        State.CANCELLED,
        has={"next_attempt_at": None},
        last={"outcome": Ended.FAILED},
    ),
    "cancel before the pod was created ends the attempt and the run": Case(
        seen(running(), policy=cancel(), presence=Presence.UNPOSTED),
        1,
        "cancelled",
        State.CANCELLED,
        last={"outcome": Ended.CANCELLED, "finished_at": at(1)},
    ),
    "cancel while another object's pod has the name ends the run": Case(
        seen(running(), policy=cancel(), presence=Presence.FOREIGN), 1, "cancelled", State.CANCELLED
    ),
    "cancel while the pod is expected waits until it is seen": Case(
        seen(running(), policy=cancel(), presence=Presence.EXPECTED), 1, "pod_to_come", writes=False, again=at(31)
    ),
    "cancel of a pod that waits deletes it": Case(
        seen(running(), policy=cancel(), pod=waiting()),
        1,
        "cancelled",
        State.PENDING,
        effects=(DeletePod(1, "pod-1"),),
        last={"outcome": None, "pod_uid": "pod-1"},
    ),
    "cancel of a pod that runs stops it and keeps it": Case(
        seen(running(), policy=cancel(), pod=pod()), 1, "cancelled", effects=(Stop(1, "pod-1"),)
    ),
    "cancel of a pod that is being stopped only waits": Case(
        seen(running(), policy=cancel(), pod=pod(stopping=True)), 1, "cancelled", effects=()
    ),
    "cancel after the pod was stopped ends the run": Case(
        seen(running(), policy=cancel(retries=3), pod=over(Verdict.INTERRUPTED, deadline_exceeded=True)),
        5,
        "ended_attempt",
        State.CANCELLED,
        last={"outcome": Ended.CANCELLED},
    ),
    "cancel that comes after the result was stored has lost": Case(
        seen(running(), policy=cancel(), pod=over(Verdict.COMPLETED)), 5, "ended_attempt", State.COMPLETED
    ),
    "cancel of a vanished pod ends the run": Case(
        seen(running(pod_uid="pod-1"), policy=cancel(), presence=Presence.ABSENT), 5, "ended_attempt", State.CANCELLED
    ),
    "cancel of a vanished pod whose outcome is stored is Completed": Case(
        seen(running(pod_uid="pod-1"), policy=cancel(), presence=Presence.ABSENT, stored=said_(Verdict.COMPLETED)),
        5,
        "ended_attempt",
        State.COMPLETED,
        has={"result": ResultInfo(DIGEST, 5, "json", "h1:" + DIGEST, "42", attempt=1)},
    ),
    # the flow run, or one around it, was cancelled or deleted
    "a run that comes after its flow run was cancelled ends before anything starts": Case(
        seen(flow_ended=FLOW),
        1,
        "flow_cancelled",
        State.CANCELLED,
        Reason.CANCELLED,
        has={"finished_at": at(1), "message": "Flow run 'etl' was cancelled."},
    ),
    "a suspended run of a cancelled flow run ends as well": Case(
        seen(policy=Policy(suspend=True), flow_ended=FLOW), 1, "flow_cancelled", State.CANCELLED
    ),
    "a run whose retry is due ends with its flow run": Case(
        seen(awaiting(60), flow_ended=FLOW), 99, "flow_cancelled", State.CANCELLED, has={"next_attempt_at": None}
    ),
    "a recorded attempt of a cancelled flow run gets no pod": Case(
        seen(running(), flow_ended=FLOW, presence=Presence.UNPOSTED), 1, "flow_cancelled", State.CANCELLED
    ),
    "a pod that waits is deleted with its flow run": Case(
        seen(running(), flow_ended=FLOW, pod=waiting()), 1, "flow_cancelled", effects=(DeletePod(1, "pod-1"),)
    ),
    "a pod that runs is stopped with its flow run, and kept": Case(
        seen(running(), flow_ended=FLOW, pod=pod()), 1, "flow_cancelled", effects=(Stop(1, "pod-1"),)
    ),
    "a pod that was stopped with its flow run is not tried again": Case(
        seen(running(), policy=Policy(retries=3, max_disruptions=5), flow_ended=FLOW, pod=over(Verdict.INTERRUPTED)),
        5,
        "ended_attempt",
        State.CANCELLED,
        has={"message": "Flow run 'etl' was cancelled."},
        last={"outcome": Ended.CANCELLED, "cure": "podtask retry flow/etl"},
    ),
    "a result that was stored before the flow run was cancelled counts": Case(
        seen(running(), flow_ended=FLOW, pod=over(Verdict.COMPLETED)), 5, "ended_attempt", State.COMPLETED
    ),
    "who cancels run and flow run has cancelled the run": Case(
        seen(policy=cancel(), flow_ended=FLOW), 1, "cancelled", has={"message": "Cancelled by spec.cancel."}
    ),
    "a finished run of a cancelled flow run stays as it is": Case(
        seen(FINISHED, flow_ended=FLOW), 99, "finished", State.COMPLETED, writes=False
    ),
    # a lost node
    "a pod that outlives its deletion is waited for without end, unless the administrator says otherwise": Case(
        seen(running(), pod=pod(stopping=True, gone_by=at(10))), 99999, "running_pod", State.RUNNING, again=None
    ),
    "with a policy it is looked at again when the patience ends": Case(
        seen(running(), policy=FORCE, pod=pod(stopping=True, gone_by=at(10))), 20, "running_pod", again=at(70)
    ),
    "then the pod is removed by force and the attempt says why": Case(
        seen(running(), policy=FORCE, pod=pod(stopping=True, gone_by=at(10))),
        70,
        "lost_node",
        effects=(DeletePod(1, "pod-1", force=True),),
        last={"outcome": None, "reason": Reason.NODE_LOST, "pod_uid": "pod-1", "node": "node-a"},
    ),
    "a pod that never started on the lost node is removed, too": Case(
        seen(running(), policy=FORCE, pod=waiting(stopping=True, gone_by=at(10))),
        70,
        "lost_node",
        effects=(DeletePod(1, "pod-1", force=True),),
    ),
    "a pod whose end was asked for by nobody is never removed by force": Case(
        seen(running(), policy=FORCE, pod=pod()), 99999, "running_pod", effects=()
    ),
    "a stop for time on a node that is lost stays a stop for time": Case(
        seen(running(reason=Reason.TIMED_OUT), policy=FORCE, pod=pod(stopping=True, gone_by=at(10))),
        70,
        "lost_node",
        effects=(DeletePod(1, "pod-1", force=True),),
        last={"reason": Reason.TIMED_OUT},
    ),
    "cancel on a lost node removes the pod by force, too": Case(
        seen(running(), policy=replace(FORCE, cancel=True), pod=pod(stopping=True, gone_by=at(10))),
        70,
        "lost_node",
        effects=(DeletePod(1, "pod-1", force=True),),
    ),
    # the deadline of the whole run
    "a run that waits for its retry ends when its deadline passes": Case(
        seen(awaiting(60), policy=DEADLINE),
        30,
        "past_deadline",
        State.TIMED_OUT,
        Reason.DEADLINE_EXCEEDED,
        has={
            "error": ErrorInfo(
                "TimeoutError",
                "The run was not done within its deadline of 30 s.",
                cure="Raise spec.deadlineSeconds, or make the task do less.",
            ),
            "next_attempt_at": None,
        },
    ),
    "a run that waits for anything before its first attempt has no deadline yet": Case(
        seen(policy=DEADLINE, upstreams=(upstream(state=State.RUNNING),)), 9999, "upstream", again=None
    ),
    "a container that runs is looked at when the deadline passes": Case(
        seen(running(), policy=DEADLINE, pod=pod()), 20, "running_pod", State.RUNNING, again=at(30)
    ),
    "a container that runs beyond the deadline is stopped and the attempt says why": Case(
        seen(running(), policy=DEADLINE, pod=pod()),
        30,
        "past_deadline",
        effects=(Stop(1, "pod-1"),),
        last={"outcome": None, "reason": Reason.DEADLINE_EXCEEDED},
    ),
    "a pod that waits beyond the deadline is deleted": Case(
        seen(running(), policy=DEADLINE, pod=waiting()), 30, "past_deadline", effects=(DeletePod(1, "pod-1"),)
    ),
    "a pod that is being stopped is not stopped for the deadline again": Case(
        seen(running(reason=Reason.TIMED_OUT), policy=DEADLINE, pod=pod(stopping=True)),
        30,
        "past_deadline",
        effects=(),
        last={"reason": Reason.TIMED_OUT},
    ),
    "an attempt whose pod was not created ends with the deadline": Case(
        seen(running(), policy=DEADLINE, presence=Presence.UNPOSTED),
        30,
        "past_deadline",
        State.TIMED_OUT,
        Reason.DEADLINE_EXCEEDED,
        last={"outcome": Ended.TIMED_OUT, "reason": Reason.DEADLINE_EXCEEDED},
    ),
    "an attempt whose pod's name is taken ends with the deadline": Case(
        seen(running(), policy=DEADLINE, presence=Presence.FOREIGN), 30, "past_deadline", State.TIMED_OUT
    ),
    "a pod that is expected when the deadline passes is waited for": Case(
        seen(running(), policy=DEADLINE, presence=Presence.EXPECTED), 30, "pod_to_come", writes=False, again=at(60)
    ),
    "the deadline of a run that is suspended stands still": Case(
        seen(suspended(20), policy=replace(DEADLINE, suspend=True)), 9999, "suspended", writes=False, again=None
    ),
    "a deadline that passed before anybody saw that the run is suspended ends nothing": Case(
        seen(awaiting(60), policy=replace(DEADLINE, suspend=True)), 40, "suspended", State.PENDING
    ),
    "a container that runs in a suspended run has its deadline": Case(
        seen(running(), policy=replace(DEADLINE, suspend=True), pod=pod()),
        30,
        "past_deadline",
        effects=(Stop(1, "pod-1"),),
    ),
    "cancel comes before the deadline": Case(
        seen(awaiting(60), policy=replace(DEADLINE, cancel=True)), 99, "cancelled", State.CANCELLED
    ),
}
