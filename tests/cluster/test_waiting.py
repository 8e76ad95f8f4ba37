"""What holds a run up is reported in the words of whoever does, is no failure, and once put right the run runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.kit import Object, World, kubectl, task_run

pytestmark = pytest.mark.cluster

ONE = "def main():\n    return 1\n"
NODE_LABEL = "podtask-tests/t-waiting"
NOBODY = {"podtask-tests/no-node-has": "this"}
RUNNER = "podtask.local/runner:dev-py3.11"
UNCONFINED = "container.apparmor.security.beta.kubernetes.io/task"
QUOTA: Object = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "small-disks"},
    "spec": {"hard": {"requests.ephemeral-storage": "1Mi"}},
}
FOREIGN: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "taken-1"},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "other",
                "image": RUNNER,
                "command": ["sleep", "600"],
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}
SECRET: Object = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "own-grants"},
    "stringData": {"password": "somebody's"},
}


def disk(amount: str) -> Object:
    return {"requests": {"ephemeral-storage": amount}}


@pytest.fixture(scope="module")
def applied(world: World) -> World:
    world.apply(
        QUOTA,
        FOREIGN,
        task_run("no-image", ONE, image="podtask.local/no-such-image:1"),
        task_run("over-quota", ONE, resources=disk("100Mi")),
        task_run("no-room", ONE, resources=disk("99Gi"), pendingTimeoutSeconds=4, maxDisruptions=0),
        task_run("unconfined", ONE, podTemplate={"annotations": {UNCONFINED: "unconfined"}}),
        task_run("no-account", ONE, serviceAccountName="nobody"),
        task_run("no-secret", ONE, env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "late", "key": "a"}}}]),
        task_run("no-node", ONE, nodeSelector={NODE_LABEL: "yes"}),
        task_run("never", ONE, nodeSelector=NOBODY, pendingTimeoutSeconds=1, maxDisruptions=2, retries=2),
        task_run("taken", ONE),
        task_run("suspended", ONE, suspend=True),
        SECRET,
        task_run("own", ONE),
        task_run("replaced", "import time\n\ndef main():\n    time.sleep(600)\n"),
    )
    return world


@pytest.fixture
def labelled_node() -> Iterator[None]:
    """Every node has the label that `no-node` asks for; none has it afterwards."""
    kubectl("label", "nodes", "--all", "--overwrite", f"{NODE_LABEL}=yes")
    yield
    kubectl("label", "nodes", "--all", f"{NODE_LABEL}-")


def waits(world: World, name: str, reason: str) -> Any:
    status = world.in_state(name, "Pending", reason)["status"]
    assert "finishedAt" not in status
    return status


def completes_at_its_first_attempt(world: World, name: str) -> None:
    status = world.finished(name)["status"]
    assert (status["state"], status["attemptsTotal"], status["disruptionsUsed"]) == ("Completed", 1, 0)


def test_a_quota_that_is_full_is_waited_for_and_once_it_is_raised_the_run_runs(applied: World) -> None:
    status = waits(applied, "over-quota", "Quota")
    assert "exceeded quota: small-disks, requested: requests.ephemeral-storage=100Mi" in status["message"]
    assert "limited: requests.ephemeral-storage=1Mi" in status["message"]
    assert applied.pods_of("over-quota") == []
    hard = {"spec": {"hard": {"requests.ephemeral-storage": "200Mi"}}}
    applied.kubectl("patch", "resourcequota", "small-disks", "--type=merge", "-p", json.dumps(hard))
    completes_at_its_first_attempt(applied, "over-quota")


def test_a_missing_service_account_is_named_and_once_it_is_there_the_run_runs(applied: World) -> None:
    status = waits(applied, "no-account", "AdmissionRefused")
    assert 'serviceaccount "nobody" not found' in status["message"]
    applied.kubectl("create", "serviceaccount", "nobody")
    completes_at_its_first_attempt(applied, "no-account")


def test_what_pod_security_forbids_is_named_and_once_the_namespace_is_relaxed_the_run_runs(applied: World) -> None:
    status = waits(applied, "unconfined", "PodSecurity")
    assert 'violates PodSecurity "restricted:latest": forbidden AppArmor profile' in status["message"]
    level = "pod-security.kubernetes.io/enforce"
    kubectl("label", "namespace", applied.namespace, "--overwrite", f"{level}=privileged")
    try:
        completes_at_its_first_attempt(applied, "unconfined")
    finally:
        kubectl("label", "namespace", applied.namespace, "--overwrite", f"{level}=restricted")


def test_an_image_that_cannot_be_pulled_is_named_with_the_runtime_s_words(applied: World) -> None:
    status = waits(applied, "no-image", "ImagePull")
    assert "podtask.local/no-such-image:1" in status["message"]
    assert status["message"].startswith(("ErrImagePull: ", "ImagePullBackOff: "))
    assert [(c["type"], c["status"], c["reason"]) for c in status["conditions"]] == [
        ("Succeeded", "Unknown", "ImagePull"),
        ("Finished", "False", "Pending"),
    ]


def test_a_missing_secret_is_named_and_once_it_is_there_the_run_runs(applied: World) -> None:
    status = waits(applied, "no-secret", "ContainerConfig")
    assert status["message"] == 'CreateContainerConfigError: secret "late" not found'
    applied.kubectl("create", "secret", "generic", "late", "--from-literal=a=1")
    completes_at_its_first_attempt(applied, "no-secret")


def test_a_pod_of_another_owner_is_waited_for_and_once_it_is_gone_the_run_has_its_name(applied: World) -> None:
    status = waits(applied, "taken", "PodNameConflict")
    assert status["message"] == "A pod of the attempt's name belongs to another object; waiting for it to go."
    applied.kubectl("delete", "pod", "taken-1", "--wait=false")
    completes_at_its_first_attempt(applied, "taken")
    assert applied.pods_of("taken") == ["taken-1"]


def test_a_secret_of_another_owner_is_not_touched_and_once_it_is_gone_the_run_runs(applied: World) -> None:
    status = waits(applied, "own", "PodNameConflict")
    assert status["message"].startswith("A Secret of the name that the grants need exists and is somebody else's")
    assert 'Secret "own-grants"' in status["message"]
    secret = json.loads(applied.kubectl("get", "secret", "own-grants", "-o", "json"))
    assert list(secret["data"]) == ["password"]
    assert "ownerReferences" not in secret["metadata"]
    applied.kubectl("delete", "secret", "own-grants")
    completes_at_its_first_attempt(applied, "own")


def test_a_run_that_is_deleted_and_applied_anew_under_its_name_runs_as_soon_as_the_old_pod_is_gone(
    applied: World,
) -> None:
    pod = applied.until("replaced runs", lambda: running(applied.pods.get("replaced-1")))
    applied.kubectl("delete", "ptr", "replaced")
    applied.apply(task_run("replaced", "def main():\n    return 'new'\n"))
    status = applied.finished("replaced")["status"]
    assert (status["state"], status["result"]["value"]) == ("Completed", '"new"')
    assert status["attempts"][0]["podUID"] != pod["metadata"]["uid"]
    assert status["attemptsTotal"] == 1


def running(pod: Object | None) -> Object | None:
    return pod if pod and pod["status"].get("phase") == "Running" else None


@pytest.mark.usefixtures("labelled_node")
def test_once_a_node_fits_a_run_that_no_node_fitted_runs(applied: World) -> None:
    completes_at_its_first_attempt(applied, "no-node")


def test_a_run_that_no_node_fits_said_so_in_the_scheduler_s_words(applied: World) -> None:
    said = [
        seen.object["status"].get("message", "")
        for seen in applied.history
        if seen.object["metadata"]["name"] == "no-node" and seen.object.get("status", {}).get("state") == "Pending"
    ]
    assert any("didn't match Pod's node affinity/selector" in message for message in said)


def test_a_suspended_run_has_no_pod_until_it_is_resumed(applied: World) -> None:
    waits(applied, "suspended", "Suspended")
    assert applied.pods_of("suspended") == []
    applied.patch("suspended", suspend=False)
    completes_at_its_first_attempt(applied, "suspended")


def test_a_pending_timeout_takes_disruptions_and_then_ends_the_run_with_the_scheduler_s_words(applied: World) -> None:
    status = applied.finished("never")["status"]
    assert (status["state"], status["reason"]) == ("Crashed", "PendingTimeout")
    assert [(a["outcome"], a["reason"]) for a in status["attempts"]] == [("Disruption", "PendingTimeout")] * 3
    assert (status["disruptionsUsed"], status["retriesUsed"]) == (2, 0)
    assert "It did not start in time: 0/1 nodes are available" in status["message"]
    assert status["error"]["cure"].startswith("Ask for less in spec.resources, correct spec.nodeSelector")
    assert applied.pods_of("never") == ["never-1", "never-2", "never-3"]


def test_a_pod_that_is_never_accepted_runs_into_the_pending_timeout_too(applied: World) -> None:
    status = applied.finished("no-room")["status"]
    assert (status["state"], status["reason"]) == ("Crashed", "PendingTimeout")
    assert "exceeded quota: small-disks" in status["message"]
    assert status["error"]["cure"] == "Raise the ResourceQuota, or wait for other pods to end."
    assert applied.pods_of("no-room") == []
