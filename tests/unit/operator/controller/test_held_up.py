"""A pod that cannot be made or started always says why, in the status, and every wait ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.support.operator_world import NOW, World, reconciling

from podtask_operator.kube.answers import ApiError, ApiUnavailable, check
from podtask_operator.pods import events as pod_events
from podtask_operator.pods import status as podstatus

SPEC = {"pendingTimeoutSeconds": 60, "maxDisruptions": 0}
WEBHOOK = 'Internal error occurred: failed calling webhook "policy.example": dial tcp: connection refused'
DOWN = ApiUnavailable("POST: 500", ApiError(500, "InternalError", WEBHOOK))
MISSING = 'MountVolume.SetUp failed for volume "v" : secret "absent" not found'


async def until(world: World, seconds: float, name: str = "a") -> None:
    """Look at the run, as its own wake-ups would, until so many seconds after the start."""
    while world.now < NOW + timedelta(seconds=seconds):
        world.now += timedelta(seconds=1)
        await world.look(name)


def event(reason: str, message: str, at: str, **more: Any) -> dict[str, Any]:
    about = {"involvedObject": {"uid": "pod-a-1"}, "metadata": {"name": f"a-1.{at}"}}
    return {**about, "reason": reason, "message": message, "lastTimestamp": f"2026-01-02T04:00:{at}Z", **more}


async def launched(world: World, spec: dict[str, Any] = SPEC) -> None:
    """The pod is there, on a node, and its container has not started."""
    world.add("a", spec)
    await world.look("a")
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-02T04:00:00Z"}
    world.api.pods["a-1"]["spec"]["nodeName"] = "node"
    creation = "2026-01-02T04:00:00Z"
    status = {"phase": "Pending", "conditions": [scheduled]}
    world.cluster.put_pod(world.api.touch_pod("a-1", status, creationTimestamp=creation))


@pytest.mark.parametrize("call", ["pod", "secret"])
def test_a_webhook_that_does_not_answer_is_a_refusal_with_its_words_and_ends_in_time(call: str) -> None:
    @reconciling
    async def body(world: World) -> None:
        world.api.unavailable[call] = DOWN
        world.add("a", SPEC)
        await until(world, 10)
        status = world.status("a")
        assert (status["state"], status["reason"]) == ("Pending", "AdmissionRefused")
        assert WEBHOOK in status["message"]
        assert "administrator" in status["cure"]
        await until(world, 62)
        status = world.status("a")
        assert (status["state"], status["reason"]) == ("Crashed", "PendingTimeout")
        assert WEBHOOK in status["message"]

    body()


@reconciling
async def test_a_webhook_that_is_repaired_lets_the_run_go_on(world: World) -> None:
    world.api.unavailable["pod"] = DOWN
    world.add("a", SPEC)
    await until(world, 10)
    del world.api.unavailable["pod"]
    await until(world, 50)
    assert list(world.api.pods) == ["a-1"]
    assert world.status("a")["attemptsTotal"] == 1


@reconciling
async def test_a_pod_that_a_failing_post_made_all_the_same_is_found(world: World) -> None:
    """A 500 does not say that nothing was written."""
    world.api.unavailable["pod"] = DOWN
    world.add("a", SPEC)
    await world.look("a")
    del world.api.unavailable["pod"]
    owner = {"uid": "uid-a", "controller": True, "kind": "TaskRun", "name": "a"}
    meta = {"name": "a-1", "uid": "late", "namespace": "team", "ownerReferences": [owner], "resourceVersion": "900"}
    world.api.pods["a-1"] = {"metadata": meta, "spec": {"nodeName": "n"}, "status": {"phase": "Pending"}}
    await world.look("a")
    assert world.expected("a").pod.uid == "late"
    assert world.expected("a").pod.refusal is None


ANSWERS = {
    "a webhook that is down": (500, b'{"kind":"Status","reason":"InternalError","message":"no"}', True),
    "a webhook that answers 503 itself": (503, b'{"kind":"Status","message":"admission webhook \\"x\\" denied"}', True),
    "a proxy in between": (502, b"<html>bad gateway</html>", False),
    "etcd is away": (500, b'{"kind":"Status","message":"etcdserver: request timed out"}', False),
    "too many requests": (429, b'{"kind":"Status","reason":"TooManyRequests","message":"later"}', False),
    "a token that is being exchanged": (401, b'{"kind":"Status","reason":"Unauthorized","message":"no"}', False),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_without_a_refusal_is_an_absence(case: str) -> None:
    from podtask_operator.pods.refusal import by_admission

    status, data, refused = ANSWERS[case]
    with pytest.raises(ApiUnavailable) as caught:
        check(status, data, "POST")
    answer = caught.value.answer
    assert (answer is not None and by_admission(answer)) is refused


@reconciling
async def test_an_absence_is_no_refusal_and_does_not_end_the_run(world: World) -> None:
    world.api.unavailable["pod"] = ApiUnavailable("POST: 504")
    world.add("a", SPEC)
    for _ in range(70):
        world.now += timedelta(seconds=1)
        with pytest.raises(Exception, match="504"):
            await world.look("a")
    assert world.status("a")["state"] == "Pending"
    assert "message" not in world.status("a")


@reconciling
async def test_a_volume_whose_secret_is_missing_is_named_and_again_when_it_is_given_up(world: World) -> None:
    await launched(world)
    world.api.pod_events = [event("Scheduled", "fine", "00"), event("FailedMount", MISSING, "01")]
    await until(world, 5)
    status = world.status("a")
    assert (status["state"], status["reason"]) == ("Pending", "ContainerConfig")
    assert status["message"] == f"FailedMount: {MISSING}"
    assert "Secret" in status["cure"]
    await until(world, 62)
    attempt = world.status("a")["attempts"][0]
    assert attempt["reason"] == "PendingTimeout"
    assert attempt["heldUpBy"] == "ContainerConfig"
    assert MISSING in attempt["message"]
    reads = world.api.calls.count("events of pod-a-1")
    assert 3 <= reads <= 8, "at times that double, and before the verdict"


@reconciling
async def test_what_is_told_late_is_still_in_the_verdict(world: World) -> None:
    await launched(world)
    await until(world, 55)
    assert world.status("a")["reason"] == "Scheduling"
    world.api.pod_events = [event("FailedMount", MISSING, "55")]
    await until(world, 60)
    assert MISSING in world.status("a")["attempts"][0]["message"]


@reconciling
async def test_trouble_that_is_over_is_not_told(world: World) -> None:
    await launched(world)
    world.api.pod_events = [event("Pulling", "image", "02"), event("FailedMount", MISSING, "01")]
    await until(world, 10)
    assert world.status("a")["reason"] == "Scheduling"


@reconciling
async def test_without_the_right_to_read_events_the_run_goes_on_as_before(world: World) -> None:
    await launched(world)
    world.api.refused["events"] = ApiError(403, "Forbidden", "no")
    await until(world, 10)
    assert world.status("a")["reason"] == "Scheduling"
    await until(world, 62)
    assert world.status("a")["attempts"][0]["reason"] == "PendingTimeout"


@reconciling
async def test_many_pods_that_wait_do_not_read_events_all_at_once(world: World) -> None:
    names = [f"r{number}" for number in range(10)]
    for name in names:
        world.add(name, SPEC)
        await world.look(name)
        world.api.pods[f"{name}-1"]["spec"]["nodeName"] = "node"
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-02T04:00:00Z"}
        world.cluster.put_pod(world.api.touch_pod(f"{name}-1", {"phase": "Pending", "conditions": [scheduled]}))
    world.now += timedelta(seconds=4)
    for name in names:
        await world.look(name)
    assert len([call for call in world.api.calls if call.startswith("events of")]) == 1


@reconciling
async def test_a_scheduler_that_nobody_serves_is_named_and_the_wait_ends(world: World) -> None:
    world.add("a", {**SPEC, "podTemplate": {"schedulerName": "volcano"}})
    await world.look("a")
    world.cluster.put_pod(world.api.touch_pod("a-1", creationTimestamp="2026-01-02T04:00:00Z"))
    await until(world, 5)
    status = world.status("a")
    assert (status["reason"], status["message"]) == (
        "Unschedulable",
        "No scheduler has looked at the pod. Its schedulerName is 'volcano'.",
    )
    assert "spec.podTemplate.schedulerName" in status["cure"]
    await until(world, 62)
    assert world.status("a")["attempts"][0]["reason"] == "PendingTimeout"


@reconciling
async def test_a_pod_that_a_gate_holds_is_not_given_up(world: World) -> None:
    world.add("a", SPEC)
    await world.look("a")
    world.api.pods["a-1"]["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]
    world.cluster.put_pod(world.api.touch_pod("a-1", creationTimestamp="2026-01-02T04:00:00Z"))
    await until(world, 90)
    assert (world.status("a")["state"], world.status("a")["reason"]) == ("Pending", "Queued")


GATED = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
REFUSED = {**GATED, "reason": "Unschedulable", "message": "0/3 nodes are available"}
AFTER_GATES = {
    "no scheduler serves it": (
        GATED,
        {},
        "Unschedulable",
        "No scheduler has looked at the pod. Its schedulerName is 'gone'.",
    ),
    "no node takes it": (REFUSED, {"generation": 2}, "Unschedulable", "0/3 nodes are available"),
    "Kueue let it go and no node takes it": (
        REFUSED,
        {"labels": {"podtask.dev/task-run": "a", "kueue.x-k8s.io/queue-name": "q"}},
        "Unschedulable",
        "0/3 nodes are available",
    ),
}


@pytest.mark.parametrize("case", AFTER_GATES)
@pytest.mark.parametrize("restarts", [0, 1])
def test_a_pod_whose_gates_went_is_given_up_in_time_with_its_reason(case: str, restarts: int) -> None:
    condition, metadata, reason, message = AFTER_GATES[case]

    @reconciling
    async def body(world: World) -> None:
        world.add("a", SPEC)
        await world.look("a")
        spec = world.api.pods["a-1"]["spec"]
        spec.update(schedulerName="gone", schedulingGates=[{"name": "kueue.x-k8s.io/admission"}])
        waits = {"phase": "Pending", "conditions": [{**condition, "lastTransitionTime": "2026-01-02T04:00:00Z"}]}
        behind = {**waits, "conditions": [{**GATED, "lastTransitionTime": "2026-01-02T04:00:00Z"}]}
        world.cluster.put_pod(world.api.touch_pod("a-1", behind, creationTimestamp="2026-01-02T04:00:00Z"))
        await until(world, 90)
        assert world.status("a")["reason"] == "Queued"
        del spec["schedulingGates"]
        world.cluster.put_pod(world.api.touch_pod("a-1", waits, **metadata))
        await until(world, 110)
        if restarts:
            world.restart()
        await until(world, 145)
        status = world.status("a")
        assert (status["state"], status["reason"]) == ("Pending", reason)
        assert message in status["message"]
        assert status["cure"]
        assert "a-1" in world.api.pods
        await until(world, 90 + 62 + restarts * 20)
        assert "delete a-1" in world.api.calls
        attempt = world.status("a")["attempts"][0]
        assert (attempt["reason"], attempt["heldUpBy"]) == ("PendingTimeout", reason)
        assert message in attempt["message"]

    body()


ODD = {
    "no list at all": [None, 3, "x", {}],
    "no times": [{"reason": "FailedMount", "message": "first"}],
    "times that are none": [{"reason": "FailedMount", "lastTimestamp": 3, "series": [], "message": ["x"]}],
    "a word of somebody": [{"reason": "Haunted", "message": "boo", "lastTimestamp": "2026-01-02T04:00:00Z"}],
}


@pytest.mark.parametrize("case", ODD)
def test_events_of_any_shape_are_read(case: str) -> None:
    """Whoever may create Events writes what stands in them."""
    found = pod_events.why(ODD[case])
    assert found is None or found.message.startswith("FailedMount: ")


def test_a_message_of_any_length_fits() -> None:
    found = pod_events.why([{"reason": "FailedMount", "message": "x\n" * 5000}])
    assert found is not None
    assert len(found.message) == 1024
    assert "\n" not in found.message


def test_a_pod_of_nobody_counts_from_its_creation() -> None:
    meta = {"uid": "u", "creationTimestamp": "2026-01-02T04:00:00Z"}
    assert podstatus.read({"metadata": meta, "status": {"phase": "Pending"}}).scheduled_at == NOW
    gated = {"metadata": meta, "spec": {"schedulingGates": [{"name": "x"}]}, "status": {"phase": "Pending"}}
    assert podstatus.read(gated).scheduled_at is None
