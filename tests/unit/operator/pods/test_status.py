"""What the lifecycle learns of a pod: real pods as Kubernetes reported them, and the rarer ones by hand."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.builders import POD_UID, UID, pod

from podtask.core.api.names import Reason
from podtask.core.lifecycle.model import Pod, PodPhase
from podtask_operator.pods.status import is_ours, project, read, with_first_deletion
from podtask_runner.protocol import Verdict

REAL: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "golden" / "statuses.yaml").read_text())
"""Captured from a real cluster; see the file's head."""

WAITING, RUNNING, ENDED = PodPhase.WAITING, PodPhase.RUNNING, PodPhase.ENDED


def told(found: Pod) -> dict[str, Any]:
    """What is remarkable about a pod, without times."""
    every = {
        "phase": found.phase,
        "waiting": found.waiting and found.waiting.reason,
        "stopping": found.stopping,
        "outcome": found.outcome and found.outcome.outcome,
        "exit_code": found.exit_code,
        "disruption": found.disruption and found.disruption.reason,
        "oom": found.oom_killed,
        "deadline": found.deadline_exceeded,
    }
    return {key: value for key, value in every.items() if value is not None and value is not False}


EXPECTED: dict[str, dict[str, Any]] = {
    "completed": {"phase": ENDED, "outcome": Verdict.COMPLETED, "exit_code": 0},
    "completed-phase-still-pending": {"phase": ENDED, "outcome": Verdict.COMPLETED, "exit_code": 0},
    "failed-exception": {"phase": ENDED, "outcome": Verdict.FAILED, "exit_code": 1},
    "container-creating": {"phase": WAITING},
    "running": {"phase": RUNNING},
    "oom-killed": {"phase": ENDED, "exit_code": 137, "oom": True},
    "oom-killed-exit-0": {"phase": ENDED, "outcome": Verdict.CRASHED, "exit_code": 0, "oom": True},
    "err-image-pull": {"phase": WAITING, "waiting": Reason.IMAGE_PULL},
    "image-pull-back-off": {"phase": WAITING, "waiting": Reason.IMAGE_PULL},
    "invalid-image-name": {"phase": WAITING, "waiting": Reason.IMAGE_PULL},
    "missing-secret": {"phase": WAITING, "waiting": Reason.CONTAINER_CONFIG},
    "unschedulable": {"phase": WAITING, "waiting": Reason.UNSCHEDULABLE},
    "unschedulable-after-gates": {"phase": WAITING, "waiting": Reason.UNSCHEDULABLE},
    "scheduling-gated": {"phase": WAITING, "waiting": Reason.QUEUED},
    "start-error": {"phase": ENDED, "outcome": Verdict.CRASHED},
    "evicting": {"phase": RUNNING, "stopping": True, "disruption": Reason.EVICTED},
    "evicted-by-api": {
        "phase": ENDED,
        "stopping": True,
        "outcome": Verdict.INTERRUPTED,
        "exit_code": 143,
        "disruption": Reason.EVICTED,
    },
    "evicted-by-kubelet": {
        "phase": ENDED,
        "outcome": Verdict.INTERRUPTED,
        "exit_code": 143,
        "disruption": Reason.EVICTED,
    },
    "deleting": {"phase": RUNNING, "stopping": True},
    "deleted": {
        "phase": ENDED,
        "stopping": True,
        "outcome": Verdict.INTERRUPTED,
        "exit_code": 143,
        "disruption": Reason.POD_DELETED,
    },
    "preempted": {
        "phase": ENDED,
        "stopping": True,
        "outcome": Verdict.INTERRUPTED,
        "exit_code": 143,
        "disruption": Reason.PREEMPTED,
    },
    "stopping": {"phase": RUNNING, "stopping": True},
    "stopped": {"phase": ENDED, "stopping": True, "outcome": Verdict.INTERRUPTED, "exit_code": 143, "deadline": True},
    "deadline-exceeded": {"phase": ENDED, "outcome": Verdict.INTERRUPTED, "exit_code": 143, "deadline": True},
    "out-of-cpu": {"phase": ENDED, "disruption": Reason.NODE_REFUSED},
    "node-affinity": {"phase": ENDED, "disruption": Reason.NODE_REFUSED},
}


