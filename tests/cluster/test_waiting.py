"""What holds a run up is reported in the words of whoever does, is no failure, and once put right the run runs."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.kit import Object, World, eventually, kubectl, namespace, sentence, task_run, together

pytestmark = pytest.mark.cluster

ONE = "def main():\n    return 1\n"
NODE_LABEL = "podtask-tests/t-waiting"
NOBODY = {"podtask-tests/no-node-has": "this"}
RUNNER = "podtask.local/runner:dev-py3.11"
LEVEL = "pod-security.kubernetes.io/enforce"
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
SECRET: Object = {"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "somebody's"}}


HOLDS = "import time\n\ndef main():\n    time.sleep(600)\n"


def disk(amount: str) -> Object:
    return {"requests": {"ephemeral-storage": amount}}


@pytest.fixture(scope="module")
def applied(world: World) -> World:
    kubectl("label", "nodes", "--all", f"{NODE_LABEL}-")  # left by a session that was killed
    world.apply(QUOTA)
    limit = "jsonpath={.status.hard.requests\\.ephemeral-storage}=1Mi"  # admission goes by the status
    world.kubectl("wait", "resourcequota/small-disks", f"--for={limit}", "--timeout=30s")
    world.apply(
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
        task_run("own", ONE, suspend=True),
        task_run("orphan", HOLDS),
        task_run("typo-affinity", ONE, podTemplate={"affinity": {"nodeAffinity": {"requiredDuringScheduling": {}}}}),
        task_run("typo-volume", ONE, podTemplate={"volumes": [{"name": "v", "emptyDir": {"sizelimit": "1Mi"}}]}),
        task_run("replaced", "import time\n\ndef main():\n    time.sleep(600)\n"),
    )
    world.apply({**SECRET, "metadata": {"name": world.secret_of("own")}})
    world.patch("own", suspend=False)
    return world


WAITS = {
    "over-quota": "Quota",
    "no-account": "AdmissionRefused",
    "unconfined": "PodSecurity",
    "own": "PodNameConflict",
    "taken": "PodNameConflict",
    "no-secret": "ContainerConfig",
    "no-node": "Unschedulable",
    "no-image": "ImagePull",
    "suspended": "Suspended",
}


@pytest.fixture(scope="module")
def reported(applied: World) -> dict[str, Any]:
    """Status of each run that waits, once it says why; no pod of theirs has run by then."""
    found = {name: applied.in_state(name, "Pending", reason)["status"] for name, reason in WAITS.items()}
    assert not [name for name, status in found.items() if "finishedAt" in status]
    return found


@pytest.fixture(scope="module")
def foreign_secret(applied: World, reported: dict[str, Any]) -> Any:
    """The Secret of another owner, after the operator met it."""
    return json.loads(applied.kubectl("get", "secret", applied.secret_of("own"), "-o", "json"))


@pytest.fixture(scope="module")
def healed(applied: World, reported: dict[str, Any], foreign_secret: Any) -> Iterator[World]:
    """Everything that can be put right is, at the same time: refused pods are tried again later and later."""
    hard = {"spec": {"hard": {"requests.ephemeral-storage": "200Mi"}}}
    relabel = functools.partial(kubectl, "label", "--overwrite")
    together(
        {
            "quota": lambda: applied.kubectl(
                "patch", "resourcequota", "small-disks", "--type=merge", "-p", json.dumps(hard)
            ),
            "account": lambda: applied.kubectl("create", "serviceaccount", "nobody"),
            "level": lambda: relabel("namespace", applied.namespace, f"{LEVEL}=privileged"),
            "foreign secret": lambda: applied.kubectl("delete", "secret", applied.secret_of("own")),
            "foreign pod": lambda: applied.kubectl("delete", "pod", "taken-1", "--wait=false"),
            "secret": lambda: applied.kubectl("create", "secret", "generic", "late", "--from-literal=a=1"),
            "node": lambda: relabel("nodes", "--all", f"{NODE_LABEL}=yes"),
            "suspend": lambda: applied.patch("suspended", suspend=False),
        }
    )
    yield applied
    relabel("nodes", "--all", f"{NODE_LABEL}-")


def completes_at_its_first_attempt(world: World, name: str) -> None:
    status = world.finished(name)["status"]
    assert (status["state"], status["attemptsTotal"], status["disruptionsUsed"]) == ("Completed", 1, 0)


@pytest.mark.parametrize("name", [name for name in WAITS if name != "no-image"])
def test_once_it_is_put_right_the_run_runs_at_its_first_attempt(healed: World, name: str) -> None:
    completes_at_its_first_attempt(healed, name)
    assert healed.pods_of(name) == [f"{name}-1"]


def test_a_quota_that_is_full_is_told_in_the_api_server_s_words(reported: dict[str, Any]) -> None:
    message = reported["over-quota"]["message"]
    assert "exceeded quota: small-disks, requested: requests.ephemeral-storage=100Mi" in message
    assert "limited: requests.ephemeral-storage=1Mi" in message


def test_a_missing_service_account_is_named(reported: dict[str, Any]) -> None:
    assert 'serviceaccount "nobody" not found' in reported["no-account"]["message"]


def test_what_pod_security_forbids_is_named(reported: dict[str, Any]) -> None:
    message = reported["unconfined"]["message"]
    assert 'violates PodSecurity "restricted:latest": forbidden AppArmor profile' in message


def test_an_image_that_cannot_be_pulled_is_told_in_the_runtime_s_words(reported: dict[str, Any]) -> None:
    status = reported["no-image"]
    assert "podtask.local/no-such-image:1" in status["message"]
    assert status["message"].startswith(("ErrImagePull: ", "ImagePullBackOff: "))
    assert [(c["type"], c["status"], c["reason"]) for c in status["conditions"]] == [
        ("Succeeded", "Unknown", "ImagePull"),
        ("Finished", "False", "Pending"),
    ]


def test_a_missing_secret_is_named(reported: dict[str, Any]) -> None:
    assert reported["no-secret"]["message"] == 'CreateContainerConfigError: secret "late" not found'


def test_a_run_that_no_node_fits_says_so_in_the_scheduler_s_words(reported: dict[str, Any]) -> None:
    assert "didn't match Pod's node affinity/selector" in reported["no-node"]["message"]


def test_a_pod_of_another_owner_is_waited_for(reported: dict[str, Any]) -> None:
    message = "A pod of the attempt's name belongs to another object; waiting for it to go."
    assert reported["taken"]["message"] == message


def test_a_secret_of_another_owner_is_waited_for_and_not_touched(reported: dict[str, Any], foreign_secret: Any) -> None:
    message = reported["own"]["message"]
    assert message.startswith("A Secret of the name that the grants need exists and is somebody else's")
    assert f'Secret "{foreign_secret["metadata"]["name"]}"' in message
    assert list(foreign_secret["data"]) == ["password"]
    assert "ownerReferences" not in foreign_secret["metadata"]


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


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("typo-affinity", "spec.affinity.nodeAffinity.requiredDuringScheduling"),
        ("typo-volume", "emptyDir.sizelimit"),
    ],
)
def test_a_field_that_no_pod_has_is_refused_by_name(applied: World, name: str, field: str) -> None:
    status = applied.finished(name)["status"]
    assert (status["state"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "unknown field" in status["message"]
    assert field in status["message"]
    assert applied.pods_of(name) == []


def test_an_orphaned_pod_sees_nothing_of_the_run_that_took_its_name(applied: World) -> None:
    applied.until("orphan runs", lambda: running(applied.pods.get("orphan-1")))
    before = applied.runs["orphan"]["metadata"]["uid"]
    applied.kubectl("delete", "ptr", "orphan", "--cascade=orphan")
    applied.until("orphan is gone", lambda: "orphan" not in applied.runs)
    applied.apply(task_run("orphan", "def main():\n    return 'new'\n"))
    applied.in_state("orphan", "Pending", "PodNameConflict")
    read = "import json; print(json.load(open('/podtask/grants/grants.json'))['uid'])"
    assert applied.kubectl("exec", "orphan-1", "--", "python3", "-c", read).strip() == before
    mounted = applied.pods["orphan-1"]["spec"]["volumes"]
    names = [volume["secret"]["secretName"] for volume in mounted if "secret" in volume]
    assert names
    assert applied.secret_of("orphan") not in names  # what the kubelet would bring into the old pod later
    applied.kubectl("delete", "pod", "orphan-1", "--grace-period=1", "--wait=false")
    status = applied.finished("orphan")["status"]
    assert (status["state"], status["result"]["value"]) == ("Completed", '"new"')


POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NAME}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  validations: [{expression: "has(object.metadata.labels) && 'team' in object.metadata.labels", message: no team}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: NAME}
spec:
  policyName: NAME
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAME}}}
"""


def test_a_policy_that_says_no_is_asked_again() -> None:
    """Its refusal is a 422 (reason Invalid), like that of a pod that no attempt could cure."""
    with namespace("t-policy") as world:
        given = POLICY.replace("NAME", world.namespace)
        kubectl("apply", "-f", "-", given=given)
        try:
            probe = json.dumps({**FOREIGN, "metadata": {"name": "probe"}})
            ask = functools.partial(world.kubectl, "create", "--dry-run=server", "-f", "-", given=probe)
            eventually("the policy is in force", lambda: "no team" in sentence(ask))
            world.apply(task_run("waits", ONE))
            status = world.in_state("waits", "Pending", "AdmissionRefused")["status"]
            assert "no team" in status["message"]
        finally:
            kubectl("delete", "-f", "-", given=given)
        assert world.finished("waits")["status"]["state"] == "Completed"
