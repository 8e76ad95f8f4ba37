"""A pod that cannot be made or started says why, every such wait ends, and what no watch shows is followed anyway."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.cluster.invariants import when
from tests.cluster.kit import RUNS, World, eventually, kubectl, namespace, sentence, task_run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

ONE = "def main():\n    return 1\n"
SLOW = "import time\n\ndef main():\n    time.sleep(15)\n    return 1\n"
GIVES_UP = {"pendingTimeoutSeconds": 10, "maxDisruptions": 0}
MOUNT = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
PROBE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "probe"},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "c",
                "image": "podtask.local/none:1",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}
"""As Pod Security `restricted` wants it: only the webhook is to refuse it."""

WEBHOOK = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: NAME}
webhooks:
- name: down.podtask.test
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  timeoutSeconds: 2
  clientConfig: {url: "https://127.0.0.1:9/none"}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAME}}
"""


@pytest.fixture
def webhook_down() -> Iterator[World]:
    """A namespace whose pods are asked for at a webhook that nobody serves."""
    with namespace("t-webhook-down") as world:
        given = WEBHOOK.replace("NAME", world.namespace)
        kubectl("apply", "-f", "-", given=given)
        try:
            probe = json.dumps(PROBE)
            eventually(
                "the webhook is asked",
                lambda: (
                    "failed calling webhook"
                    in sentence(lambda: world.kubectl("create", "--dry-run=server", "-f", "-", given=probe))
                ),
            )
            yield world
        finally:
            kubectl("delete", "-f", "-", "--ignore-not-found", given=given)


@pytest.mark.long
def test_a_webhook_that_is_down_is_told_and_the_wait_ends(webhook_down: World) -> None:
    webhook_down.apply(task_run("waits", ONE), task_run("gives-up", ONE, **GIVES_UP))
    status = webhook_down.in_state("waits", "Pending", "AdmissionRefused")["status"]
    assert "failed calling webhook" in status["message"]
    assert "administrator" in status["cure"]
    status = webhook_down.finished("gives-up")["status"]
    assert (status["state"], status["reason"]) == ("Crashed", "PendingTimeout")
    assert "failed calling webhook" in status["message"]
    assert status["attempts"][0]["heldUpBy"] == "AdmissionRefused"
    kubectl("delete", "validatingwebhookconfiguration", webhook_down.namespace)
    assert webhook_down.finished("waits")["status"]["state"] == "Completed"


def test_a_scheduler_that_nobody_serves_is_told_and_the_wait_ends(world: World) -> None:
    world.apply(task_run("nobody", ONE, podTemplate={"schedulerName": "volcano"}, **GIVES_UP))
    status = world.in_state("nobody", "Pending", "Unschedulable")["status"]
    assert "'volcano'" in status["message"]
    assert "spec.podTemplate.schedulerName" in status["cure"]
    status = world.finished("nobody")["status"]
    assert (status["state"], status["reason"]) == ("Crashed", "PendingTimeout")
    assert "'volcano'" in status["message"]


@pytest.mark.parametrize(
    ("name", "volume"),
    [
        pytest.param("no-map", {"configMap": {"name": "absent-map"}}, marks=pytest.mark.long),
        pytest.param("no-secret", {"secret": {"secretName": "absent-secret"}}, marks=pytest.mark.long),
    ],
)
def test_a_volume_whose_source_is_missing_is_told_and_starts_once_it_is_there(
    world: World, name: str, volume: dict[str, dict[str, str]]
) -> None:
    template = {**MOUNT, "volumes": [{"name": "v", **volume}]}
    world.apply(
        task_run(name, ONE, podTemplate=template),
        task_run(f"{name}-ends", ONE, podTemplate=template, pendingTimeoutSeconds=20, maxDisruptions=0),
    )
    missing = name.replace("no-", "absent-")
    status = world.in_state(name, "Pending", "ContainerConfig")["status"]
    assert missing in status["message"]
    assert "spec.podTemplate.volumes" in status["cure"]
    status = world.finished(f"{name}-ends")["status"]
    assert status["attempts"][0]["reason"] == "PendingTimeout"
    assert status["attempts"][0]["heldUpBy"] == "ContainerConfig"
    assert missing in status["message"]
    kind = ("configmap",) if "configMap" in volume else ("secret", "generic")
    world.kubectl("create", *kind, missing, "--from-literal=a=1")
    assert world.finished(name, seconds=180)["status"]["state"] == "Completed"


