"""Every way in which the cluster, not the code, ends or holds up an attempt comes with a sentence and a cure."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import pod as pod_object
from tests.support.lifecycle_builders import at, attempt, over, pod, running, said_, seen, waiting

from podtask.core.api.names import Reason, State
from podtask.core.api.status import Attempt
from podtask.core.lifecycle import decide
from podtask.core.lifecycle.judge import judge
from podtask.core.lifecycle.model import Observed, Policy, Presence, Why
from podtask_operator.kube.client import ApiError
from podtask_operator.pods import status as podstatus
from podtask_operator.pods.refusal import GRANTS, refusal
from podtask_runner.protocol import Verdict


def held(reason: str, message: str) -> Why | None:
    return podstatus.read(pod_object(state={"waiting": {"reason": reason, "message": message}})).waiting


def unscheduled(message: str) -> Why | None:
    condition = {"PodScheduled": {"status": "False", "reason": "Unschedulable", "message": message}}
    return podstatus.read(pod_object(conditions=condition)).waiting


HELD_UP: dict[str, tuple[Why | None, Reason, str]] = {
    "the image cannot be pulled": (held("ErrImagePull", "not found"), Reason.IMAGE_PULL, "not found"),
    "the scheduler finds no node": (
        unscheduled("0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
        Reason.UNSCHEDULABLE,
        "3 Insufficient nvidia.com/gpu",
    ),
    "a Secret of the environment is missing": (
        held("CreateContainerConfigError", 'secret "api" not found'),
        Reason.CONTAINER_CONFIG,
        'secret "api" not found',
    ),
    "the quota is used up": (
        refusal(ApiError(403, "Forbidden", "exceeded quota: pods")),
        Reason.QUOTA,
        "exceeded quota: pods",
    ),
    "Pod Security refuses": (
        refusal(ApiError(403, "Forbidden", 'violates PodSecurity "restricted:latest"')),
        Reason.POD_SECURITY,
        "restricted",
    ),
    "an admission webhook refuses": (
        refusal(ApiError(403, "Forbidden", 'admission webhook "x" denied')),
        Reason.ADMISSION,
        "denied",
    ),
    "a policy refuses with its default reason, Invalid": (
        refusal(
            ApiError(
                422,
                "Invalid",
                "pods \"x-1\" is forbidden: ValidatingAdmissionPolicy 'teams' with binding 'teams' denied request: "
                "label is invalid: team",
            )
        ),
        Reason.ADMISSION,
        "'teams' denied",
    ),
    "the parameters of a policy are missing for a moment": (
        refusal(
            ApiError(
                422,
                "Invalid",
                "pods \"x-1\" is forbidden: ValidatingAdmissionPolicy 'teams' with binding 'teams' denied request: "
                "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
            )
        ),
        Reason.ADMISSION,
        "no params found",
    ),
    "a webhook refuses without a code of its own": (
        refusal(ApiError(400, "", 'admission webhook "teams.example" denied the request: no team')),
        Reason.ADMISSION,
        "no team",
    ),
    "a policy refuses the Secret": (
        refusal(ApiError(422, "Invalid", 'secrets "x-grants" is forbidden: ValidatingAdmissionPolicy'), GRANTS),
        Reason.ADMISSION,
        "ValidatingAdmissionPolicy",
    ),
    "a pod that quotes an admission webhook is invalid all the same": (
        refusal(
            ApiError(
                422,
                "Invalid",
                'Pod "x-1" is invalid: spec.priorityClassName: Invalid value: "admission webhook \\"x\\" denied": no',
            )
        ),
        Reason.INVALID_SPEC,
        "priorityClassName",
    ),
    "a field that no pod has": (
        refusal(
            ApiError(
                400,
                "BadRequest",
                'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field '
                '"spec.volumes[0].emptyDir.sizelimit"',
            )
        ),
        Reason.INVALID_SPEC,
        "sizelimit",
    ),
    "a quota takes only pods with limits": (
        refusal(ApiError(403, "Forbidden", 'pods "q-1" is forbidden: failed quota: q: must specify limits.memory')),
        Reason.QUOTA,
        "must specify limits.memory",
    ),
    "it asks for more than the LimitRange allows": (
        refusal(
            ApiError(
                403,
                "Forbidden",
                'pods "l-1" is forbidden: maximum memory usage per Container is 64Mi, but limit is 128Mi',
            )
        ),
        Reason.ADMISSION,
        "64Mi",
    ),
    "it asks for more than the LimitRange's default limit": (
        refusal(
            ApiError(
                422,
                "Invalid",
                'Pod "l-1" is invalid: spec.containers[0].resources.requests: Invalid value: "64Mi": must be less than '
                "or equal to memory limit of 16Mi",
            )
        ),
        Reason.INVALID_SPEC,
        "16Mi",
    ),
    "its ServiceAccount is missing": (
        refusal(
            ApiError(
                403,
                "Forbidden",
                'pods "n-1" is forbidden: error looking up service account team/no: serviceaccount "no" not found',
            )
        ),
        Reason.ADMISSION,
        "not found",
    ),
    "a webhook does not answer": (
        refusal(ApiError(500, "InternalError", 'Internal error occurred: failed calling webhook "x": refused')),
        Reason.ADMISSION,
        "failed calling webhook",
    ),
    "the API server calls the pod invalid": (
        refusal(ApiError(422, "Invalid", "spec.tolerations[0].operator: Unsupported value")),
        Reason.INVALID_SPEC,
        "tolerations",
    ),
}


@pytest.mark.parametrize("case", HELD_UP)
def test_what_holds_an_attempt_up_is_told_with_its_words_and_a_cure(case: str) -> None:
    why, reason, words = HELD_UP[case]
    assert why is not None
    assert why.reason is reason
    assert words in why.message
    assert why.cure
    assert why.cure.endswith(".")


@pytest.mark.parametrize("case", HELD_UP)
def test_an_attempt_that_is_given_up_for_it_keeps_words_and_cure(case: str) -> None:
    why, _, words = HELD_UP[case]
    given = seen(running(), policy=Policy(max_disruptions=0), pod=waiting(scheduled_at=at(0), waiting=why))
    marked = decide(given, at(900)).status.latest
    assert marked is not None
    judged = judge(seen(running(), presence=Presence.ABSENT), marked)
    assert words in judged.why.message
    assert judged.why.cure == (why and why.cure)


def ended(status: dict[str, Any] | None = None, **more: Any) -> Observed:
    return seen(running(), pod=podstatus.read(pod_object({"phase": "Failed", **(status or {})}, **more)))


TARGET = {"status": "True"}
GONE = seen(running(pod_uid="pod-1"), presence=Presence.ABSENT)
ENDED: dict[str, tuple[Observed, Attempt, Reason]] = {
    "evicted by the API": (
        ended(conditions={"DisruptionTarget": {**TARGET, "reason": "EvictionByEvictionAPI"}}),
        attempt(), Reason.EVICTED,
    ),
    "evicted for memory": (
        ended({"reason": "Evicted", "message": "The node was low on resource: memory."}), attempt(), Reason.EVICTED,
    ),
    "preempted": (
        ended(conditions={"DisruptionTarget": {**TARGET, "reason": "PreemptionByScheduler"}}),
        attempt(), Reason.PREEMPTED,
    ),
    "its node is lost": (ended({"reason": "NodeLost"}), attempt(), Reason.NODE_LOST),
    "the node refused it": (ended({"reason": "OutOfcpu"}), attempt(), Reason.NODE_REFUSED),
    "its pod was deleted": (GONE, attempt(pod_uid="pod-1"), Reason.POD_DELETED),
    "nobody ever saw its pod": (seen(running(), presence=Presence.ABSENT), attempt(), Reason.LOST),
    "interrupted": (seen(running(), pod=over(Verdict.INTERRUPTED)), attempt(), Reason.INTERRUPTED),
    "the store was away": (seen(running(), pod=over(Verdict.STORE_UNAVAILABLE)), attempt(), Reason.STORE_UNAVAILABLE),
    "out of memory": (seen(running(), pod=over(oom_killed=True)), attempt(), Reason.OUT_OF_MEMORY),
    "its time was over": (
        seen(running(), policy=Policy(timeout_seconds=5), pod=over(Verdict.TIMED_OUT)), attempt(), Reason.TIMED_OUT,
    ),
    "the run's time was over": (
        seen(running(), policy=Policy(deadline_seconds=5), pod=over()),
        attempt(reason=Reason.DEADLINE_EXCEEDED), Reason.DEADLINE_EXCEEDED,
    ),
    "another Python": (seen(running(), pod=over(Verdict.ENVIRONMENT_MISMATCH)), attempt(), Reason.ENVIRONMENT_MISMATCH),
    "a corrupted input": (seen(running(), pod=over(Verdict.INPUT_CORRUPTED)), attempt(), Reason.INPUT_CORRUPTED),
    "an invalid spec": (seen(running(), pod=over(Verdict.INVALID_SPEC)), attempt(), Reason.INVALID_SPEC),
    "no word at all": (seen(running(), pod=over()), attempt(), Reason.CRASHED),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDED)
def test_what_ended_an_attempt_is_told_with_a_cure(case: str) -> None:
    given, running_attempt, reason = ENDED[case]
    judged = judge(given, running_attempt)
    assert judged.why.reason is reason
    assert judged.why.message.endswith((".", "boom"))
    assert judged.why.cure
    assert judged.why.cure.endswith(".")


def test_no_reason_of_an_attempt_is_left_out() -> None:
    """What remains needs none: the user's own exception, a cancel, a suspend, a success; and the times of waiting."""
    without = {Reason.COMPLETED, Reason.EXCEPTION, Reason.CANCELLED, Reason.SUSPENDED}
    of_runs = {
        Reason.WAITING_FOR_UPSTREAM, Reason.WAITING_FOR_CACHE, Reason.QUEUED, Reason.SCHEDULING, Reason.CACHED,
        Reason.UPSTREAM_FAILED, Reason.RUNNING, Reason.AWAITING_RETRY,
    }  # fmt: skip
    told = {reason for *_, reason in ENDED.values()} | {reason for _, reason, _ in HELD_UP.values()}
    elsewhere = {
        Reason.POD_NAME_CONFLICT,
        Reason.PENDING_TIMEOUT,
    }  # cases/alive, and above: the cure of what held it up
    assert set(Reason) == told | without | of_runs | elsewhere
    assert said_(Verdict.FAILED).error is not None