def test_every_captured_pod_is_expected_to_mean_something() -> None:
    assert EXPECTED.keys() == REAL.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_reads_a_real_pod(name: str) -> None:
    assert told(read(REAL[name])) == EXPECTED[name]
    assert read(REAL[name]).uid == POD_UID
    assert is_ours(REAL[name], UID)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_cached_projection_reads_alike(name: str) -> None:
    small = project(REAL[name])
    assert read(small) == read(REAL[name])
    assert project(small) == small
    assert is_ours(small, UID)


WORDS = {
    "err-image-pull": "failed to pull and unpack image",
    "image-pull-back-off": "ErrImagePull: failed to pull",
    "missing-secret": 'secret "nope" not found',
    "unschedulable": "didn't match Pod's node affinity/selector",
    "scheduling-gated": "example.com/wait",
}


@pytest.mark.parametrize("name", WORDS)
def test_a_waiting_pod_repeats_the_words_of_who_holds_it_up(name: str) -> None:
    why = read(REAL[name]).waiting
    assert why is not None
    assert WORDS[name] in why.message
    assert why.cure


def test_a_start_error_repeats_the_words_of_the_runtime() -> None:
    outcome = read(REAL["start-error"]).outcome
    assert outcome is not None
    assert outcome.error is not None
    assert "/nope" in outcome.error.message
    assert not outcome.error.retryable


def test_a_full_tmp_says_what_to_write_less_of() -> None:
    why = read(REAL["evicted-by-kubelet"]).disruption
    assert why is not None
    assert "podtask-tmp" in why.message
    assert "/tmp" in (why.cure or "")


def test_a_container_that_never_started_has_no_start() -> None:
    assert read(REAL["start-error"]).started_at is None  # containerd says 1970-01-01


def test_times_are_the_clusters() -> None:
    found = read(REAL["running"])
    assert found.started_at is not None
    assert found.scheduled_at is not None
    assert found.scheduled_at.tzinfo is not None
    assert found.scheduled_at <= found.started_at
    assert found.node == "node-a"


def test_a_pod_waits_since_its_first_refusal() -> None:
    assert read(REAL["unschedulable"]).scheduled_at is not None


@pytest.mark.parametrize("name", ["scheduling-gated", "unschedulable-after-gates"])
def test_time_behind_gates_is_not_pending_time(name: str) -> None:
    assert read(REAL[name]).scheduled_at is None


def test_a_pod_queued_by_kueue_waits_only_once_it_is_scheduled() -> None:
    label = {"labels": {"kueue.x-k8s.io/queue-name": "q"}}
    since = "2026-01-02T03:04:06Z"
    refused = {"PodScheduled": {"status": "False", "reason": "Unschedulable", "lastTransitionTime": since}}
    placed = {"PodScheduled": {"lastTransitionTime": since}}
    assert read(pod(conditions=refused)).scheduled_at is not None
    assert read(pod(conditions=refused, metadata=label)).scheduled_at is None
    assert read(pod(conditions=placed, metadata=label)).scheduled_at == datetime(
        2026, 1, 2, 3, 4, 6, tzinfo=timezone.utc
    )