def test_a_finished_run_observes_the_generation_of_a_patch(world: World) -> None:
    world.apply(task_run("patched", ONE))
    ended = world.finished("patched")["status"]
    for generation, change in ((2, {"ttlSecondsAfterFinished": 9999}), (3, {"cancel": True})):
        world.patch("patched", **change)

        def observed(generation: int = generation) -> bool:
            run = world.runs["patched"]
            return run["metadata"]["generation"] == run["status"]["observedGeneration"] == generation

        world.until(f"generation {generation} is observed", observed)
    status = world.runs["patched"]["status"]
    assert (status["state"], status["finishedAt"]) == (ended["state"], ended["finishedAt"])


def test_an_attempt_that_never_ran_has_no_exit_code(world: World) -> None:
    world.apply(task_run("no-image", ONE, image="podtask.local/no-such-image:1", **GIVES_UP))
    attempt = world.finished("no-image")["status"]["attempts"][0]
    assert attempt["reason"] == "PendingTimeout"
    assert "exitCode" not in attempt


def test_the_end_of_a_pod_is_noticed_whatever_its_labels_say(world: World) -> None:
    world.apply(task_run("relabelled", SLOW), task_run("unlabelled", SLOW))
    for name in ("relabelled", "unlabelled"):
        world.in_state(name, "Running")
    world.kubectl("label", "pod", "relabelled-1", "--overwrite", "app.kubernetes.io/managed-by=Helm")
    world.kubectl("label", "pod", "unlabelled-1", "podtask.dev/task-run-", "app.kubernetes.io/managed-by-")
    for name in ("relabelled", "unlabelled"):
        status = world.finished(name)["status"]
        assert status["state"] == "Completed"
        ended = world.until(f"{name}-1 has ended", lambda name=name: ended_at(world, f"{name}-1"))
        assert (when(status["finishedAt"]) - when(ended)).total_seconds() < 20


def ended_at(world: World, pod: str) -> str | None:
    """When the task's container ended: the run may have ended before, by its stored outcome."""
    states = world.pods[pod]["status"]["containerStatuses"]
    (state,) = [each["state"] for each in states if each["name"] == "task"]
    return state["terminated"]["finishedAt"] if "terminated" in state else None


def test_a_deleted_run_that_a_finalizer_holds_follows_its_pod(world: World) -> None:
    finalizer = {"metadata": {"finalizers": ["podtask.test/held"]}}
    world.apply(task_run("held", SLOW), task_run("held-early", ONE, suspend=True))
    world.in_state("held", "Running")
    world.in_state("held-early", "Pending", "Suspended")
    try:
        for name in ("held", "held-early"):
            world.kubectl("patch", RUNS, name, "--type=merge", "-p", json.dumps(finalizer))
            world.kubectl("delete", RUNS, name, "--wait=false")
        world.kubectl("wait", "--for=condition=Finished", "ptr/held", "--timeout=90s")
        assert world.finished("held")["status"]["state"] == "Completed"
        assert world.finished("held-early")["status"]["state"] == "Cancelled"
        assert world.pods_of("held-early") == []
    finally:
        for name in ("held", "held-early"):
            world.kubectl(
                "patch", RUNS, name, "--type=json", "-p", '[{"op": "remove", "path": "/metadata/finalizers"}]'
            )
    world.until("both are gone", lambda: not {"held", "held-early"} & set(world.runs))


def test_a_user_without_an_entry_has_a_name(world: World) -> None:
    source = "import getpass\n\ndef main():\n    return getpass.getuser()\n"
    world.apply(task_run("number", source, podTemplate={"securityContext": {"runAsUser": 123456}}))
    assert world.finished("number")["status"]["result"]["value"] == '"podtask"'