EXACT = {
    "a quota takes only pods with limits": "create the run anew with what the message names in spec.resources",
    "it asks for more than the LimitRange allows": "kubectl describe limitrange",
    "it asks for more than the LimitRange's default limit": "Raise spec.resources.limits, or ask for less",
    "its ServiceAccount is missing": "Create the ServiceAccount that is named",
    "a webhook does not answer": "ask the cluster's administrator to repair it",
}


@pytest.mark.parametrize("case", EXACT)
def test_a_cure_helps_with_what_the_server_says(case: str) -> None:
    why, _, _ = HELD_UP[case]
    assert why is not None
    assert why.cure is not None
    assert EXACT[case] in why.cure


@pytest.mark.parametrize("case", HELD_UP)
def test_a_cure_at_the_end_does_not_say_that_the_operator_goes_on(case: str) -> None:
    why, _, _ = HELD_UP[case]
    assert why is not None
    assert why.cure is not None
    assert "goes on trying" not in why.cure


@pytest.mark.parametrize("case", HELD_UP)
def test_who_looks_with_kubectl_while_it_waits_sees_the_cure_and_afterwards_the_reason(case: str) -> None:
    why, reason, _ = HELD_UP[case]
    assert why is not None
    shown = decide(seen(running(), pod=waiting(scheduled_at=at(0), waiting=why)), at(5)).status
    assert (shown.state, shown.reason, shown.cure) == (State.PENDING, reason, why.cure)
    started = decide(seen(shown, pod=pod()), at(9)).status
    assert (started.state, started.cure) == (State.RUNNING, None)
    late = decide(seen(shown, pod=waiting(scheduled_at=at(0), waiting=why)), at(900)).status.latest
    assert late is not None
    assert (late.reason, late.held_up_by) == (Reason.PENDING_TIMEOUT, reason)