def ended(**more: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": 1, "finishedAt": "2026-01-02T03:05:00Z", **more}}


def target(reason: str) -> dict[str, dict[str, str]]:
    return {"DisruptionTarget": {"reason": reason}}


INIT = {"name": "vault-agent-init", "state": {"terminated": {"exitCode": 2, "message": "no route to vault"}}}
DISRUPTIONS: dict[str, tuple[dict[str, Any], Reason | None]] = {
    "its node was tainted": (pod({"phase": "Failed"}, conditions=target("DeletionByTaintManager")), Reason.NODE_LOST),
    "its node is gone": (pod({"phase": "Failed"}, conditions=target("DeletionByPodGC")), Reason.NODE_LOST),
    "the kubelet ended it": (pod({"phase": "Failed"}, conditions=target("TerminationByKubelet")), Reason.EVICTED),
    "a reason of a later Kubernetes": (pod({"phase": "Failed"}, conditions=target("ByMoonlight")), Reason.EVICTED),
    "the disruption was called off": (
        pod({"phase": "Failed"}, state=ended(), conditions={"DisruptionTarget": {"status": "False", "reason": "x"}}),
        None,
    ),
    "the node shut down": (pod({"phase": "Failed", "reason": "Terminated"}), Reason.EVICTED),
    "an older node shut down": (pod({"phase": "Failed", "reason": "NodeShutdown"}), Reason.EVICTED),
    "an old controller's NodeLost": (pod({"phase": "Failed", "reason": "NodeLost"}), Reason.NODE_LOST),
    "a critical pod needed the room": (pod({"phase": "Failed", "reason": "Preempting"}), Reason.PREEMPTED),
    "no device on the node": (pod({"phase": "Failed", "reason": "UnexpectedAdmissionError"}), Reason.NODE_REFUSED),
    "no memory on the node": (pod({"phase": "Failed", "reason": "OutOfmemory"}), Reason.NODE_REFUSED),
    "no place on the node": (pod({"phase": "Failed", "reason": "OutOfpods"}), Reason.NODE_REFUSED),
    "no whole cores on the node, as a kubelet's option says": (
        pod({"phase": "Failed", "reason": "SMTAlignmentError"}),
        Reason.NODE_REFUSED,
    ),
    "an init container that was injected failed": (
        pod({"phase": "Failed", "initContainerStatuses": [INIT]}, state={"waiting": {"reason": "PodInitializing"}}),
        Reason.CONTAINER_CONFIG,
    ),
    "an init container was killed after the task had run, as native sidecars are": (
        pod({"phase": "Failed", "initContainerStatuses": [INIT]}, state=ended()),
        None,
    ),
    "an init container failed, and is started again": (
        pod({"initContainerStatuses": [INIT]}, state={"waiting": {"reason": "PodInitializing"}}),
        None,
    ),
    "the node was restarted": (
        pod({"phase": "Failed"}, state=ended(reason="ContainerStatusUnknown", exitCode=137)),
        Reason.NODE_LOST,
    ),
    "the node crashed, and containerd found the container without its process": (
        pod({"phase": "Failed"}, state=ended(reason="Unknown", exitCode=255)),
        Reason.NODE_LOST,
    ),
    "deleted while it ran": (
        pod(
            {"phase": "Failed"},
            state=ended(),
            metadata={"deletionTimestamp": "2026-01-02T03:05:20Z", "deletionGracePeriodSeconds": 30},
        ),
        Reason.POD_DELETED,
    ),
    "deleted, and nobody knows when it ended": (
        pod(
            {"phase": "Failed"},
            state=ended(exitCode=137, finishedAt="1970-01-01T00:00:00Z"),
            metadata={"deletionTimestamp": "2026-01-02T03:05:20Z", "deletionGracePeriodSeconds": 30},
        ),
        Reason.POD_DELETED,
    ),
    "cleaned away after its end": (
        pod(
            {"phase": "Failed"},
            state=ended(),
            metadata={"deletionTimestamp": "2026-01-02T03:09:00Z", "deletionGracePeriodSeconds": 30},
        ),
        None,
    ),
    "deleted, and still running": (
        pod(
            {"phase": "Running"},
            state={"running": {}},
            metadata={"deletionTimestamp": "2026-01-02T03:09:00Z"},
        ),
        None,
    ),
    "it ended by itself": (pod({"phase": "Failed"}, state=ended()), None),
    "its own deadline": (pod({"phase": "Failed", "reason": "DeadlineExceeded"}), None),
}


@pytest.mark.parametrize(("seen", "reason"), DISRUPTIONS.values(), ids=DISRUPTIONS.keys())
def test_tells_the_clusters_doing_from_the_tasks(seen: dict[str, Any], reason: Reason | None) -> None:
    why = read(seen).disruption
    assert (why and why.reason) == reason
    assert read(project(seen)) == read(seen)


def test_an_init_container_that_failed_is_named_with_its_words() -> None:
    why = read(pod({"phase": "Failed", "initContainerStatuses": [INIT]})).disruption
    assert why is not None
    assert "vault-agent-init failed (exit code 2)" in why.message
    assert "no route to vault" in why.message


PHASES: dict[str, tuple[dict[str, Any], PodPhase]] = {
    "our container ended, a sidecar lives on": (pod({"phase": "Running"}, state=ended()), ENDED),
    "a sidecar runs, our image is being pulled": (
        pod({"phase": "Running"}, state={"waiting": {"reason": "ErrImagePull"}}),
        WAITING,
    ),
    "its node has gone silent": (pod({"phase": "Unknown"}, state={"running": {}}), RUNNING),
    "no container status at all, as on simulated nodes": (pod({"phase": "Running"}), RUNNING),
    "refused before any container": (pod({"phase": "Failed"}), ENDED),
    "nothing known yet": (pod({"phase": None}), WAITING),
}


@pytest.mark.parametrize(("seen", "phase"), PHASES.values(), ids=PHASES.keys())
def test_our_container_decides_the_phase(seen: dict[str, Any], phase: PodPhase) -> None:
    assert read(seen).phase is phase


def test_only_the_uid_of_the_controller_makes_a_pod_ours() -> None:
    assert is_ours(pod(), UID)
    assert not is_ours(pod(), "another")
    assert not is_ours(pod(), "")
    assert not is_ours(pod(metadata={"ownerReferences": [{"uid": UID, "controller": False}]}), UID)
    assert not is_ours(pod(metadata={"ownerReferences": None}), UID)


def test_the_projection_forgets_what_nobody_asks() -> None:
    large = pod(spec={"containers": [{"env": []}]}, metadata={"managedFields": [{}], "annotations": {"a": "b"}})
    assert project(large) == project(pod())


KILLED = {"exitCode": 137, "startedAt": "2026-01-02T03:04:10Z"}


def versions(*seen: dict[str, Any]) -> dict[str, Any]:
    """What the cache holds after these versions of one pod."""
    held: dict[str, Any] | None = None
    for one in seen:
        held = with_first_deletion(project(one), held)
    assert held is not None
    return held


def deleted(finished: str | None = None) -> dict[str, Any]:
    """Asked to go at 03:05:20 by the API server's clock."""
    metadata = {"deletionTimestamp": "2026-01-02T03:05:50Z", "deletionGracePeriodSeconds": 30}
    if finished is None:
        return pod({"phase": "Running"}, state={"running": {}}, metadata=metadata)
    return pod({"phase": "Failed"}, state={"terminated": {**KILLED, "finishedAt": finished}}, metadata=metadata)


@pytest.mark.parametrize("clock", ["2026-01-02T03:05:23Z", "2026-01-02T03:05:15Z", "2026-01-02T02:05:23Z"])
def test_a_deletion_that_was_seen_before_the_end_is_its_cause_whatever_the_nodes_clock_says(clock: str) -> None:
    why = read(versions(pod(), deleted(), deleted(clock))).disruption
    assert why is not None
    assert why.reason is Reason.POD_DELETED


@pytest.mark.parametrize("clock", ["2026-01-02T03:05:18Z", "2026-01-02T03:05:30Z", "2026-01-02T04:05:18Z"])
def test_an_end_that_was_seen_before_the_deletion_is_the_tasks_own(clock: str) -> None:
    own = pod({"phase": "Failed"}, state={"terminated": {**KILLED, "finishedAt": clock}})
    assert read(versions(pod(), own, deleted(clock), deleted(clock))).disruption is None


@pytest.mark.parametrize(
    ("finished", "cause"),
    [
        ("2026-01-02T03:05:23Z", Reason.POD_DELETED),
        ("2026-01-02T03:05:15Z", Reason.POD_DELETED),  # a node 5 s behind: in doubt it was the deletion
        ("2026-01-02T03:04:21Z", Reason.POD_DELETED),
        ("2026-01-02T03:04:19Z", None),
    ],
)
def test_where_the_order_was_not_seen_the_clocks_may_differ_by_a_minute(finished: str, cause: Reason | None) -> None:
    for seen in (deleted(finished), versions(deleted(finished)), versions(pod(), deleted(finished))):
        why = read(seen).disruption
        assert (why and why.reason) == cause


def test_what_came_first_is_not_carried_to_a_pod_that_took_the_name() -> None:
    other = {**deleted("2026-01-02T02:05:23Z")}
    other["metadata"] = {**other["metadata"], "uid": "another"}
    assert read(versions(deleted(), other)).disruption is None
